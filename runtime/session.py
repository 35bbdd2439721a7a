"""Networks that run on onnxruntime. Only this module imports onnxruntime and opens sessions."""

import ctypes
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

# Disable telemetry before onnxruntime is imported. Otherwise the import of official wheels since 1.29 starts a thread,
# writes files under the home folder and opens connections; the API can disable telemetry only after the import. If the
# user has set this variable, its value is kept.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np

from .errors import ArtifactError, ExecutionError, MissingDependencyError
from .forks import abandon_in_children, no_fork
from .graphs.check import check_graph
from .manifest import DTYPES, Graph
from .pixels import is_within_unit

try:
    # This import also fails if onnxruntime was uninstalled but an empty folder `onnxruntime` was left behind.
    from onnxruntime import ExecutionMode, GraphOptimizationLevel, InferenceSession, SessionOptions
    from onnxruntime.capi import onnxruntime_pybind11_state as binding
except ImportError as error:
    raise MissingDependencyError(
        "onnxruntime cannot be imported",
        found=error,
        expected="an installed build of onnxruntime",
        remedy="`aegen doctor` shows what is installed and how to repair it.",
    ) from error

CPU = "CPUExecutionProvider"
LOG_FATAL = 4  # a log level at which onnxruntime prints no error messages; its exceptions contain them
NO_FOLDER = str(Path(__file__) / "none")  # no such folder can exist, because the path is below a file
MAX_RUN_VALUES = 1 << 26  # limit on the values in one run, 268 MB of float32; larger batches take several runs
MAX_ROUNDING = 1e-3  # how far pixels may lie outside the image range, as a fraction of that range
ORT_ERRORS: tuple[type[Exception], ...] = (
    *(kind for kind in vars(binding).values() if isinstance(kind, type) and issubclass(kind, Exception)),
    RuntimeError,
    ValueError,
    TypeError,
)

# numpy builds `dtype.name` anew at each access, which takes as long as all other checks of one image.
DTYPE_NAMES = {np.dtype(name): name for name in DTYPES}


