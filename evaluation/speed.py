"""Measure how fast a model's methods are, beside onnxruntime alone on the same graphs and beside the machine's peak."""

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..runtime.artifact import DECODER, ENCODER, Artifact
from ..runtime.autoencoder import Autoencoder
from ..runtime.pixels import to_tensor
from ..runtime.session import open_session
from ..runtime.threads import chosen_threads
from ..runtime.workers import slices
from .progress import Progress, no_progress
from .roofline import Peak, Roofline, Work, graph_costs

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

BATCHES = (1, 64, 1024, 16_384)  # images per call of a method, if a call is short enough
MIN_ROUNDS = 5
MAX_WARM_UP = 0.05  # in seconds; shorter calls are run once untimed, to fill the CPU cache
# Number of calls of a long method and of its baseline together: each is called twice before the rounds and once in
# each.
CALLS_PER_METHOD = 2 * (MIN_ROUNDS + 2)
INTERPOLATION_STEPS = 8
BASELINE_ROWS = 512  # batch size with which onnxruntime alone is fastest
MIN_SECONDS = 0.002  # shorter calls are repeated and timed together for this long, because the clock is coarse

Call = Callable[[], object]


@dataclass(frozen=True)
class Speed:
    """The speed of one method at one batch size.

    batch: images per call. seconds: median time of a call. onnxruntime_ratio: median ratio of the method's time to the
    time that onnxruntime alone takes to run the same graphs on tensors prepared in advance. onnxruntime's outputs are
    discarded. roofline: how the work of the graphs compares with the machine's peak.
    """

    method: str
    batch: int
    seconds: float
    onnxruntime_ratio: float
    roofline: Roofline

    @property
    def images_per_second(self) -> float:
        """How many images the method processes per second."""
        return self.batch / self.seconds

    def json_object(self) -> dict[str, Any]:
        """The speed as values for JSON, with the fields of the roofline beside the others."""
        values = dataclasses.asdict(self)
        values |= values.pop("roofline")
        return {**values, "overhead": self.roofline.overhead, "limit": self.roofline.limit}


@dataclass(frozen=True)
class MethodCalls:
    """The calls of a method on some images.

    run: calls the method. baseline: runs the same graphs on the same data with onnxruntime alone. work: what the graphs
    compute in a call. images: how many images the method takes or returns.
    """

    run: Call
    baseline: Call
    work: Work
    images: int


def speeds(
    path: str | Path,
    *,
    threads: int | None = None,
    batches: Sequence[int] | None = None,
    seconds: float = 1.0,
    report: Progress = no_progress,
) -> Iterator[Speed]:
    """Measure every method of an artifact's model at every batch size. Yields each result as soon as it is known.

    The input images are samples of the model. batches: images per call; with None, the numbers in BATCHES, as far as
    the time allows. seconds: about how long to measure one method at one batch size. report: called before each
    measurement with the name of this step, the number of measurements done, and their total number. Raises the same
    errors as `aegen.load`.
    """
    artifact, count = Artifact.open(path), chosen_threads(threads)
    model = Autoencoder(path, threads=count)
    sessions = {name: open_session(artifact.read(name), name, count) for name in model.manifest.graphs}
    costs, peak = graph_costs(artifact), Peak(count)

    def methods(n: int) -> dict[str, MethodCalls]:
        return _methods(model, sessions, lambda graph, rows: costs[graph].work(rows, count), n)

    waiting, done = list(BATCHES if batches is None else batches), 0
    while waiting:
        n, *waiting = waiting
        chosen = methods(n)
        total, image_seconds = done + (1 + len(waiting)) * len(chosen), 0.0
        for method, calls in chosen.items():
            report("measuring", done, total)
            processor = ProcessorTimer(calls.run)
            times, baseline_times, _ = interleaved([processor.run, calls.baseline, peak.measure], seconds)
            ratio = statistics.median(a / b for a, b in zip(times, baseline_times, strict=True))
            speed = Speed(method, n, statistics.median(times), ratio, peak.roofline(calls.work, processor.seconds))
            yield speed
            done, image_seconds = done + 1, max(image_seconds, speed.seconds / calls.images)
        if batches is None and waiting:
            largest = _largest_batch(waiting[0], methods, image_seconds, seconds)
            if largest < waiting[0]:
                waiting = [largest] if largest > n else []


def _largest_batch(
    batch: int, methods: Callable[[int], Mapping[str, MethodCalls]], image_seconds: float, seconds: float
) -> int:
    """The largest number of images per call that can be measured in the time.

    The result is `batch`, or a smaller power of two, or 0. methods: a function that returns the calls for a number of
    images. image_seconds: time of the slowest method for each image, measured with smaller batches. In large batches an
    image usually takes less time, so each method is first timed once, unless that would take too long.
    """
    tried = affordable_batch(batch, image_seconds, seconds, calls=2)
    if tried == 0:
        return 0
    measured = max(_timed(calls.run, 1) / calls.images for calls in methods(tried).values())
    return affordable_batch(tried, measured, seconds)


