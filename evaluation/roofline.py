"""What limits the speed of a method: a roofline model of its arithmetic and the machine's bandwidth.

Arithmetic takes at least as long as a matrix product with as many multiply-accumulates (MACs). Reading and writing
takes at least as long as copying as many bytes. What is left of a method's time is overhead: calls of onnxruntime and
of Python, random numbers, and functions such as a sigmoid. All times are processor times, which other programs on the
machine hardly change.
Source: S. Williams et al., Roofline: An Insightful Visual Performance Model, 2009.
"""

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Literal

import numpy as np

from ..runtime.artifact import Artifact
from ..runtime.graphs.check import check_graph
from ..runtime.manifest import FP16
from ..runtime.session import open_session
from ..runtime.workers import Workers

MATRIX_SIDE = 256  # side of the multiplied matrices, which fit into the cache of a core
COPY_BYTES = 4_000_000  # size of the array that is copied, about that of an operator's results
REPEATS = 3  # how many products and copies each thread makes in a measurement
FLOAT_BYTES = 4

Limit = Literal["arithmetic", "bandwidth", "overhead"]


@dataclass(frozen=True)
class Work:
    """What a call computes, reads and writes.

    macs: multiply-accumulates. bytes: size of the weights plus twice the size of the activations, because one operator
    writes an activation and another one reads it.
    """

    macs: int
    bytes: int

    def __add__(self, other: "Work") -> "Work":
        return Work(self.macs + other.macs, self.bytes + other.bytes)


@dataclass(frozen=True)
class GraphCost:
    """The cost of running a graph.

    macs: multiply-accumulates for one row of the batch. activation_bytes: size of all operators' results for one row.
    weight_bytes: size of the weights that a run reads.
    """

    macs: int
    activation_bytes: int
    weight_bytes: int

    def work(self, rows: int, threads: int) -> Work:
        """The work for a number of rows, which are divided among the threads; each part reads all weights."""
        runs = sum(1 for _ in Workers(threads).cut(rows, self.macs))
        return Work(rows * self.macs, 2 * rows * self.activation_bytes + runs * self.weight_bytes)


def graph_costs(artifact: Artifact) -> dict[str, GraphCost]:
    """The cost of every graph of an artifact, by file name.

    onnxruntime computes with weights in fp32 where an artifact stores them in fp16. A prior reads its weights once for
    each evaluation. Raises ArtifactError if a file is damaged or refused.
    """
    manifest = artifact.manifest
    stretch = 2 if manifest.precision == FP16 else 1
    evaluations = {prior.graph: prior.evaluations for prior in manifest.learned_priors.values()}
    costs = {}
    for file, graph in manifest.graphs.items():
        cost = check_graph(artifact.read(file), file, graph)
        weight_bytes = stretch * manifest.files[file].bytes * evaluations.get(file, 1)
        costs[file] = GraphCost(cost.macs, FLOAT_BYTES * cost.values, weight_bytes)
    return costs


@dataclass(frozen=True)
class Roofline:
    """Fractions of a method's processor time that arithmetic and memory traffic would take at the machine's peak.

    arithmetic, bandwidth: the fraction for arithmetic, and that for reading and writing memory. `arithmetic` may exceed
    1 for 8-bit integers, because the peak is measured with float32. peak_macs_per_second, peak_bytes_per_second: the
    peak of all threads together.
    """

    arithmetic: float
    bandwidth: float
    peak_macs_per_second: float
    peak_bytes_per_second: float

    @property
    def overhead(self) -> float:
        """The fraction of the time that neither arithmetic nor bandwidth explains; at least 0."""
        return max(0.0, 1 - self.arithmetic - self.bandwidth)

    @property
    def limit(self) -> Limit:
        """The largest of the three fractions: "arithmetic", "bandwidth" or "overhead"."""
        parts: dict[Limit, float] = {
            "arithmetic": self.arithmetic,
            "bandwidth": self.bandwidth,
            "overhead": self.overhead,
        }
        return max(parts, key=parts.__getitem__)


class Peak:
    """The machine's peak: how fast it multiplies and copies with a number of threads that all work at once.

    `measure` may be called several times; the shortest times count. Before the first call, both speeds are 0.
    """

    def __init__(self, threads: int) -> None:
        self._session = open_session(product_graph(), "matrix product")
        self._matrix = np.ones((MATRIX_SIDE, MATRIX_SIDE), np.float32)
        self._arrays = [(np.zeros(COPY_BYTES, np.uint8), np.zeros(COPY_BYTES, np.uint8)) for _ in range(threads)]
        self._pool, self._start = ThreadPoolExecutor(threads), Barrier(threads)
        self._shortest = [(math.inf, math.inf)] * threads  # per thread: seconds of a product, of a copy

    @property
    def macs_per_second(self) -> float:
        """Multiply-accumulates a second in float32 matrix products."""
        return sum(MATRIX_SIDE**3 / product for product, _ in self._shortest)

    @property
    def bytes_per_second(self) -> float:
        """Number of bytes read and written per second while arrays are copied."""
        return sum(2 * COPY_BYTES / copy for _, copy in self._shortest)

    def measure(self) -> None:
        """Time matrix products and copies on all threads, and keep the shortest times."""
        times = self._pool.map(self._times, range(len(self._arrays)))
        self._shortest = [
            (min(old[0], new[0]), min(old[1], new[1])) for old, new in zip(self._shortest, times, strict=True)
        ]

    def roofline(self, work: Work, cpu_seconds: float) -> Roofline:
        """The roofline of a method that does `work`. cpu_seconds: its processor time, summed over all threads."""
        macs, size, seconds = self.macs_per_second, self.bytes_per_second, cpu_seconds / len(self._arrays)
        return Roofline(work.macs / macs / seconds, work.bytes / size / seconds, macs, size)

    def _times(self, thread: int) -> tuple[float, float]:
        """The shortest seconds of a matrix product and of a copy on one thread, while the other threads do the same."""
        source, target = self._arrays[thread]
        self._start.wait()
        product = min(_seconds(self._multiply) for _ in range(REPEATS))
        return product, min(_seconds(lambda: np.copyto(target, source)) for _ in range(REPEATS))

    def _multiply(self) -> None:
        self._session.run(None, {"a": self._matrix, "b": self._matrix})


def _seconds(call: Callable[[], None]) -> float:
    start = time.thread_time()
    call()
    return time.thread_time() - start


def product_graph() -> bytes:
    """An ONNX file that multiplies two float32 matrices `a` and `b`.

    The field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
    """
    float32 = _field(1, _field(1, 1))  # the ONNX type "tensor of float32"
    a, b, c = (_field(1, name) + _field(2, float32) for name in ("a", "b", "c"))
    node = _field(1, "a") + _field(1, "b") + _field(2, "c") + _field(4, "MatMul")
    graph = _field(1, node) + _field(2, "product") + _field(11, a) + _field(11, b) + _field(12, c)
    return _field(1, 8) + _field(7, graph) + _field(8, _field(2, 18))  # IR version 8, opset 18


def _field(number: int, content: int | str | bytes) -> bytes:
    """A field of a protobuf message. content: an integer below 128, or a text or message of less than 128 bytes."""
    if isinstance(content, int):
        return bytes([number << 3, content])
    data = content.encode() if isinstance(content, str) else content
    return bytes([number << 3 | 2, len(data)]) + data