class Network:
    """One ONNX graph, opened when it is first run, and opened again in a forked process.

    read: function that returns the file's bytes, already verified. where: the file's name, for error messages.
    expected: the inputs and outputs that the graph must have. image_range: the values of black and white in an
    output `image`. Any number of threads may run a network at once; each run computes on its calling thread
    alone.
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
        self._max_rows = 1  # limit on the batch size of one run, set when the network is opened
        self._lock = threading.Lock()
        self._session: InferenceSession | None = None
        self._is_claimed = False
        abandon_in_children(self)

    def claim_opening(self) -> bool:
        """Return True to the first caller, who should then open the network, and False to all later callers.

        False is also returned if the network is open already. At most one background thread therefore opens it.
        """
        is_first = not self._is_claimed and self._session is None
        self._is_claimed = True
        return is_first

    def open(self) -> None:
        """Open the network unless it is already open.

        Raises ArtifactError if the file's graph is refused, and ExecutionError if onnxruntime cannot load it.
        """
        self._opened()

    def run(self, output: str, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Run the network and return one output (n, ...). The inputs, checks and errors are those of `outputs`."""
        return self.outputs((output,), inputs)[0]

    def outputs(self, names: Sequence[str], inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Run the network and return several outputs, in the order of `names`, each an array (n, ...).

        inputs: arrays (n, ...) by name, in the dtypes of the manifest. Returned outputs are finite, and images lie
        within the image range. Raises ArtifactError if the graph is refused or an output has another shape or dtype
        than the manifest says, and ExecutionError if onnxruntime fails or an output is not finite or out of range.
        """
        session = self._opened()
        n = len(next(iter(inputs.values())))
        if n > self._max_rows:
            cuts = [slice(start, start + self._max_rows) for start in range(0, n, self._max_rows)]
            parts = [self.outputs(names, {name: array[cut] for name, array in inputs.items()}) for cut in cuts]
            return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
        try:
            results: list[np.ndarray] = session.run(names, inputs)
        except ORT_ERRORS as error:
            raise ExecutionError(f"{self._where}: onnxruntime failed", found=_one_line(error)) from error
        for name, result in zip(names, results, strict=True):
            self._check(name, result, n)
        return results

    def _check(self, name: str, result: np.ndarray, n: int) -> None:
        """Check the shape, dtype and values of an output with n rows, and clip an image to its range in place."""
        tensor = self._outputs[name]
        expected = (tensor.dtype, (n, *tensor.shape[1:]))
        if (DTYPE_NAMES.get(result.dtype), result.shape) != expected:
            found = f"{result.dtype} {result.shape}"
            raise ArtifactError(f"{self._where}: {name}", found=found, expected=f"{expected[0]} {expected[1]}")
        if name == "image":
            self._check_range(result)
        elif not np.isfinite(result).all():
            found = "values that are not finite"
            raise ExecutionError(f"{self._where}: {name}", found=found, expected="finite numbers")

    def _check_range(self, image: np.ndarray) -> None:
        """Raise ExecutionError unless images (n, C, H, W) are in the image range. Clip rounding errors in place."""
        low, high = self._image_range
        if not image.size or ((low, high) == (0, 1) and is_within_unit(image)):
            return
        smallest, largest, margin = float(image.min()), float(image.max()), MAX_ROUNDING * (high - low)
        if not (low - margin <= smallest and largest <= high + margin):
            found = f"values from {smallest:.6g} to {largest:.6g}"
            raise ExecutionError(f"{self._where}: image", found=found, expected=f"values from {low:g} to {high:g}")
        np.clip(image, np.float32(low), np.float32(high), out=image)

    def _opened(self) -> InferenceSession:
        """The onnxruntime session. The first call opens it, and raises the errors of `open`."""
        session = self._session
        if session is None:
            with self._lock:
                if self._session is None:
                    content = self._read()
                    cost = check_graph(content, self._where, self._expected)
                    self._max_rows = max(1, (MAX_RUN_VALUES - cost.fixed) // max(1, cost.values))
                    with no_fork():  # opening takes locks of onnxruntime, which a forked child could never release
                        self._session = open_session(content, self._where)
                session = self._session
        return session

    def abandon(self) -> None:
        """Drop the parent process's session in a forked child, which opens a session of its own when needed.

        A thread of the parent may have held locks of the session and of this object during the fork. These locks stay
        held in the child for ever, and destroying the session would wait for them. An extra reference to the session
        therefore ensures that it is never destroyed.
        """
        if self._session is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._session))
        self._lock, self._session, self._is_claimed = threading.Lock(), None, False


def open_session(model: bytes, where: str, threads: int = 1) -> InferenceSession:
    """Open an onnxruntime session on the CPU.

    model: the content of an ONNX file. where: the file's name, for error messages. threads: how many threads compute
    one run; with 1 the session starts no threads, so that it opens sooner. Raises ExecutionError if onnxruntime cannot
    load the file.
    """
    options = SessionOptions()
    # The number of threads is set, because by default onnxruntime pins a thread to each core of the host, which fails
    # in containers.
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_ALL
    # Memory patterns are off: onnxruntime would keep a memory plan per input shape, and varying batch sizes would use
    # up memory.
    options.enable_mem_pattern = False
    # Spinning is off, because threads that spin while they wait keep cores busy between runs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = LOG_FATAL
    # In addition to `check_graph`, these settings and `read_config_from_model=0` keep a model from reading other files,
    # from having another format than ONNX, and from changing session options.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", NO_FOLDER)
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return InferenceSession(model, options, providers=[CPU], enable_fallback=0, read_config_from_model=0)
    except ORT_ERRORS as error:
        raise ExecutionError(f"{where}: onnxruntime cannot load it", found=_one_line(error)) from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
