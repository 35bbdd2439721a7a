"""Measure how fast a model's methods are, and compare them with onnxruntime called directly on the same graphs."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..runtime.artifact import DECODER, ENCODER, Artifact
from ..runtime.autoencoder import Autoencoder
from ..runtime.pixels import to_tensor
from ..runtime.session import open_session
from ..runtime.threads import chosen_threads
from ..runtime.workers import slices
from .progress import Progress, no_progress

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

BATCHES = (1, 64, 1024, 16_384)  # batch sizes that are measured: images per call of a method
MIN_ROUNDS = 5
INTERPOLATION_STEPS = 8
BASELINE_ROWS = 512  # onnxruntime alone gets batches of this size, with which it is fastest
MIN_SECONDS = 0.002  # shorter calls are repeated for about this long and timed together: the clock is coarse

Call = Callable[[], object]


@dataclass(frozen=True)
class Speed:
    """The speed of one method at one batch size.

    batch: images per call. seconds: median time of a call. onnxruntime_ratio: median ratio of the method's time to the
    time that onnxruntime alone takes to run the same graphs on tensors prepared in advance. The outputs are discarded.
    """

    method: str
    batch: int
    seconds: float
    onnxruntime_ratio: float

    @property
    def images_per_second(self) -> float:
        """How many images the method processes per second."""
        return self.batch / self.seconds


def speeds(
    path: str | Path,
    *,
    threads: int | None = None,
    batches: Sequence[int] = BATCHES,
    seconds: float = 1.0,
    report: Progress = no_progress,
) -> Iterator[Speed]:
    """Measure every method of an artifact's model at every batch size. Yields each result as soon as it is known.

    The input images are samples of the model. seconds: about how long to measure one method at one batch size. report:
    called before each measurement with the name of this step, the number of measurements done, and their total number.
    Raises the same errors as `aegen.load`.
    """
    artifact, model = Artifact.open(path), Autoencoder(path, threads=threads)
    sessions = {
        name: open_session(artifact.read(name), name, chosen_threads(threads)) for name in model.manifest.graphs
    }
    for i, n in enumerate(batches):
        methods = _calls(model, sessions, n)
        for j, (method, calls) in enumerate(methods.items()):
            report("measuring", i * len(methods) + j, len(batches) * len(methods))
            method_times, baseline_times = interleaved(calls, seconds)
            ratio = statistics.median(a / b for a, b in zip(method_times, baseline_times, strict=True))
            yield Speed(method, n, statistics.median(method_times), ratio)


def interleaved(calls: Sequence[Call], seconds: float) -> list[list[float]]:
    """Time several functions in rounds, each of which measures every function once, in random order.

    Returns, for each function, a list of its times in seconds. Rounds make other load on the machine affect all
    functions alike. Before each measurement the same function runs once untimed, because the previous function has
    filled the CPU cache with other data. seconds: rounds continue for this long, but there are at least MIN_ROUNDS.
    """
    order = np.random.default_rng(0)
    repeats = []
    for call in calls:
        call()
        repeats.append(max(1, round(MIN_SECONDS / _timed(call, 1))))
    times: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + seconds
    while len(times[0]) < MIN_ROUNDS or time.perf_counter() < end:
        for i in order.permutation(len(calls)):
            calls[i]()
            times[i].append(_timed(calls[i], repeats[i]))
    return times


def _timed(call: Call, repeat: int) -> float:
    """Mean time of a call in seconds, measured over `repeat` calls."""
    start = time.perf_counter()
    for _ in range(repeat):
        call()
    return (time.perf_counter() - start) / repeat


def _calls(model: Autoencoder, sessions: "Mapping[str, InferenceSession]", n: int) -> dict[str, tuple[Call, Call]]:
    """Two functions for each method of the model, by name of the method.

    The first calls the method on n images; the second runs the same graphs on the same data with onnxruntime alone.
    sessions: onnxruntime's sessions, by file name of the graph.
    """
    manifest = model.manifest
    latents = model.sample_latents(n, seed=0)  # shape (n, d)
    floats, levels = model.decode(latents), model.decode(latents, dtype="uint8")  # each of shape (n, H, W[, 3])
    encode = _baseline(sessions[ENCODER], image=to_tensor(levels, manifest.image))
    decode = sample = _baseline(sessions[DECODER], latent=latents)
    if manifest.default_prior in manifest.learned_priors:
        labels = {"label": np.zeros(n, np.int64)} if manifest.labels else {}
        graph = manifest.learned_priors[manifest.default_prior].graph
        sample = _in_turn(_baseline(sessions[graph], noise=np.zeros_like(latents), **labels), decode)
    ends = floats[: max(1, n // INTERPOLATION_STEPS)]
    ends_encode = _baseline(sessions[ENCODER], image=to_tensor(ends, manifest.image))
    path_decode = _baseline(sessions[DECODER], latent=np.repeat(latents[: len(ends)], INTERPOLATION_STEPS, 0))
    return {
        "encode": (lambda: model.encode(floats), encode),
        "encode uint8": (lambda: model.encode(levels), encode),
        "decode": (lambda: model.decode(latents), decode),
        "decode uint8": (lambda: model.decode(latents, dtype="uint8"), decode),
        "reconstruct": (lambda: model.reconstruct(floats), _in_turn(encode, decode)),
        "interpolate": (
            lambda: model.interpolate(ends, ends, steps=INTERPOLATION_STEPS),
            _in_turn(ends_encode, ends_encode, path_decode),
        ),
        "sample uint8": (lambda: model.sample(n, seed=0, dtype="uint8"), sample),
    }


def _baseline(session: "InferenceSession", **inputs: np.ndarray) -> Call:
    """A function that only computes a session's first output, in batches of BASELINE_ROWS.

    inputs: arrays of n rows, by name of the session's input.
    """
    outputs = [session.get_outputs()[0].name]
    rows = len(next(iter(inputs.values())))
    feeds = [{name: array[part] for name, array in inputs.items()} for part in slices(rows, BASELINE_ROWS)]
    return lambda: [session.run(outputs, feed) for feed in feeds]


def _in_turn(*calls: Call) -> Call:
    return lambda: [call() for call in calls]
