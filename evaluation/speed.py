"""How fast a model is on this machine: its methods beside bare onnxruntime on the same graphs, measured in turn."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..runtime.artifact import DECODER, ENCODER, PRIOR, Artifact
from ..runtime.autoencoder import Autoencoder
from ..runtime.pixels import to_tensor
from ..runtime.priors import FLOW
from ..runtime.session import open_session
from ..runtime.threads import chosen_threads
from ..runtime.workers import slices

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

BATCHES = (1, 64, 1024, 16_384)
ROUNDS = 5  # at least
STEPS = 8  # images on a path
BASELINE_ROWS = 512  # rows in one run of onnxruntime alone: what suits it best
MIN_SECONDS = (
    0.002  # seconds: a call that takes less is repeated until it takes that, so that the clock's tick is nothing
)

Call = Callable[[], object]


@dataclass(frozen=True)
class Speed:
    """A method at a number of images in one call. seconds: median of a call. overhead: median ratio to onnxruntime
    alone, which runs the same graphs on tensors that are ready for it.
    """

    method: str
    batch: int
    seconds: float
    overhead: float

    @property
    def images_per_second(self) -> float:
        """What it says."""
        return self.batch / self.seconds


def speeds(
    path: str | Path, *, threads: int | None = None, batches: Sequence[int] = BATCHES, seconds: float = 1.0
) -> Iterator[Speed]:
    """Every method of an artifact at every batch, each measured for about as many seconds.

    Images are the model's own samples. Raises what `load` raises.
    """
    artifact, model = Artifact.open(path), Autoencoder(path, threads=threads)
    sessions = {
        name: open_session(artifact.read(name), name, chosen_threads(threads)) for name in model.manifest.graphs
    }
    for n in batches:
        for method, calls in _calls(model, sessions, n).items():
            ours, theirs = interleaved(calls, seconds)
            overhead = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
            yield Speed(method, n, statistics.median(ours), overhead)


def interleaved(calls: Sequence[Call], seconds: float) -> list[list[float]]:
    """Seconds of one call each, measured round after round, so that what else the machine does hits all alike.

    In an order that changes, and each after a call that is not counted: what ran before it has left its own data in the
    cache, and threads that spin for a while. seconds: for all rounds together; there are ROUNDS of them at least.
    """
    order = np.random.default_rng(0)
    repeats = []
    for call in calls:
        call()
        repeats.append(max(1, round(MIN_SECONDS / _timed(call, 1))))
    found: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + seconds
    while len(found[0]) < ROUNDS or time.perf_counter() < end:
        for place in order.permutation(len(calls)):
            calls[place]()
            found[place].append(_timed(calls[place], repeats[place]))
    return found


def _timed(call: Call, repeat: int) -> float:
    start = time.perf_counter()
    for _ in range(repeat):
        call()
    return (time.perf_counter() - start) / repeat


def _calls(model: Autoencoder, sessions: "Mapping[str, InferenceSession]", n: int) -> dict[str, tuple[Call, Call]]:
    """Each method, and onnxruntime alone doing its share of the work. sessions: by file name."""
    latents = model.draw(n, seed=0)
    floats, levels = model.decode(latents), model.decode(latents, dtype="uint8")
    encode = _bare(sessions[ENCODER], image=to_tensor(levels, model.manifest.image))
    decode = sample = _bare(sessions[DECODER], latent=latents)
    if model.manifest.default_prior == FLOW:
        labels = {"label": np.zeros(n, np.int64)} if model.manifest.labels else {}
        sample = _in_turn(_bare(sessions[PRIOR], noise=np.zeros_like(latents), **labels), decode)
    starts, ends = (floats[: max(1, n // STEPS)] for _ in range(2))
    ways = [_bare(sessions[ENCODER], image=to_tensor(one, model.manifest.image)) for one in (starts, ends)]
    ways.append(_bare(sessions[DECODER], latent=np.repeat(latents[: len(starts)], STEPS, 0)))
    return {
        "encode": (lambda: model.encode(floats), encode),
        "encode uint8": (lambda: model.encode(levels), encode),
        "decode": (lambda: model.decode(latents), decode),
        "decode uint8": (lambda: model.decode(latents, dtype="uint8"), decode),
        "reconstruct": (lambda: model.reconstruct(floats), _in_turn(encode, decode)),
        "interpolate": (lambda: model.interpolate(starts, ends, steps=STEPS), _in_turn(*ways)),
        "sample uint8": (lambda: model.sample(n, seed=0, dtype="uint8"), sample),
    }


def _bare(session: "InferenceSession", **inputs: np.ndarray) -> Call:
    """Runs of the first output, BASELINE_ROWS rows each, with nothing but the runs in the call."""
    outputs = [session.get_outputs()[0].name]
    rows = len(next(iter(inputs.values())))
    feeds = [{name: array[part] for name, array in inputs.items()} for part in slices(rows, BASELINE_ROWS)]
    return lambda: [session.run(outputs, feed) for feed in feeds]


def _in_turn(*calls: Call) -> Call:
    return lambda: [call() for call in calls]
