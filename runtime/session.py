"""onnxruntime: the only place that imports it and opens sessions."""

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

# Before the first import: official wheels since 1.29 otherwise start a thread, write under the home folder and call
# out, and the switch in their API comes too late. A user who sets the variable keeps their choice.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as binding

from .errors import AegenError, ArtifactError, ExecutionError
from .forks import abandon_in_children, no_fork
from .graphs.check import check_graph
from .manifest import Graph

CPU = "CPUExecutionProvider"
FATAL = 4  # the level of onnxruntime's log: what it says otherwise is in its errors too
NOWHERE = str(Path(__file__) / "none")  # a folder below a file: nothing can ever be in it
RUN_VALUES = 1 << 26  # numbers that one run computes at most, 268 MB of float32; more rows take several runs
TOLERANCE = 1e-3  # of an image's range: rounding, beyond which a value is an error
ONE = np.float32(1).view(np.uint32)
FAILURES: tuple[type[Exception], ...] = (
    *(kind for kind in vars(binding).values() if isinstance(kind, type) and issubclass(kind, Exception)),
    RuntimeError,
    ValueError,
    TypeError,
)


class Network:
    """One ONNX graph: opened when it is first run, and opened anew in a process that was forked.

    read: gives the file's bytes, already verified. where: the file, for errors. expected: its inputs and outputs.
    image_range: the values of black and white, of an output `image`. What a run gives is held against both here.
    Running is safe from many threads at once, and each runs on its own thread alone.
    """

    def __init__(
        self,
        read: Callable[[], bytes],
        where: str,
        expected: Graph,
        image_range: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        self._read, self._where = read, where
        self._outputs = {tensor.name: tensor for tensor in expected.outputs}
        self._expected, self._image_range = expected, image_range
        self._rows = 1
        self._lock = threading.Lock()
        self._session: onnxruntime.InferenceSession | None = None
        self._begun = False
        abandon_in_children(self)

    def open_soon(self) -> None:
        """Begin to open it on a thread of its own, mostly outside Python's lock: other things are done meanwhile.

        Whoever runs it waits for that, and is told what is wrong with it; where no thread can be started, opens it.
        """
        if not self._begun:
            self._begun = True
            with contextlib.suppress(RuntimeError):
                threading.Thread(target=self._opened_or_not, name="aegen-opening").start()

    def _opened_or_not(self) -> None:
        with contextlib.suppress(AegenError, MemoryError, OSError):
            self._opened()

    def run(self, output: str, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """One named output for the named inputs. Raises ArtifactError or ExecutionError as `outputs` does."""
        return self.outputs((output,), inputs)[0]

    def outputs(self, names: Sequence[str], inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Several named outputs of one run, each of the shape and dtype that is expected, finite, and images in range.

        inputs: by name, n rows each. Raises ArtifactError when the graph is refused or gives another shape or dtype,
        ExecutionError with onnxruntime's words when it fails, or when what it gives is not finite or out of range.
        """
        session = self._opened()
        n = len(next(iter(inputs.values())))
        if n > self._rows:
            cuts = [slice(start, start + self._rows) for start in range(0, n, self._rows)]
            parts = [self.outputs(names, {name: array[cut] for name, array in inputs.items()}) for cut in cuts]
            return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
        try:
            results: list[np.ndarray] = session.run(names, inputs)
        except FAILURES as error:
            raise ExecutionError(f"{self._where}: onnxruntime failed", found=_one_line(error)) from error
        for name, result in zip(names, results, strict=True):
            self._check(name, result, n)
        return results

    def _check(self, name: str, result: np.ndarray, n: int) -> None:
        """Hold an output of n rows against what is expected of it; an image's values are cut to its range."""
        tensor = self._outputs[name]
        expected = (tensor.dtype, (n, *tensor.shape[1:]))
        if (result.dtype.name, result.shape) != expected:
            found = f"{result.dtype} {result.shape}"
            raise ArtifactError(f"{self._where}: {name}", found=found, expected=f"{expected[0]} {expected[1]}")
        if name == "image":
            self._check_range(result)
        elif not np.isfinite(result).all():
            found = "values that are not finite"
            raise ExecutionError(f"{self._where}: {name}", found=found, expected="finite numbers")

    def _check_range(self, image: np.ndarray) -> None:
        low, high = self._image_range
        # Floats from 0 have the order of their bits, and those of negative ones and of NaN come last: one pass tells.
        if not image.size or (low == 0 and high == 1 and image.view(np.uint32).max() <= ONE):
            return
        least, most, room = float(image.min()), float(image.max()), TOLERANCE * (high - low)
        if not (low - room <= least and most <= high + room):
            found = f"values from {least:.6g} to {most:.6g}"
            raise ExecutionError(f"{self._where}: image", found=found, expected=f"values from {low:g} to {high:g}")
        np.clip(image, np.float32(low), np.float32(high), out=image)

    def _opened(self) -> onnxruntime.InferenceSession:
        session = self._session
        if session is None:
            with self._lock:
                if self._session is None:
                    content = self._read()
                    cost = check_graph(content, self._where, self._expected)
                    self._rows = max(1, (RUN_VALUES - cost.fixed) // max(1, cost.values))
                    with no_fork():  # onnxruntime has locks of its own while it opens one
                        self._session = open_session(content, self._where)
                session = self._session
        return session

    def abandon(self) -> None:
        """In a forked child: forget the parent's session, to open one of its own when it is needed.

        A thread that does not exist here may have been running it, and have held its locks and this one. One more
        reference, never given back, keeps it from being destroyed, which would wait for them.
        """
        if self._session is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._session))
        self._lock, self._session, self._begun = threading.Lock(), None, False


def open_session(model: bytes, where: str, threads: int = 1) -> onnxruntime.InferenceSession:
    """A CPU session over a graph in memory. Raises ExecutionError when onnxruntime cannot load it.

    threads: that one run is spread over. With one, a session has none of its own: it opens sooner and burns nothing.
    """
    options = onnxruntime.SessionOptions()
    # Always explicit: the default sizes the pool by the host and pins its threads, which fails in containers.
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # A plan is kept for every input shape ever seen: without it varying batches do not ratchet memory.
    options.enable_mem_pattern = False
    # A spinning pool burns a core between the calls of a program that does other things.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = FATAL
    # What `check_graph` refuses has two walls: a graph can neither name files nor set options nor be of another format.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", NOWHERE)
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return onnxruntime.InferenceSession(
            model, options, providers=[CPU], enable_fallback=0, read_config_from_model=0
        )
    except FAILURES as error:
        raise ExecutionError(f"{where}: onnxruntime cannot load it", found=_one_line(error)) from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