def affordable_batch(batch: int, image_seconds: float, seconds: float, calls: int = CALLS_PER_METHOD) -> int:
    """The largest number of images per call with which `calls` calls take at most `seconds`.

    The result is `batch`, or a smaller power of two, or 0. image_seconds: time that a call takes for each image.
    """
    most = seconds / (calls * image_seconds)
    if most >= batch:
        return batch
    return 2 ** math.floor(math.log2(most)) if most >= 1 else 0


class ProcessorTimer:
    """Measures the shortest processor time of a call, in seconds, summed over all threads of this process."""

    def __init__(self, call: Call) -> None:
        self.seconds, self._call = math.inf, call

    def run(self) -> None:
        """Call the function once, and keep its processor time if it is the shortest."""
        start = time.process_time()
        self._call()
        self.seconds = min(self.seconds, time.process_time() - start)


def interleaved(calls: Sequence[Call], seconds: float) -> list[list[float]]:
    """Time several functions in rounds, each of which measures every function once, in random order.

    Returns, for each function, a list of its times in seconds. Rounds make other load on the machine affect all
    functions alike. Before each measurement of a short call the same function runs once untimed, because the previous
    function has filled the CPU cache with other data. seconds: rounds continue for this long, but there are at least
    MIN_ROUNDS.
    """
    order = np.random.default_rng(0)
    repeats, are_short = [], []
    for call in calls:
        call()
        once = _timed(call, 1)
        repeats.append(max(1, round(MIN_SECONDS / once)))
        are_short.append(once <= MAX_WARM_UP)
    times: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + seconds
    while len(times[0]) < MIN_ROUNDS or time.perf_counter() < end:
        for i in order.permutation(len(calls)):
            if are_short[i]:
                calls[i]()
            times[i].append(_timed(calls[i], repeats[i]))
    return times


def _timed(call: Call, repeat: int) -> float:
    """Mean time of a call in seconds, measured over `repeat` calls."""
    start = time.perf_counter()
    for _ in range(repeat):
        call()
    return (time.perf_counter() - start) / repeat


def _methods(
    model: Autoencoder,
    sessions: "Mapping[str, InferenceSession]",
    work: Callable[[str, int], Work],
    n: int,
) -> dict[str, MethodCalls]:
    """The calls of each method of the model on n images, by name of the method.

    sessions: onnxruntime's sessions, by file name of the graph. work: the work of a graph for a number of rows.
    """
    manifest = model.manifest
    latents = model.sample_latents(n, seed=0)  # latents (n, d)
    floats, levels = model.decode(latents), model.decode(latents, dtype="uint8")  # images (n, H, W[, 3])
    encode = _baseline(sessions[ENCODER], image=to_tensor(levels, manifest.image))
    decode = sample = _baseline(sessions[DECODER], latent=latents)
    encode_work, decode_work = work(ENCODER, n), work(DECODER, n)
    sample_work = decode_work
    if manifest.default_prior in manifest.learned_priors:
        labels = {"label": np.zeros(n, np.int64)} if manifest.labels else {}
        graph = manifest.learned_priors[manifest.default_prior].graph
        sample = _in_turn(_baseline(sessions[graph], noise=np.zeros_like(latents), **labels), decode)
        sample_work += work(graph, n)
    ends = floats[: max(1, n // INTERPOLATION_STEPS)]
    ends_encode = _baseline(sessions[ENCODER], image=to_tensor(ends, manifest.image))
    path_decode = _baseline(sessions[DECODER], latent=np.repeat(latents[: len(ends)], INTERPOLATION_STEPS, 0))
    path_images = len(ends) * INTERPOLATION_STEPS
    return {
        "encode": MethodCalls(lambda: model.encode(floats), encode, encode_work, n),
        "encode uint8": MethodCalls(lambda: model.encode(levels), encode, encode_work, n),
        "decode": MethodCalls(lambda: model.decode(latents), decode, decode_work, n),
        "decode uint8": MethodCalls(lambda: model.decode(latents, dtype="uint8"), decode, decode_work, n),
        "reconstruct": MethodCalls(
            lambda: model.reconstruct(floats), _in_turn(encode, decode), encode_work + decode_work, n
        ),
        "interpolate": MethodCalls(
            lambda: model.interpolate(ends, ends, steps=INTERPOLATION_STEPS),
            _in_turn(ends_encode, ends_encode, path_decode),
            work(ENCODER, len(ends)) + work(ENCODER, len(ends)) + work(DECODER, path_images),
            path_images,
        ),
        "sample uint8": MethodCalls(lambda: model.sample(n, seed=0, dtype="uint8"), sample, sample_work, n),
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
