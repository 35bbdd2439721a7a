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

from .arguments import count
from .errors import ExecutionError, InputError
from .forks import abandon_in_children

CPU = "CPUExecutionProvider"
THREADS = "AEGEN_THREADS"  # a variable of the environment
MOST, USUAL_MOST = 256, 16  # threads, and by default: batches are too small to keep more of them busy


class Network:
    """One ONNX graph: opened when it is first run, and opened anew in a process that was forked.

    read: gives the file's bytes, already verified. where: the file, for errors. Running is safe from many threads at
    once, and each runs on its own thread alone.
    """

    def __init__(self, read: Callable[[], bytes], where: str) -> None:
        self._read, self._where = read, where
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
        with contextlib.suppress(Exception):
            self._opened()

    def run(self, output: str, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """One named output for the named inputs. Raises ExecutionError with onnxruntime's words when it fails."""
        return self.outputs((output,), inputs)[0]

    def outputs(self, names: Sequence[str], inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Several named outputs of one run. Raises ExecutionError as `run` does."""
        session = self._opened()
        try:
            results: list[np.ndarray] = session.run(names, inputs)
        except Exception as error:
            raise ExecutionError(f"{self._where}: onnxruntime failed: {error}") from error
        return results

    def _opened(self) -> onnxruntime.InferenceSession:
        session = self._session
        if session is None:
            with self._lock:
                if self._session is None:
                    self._session = open_session(self._read(), self._where)
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
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(model, options, providers=[CPU])
    except Exception as error:
        raise ExecutionError(f"{where}: onnxruntime cannot load it: {error}") from error
    session.disable_fallback()
    return session


def chosen_threads(threads: int | None) -> int:
    """Threads to work with: those asked for, or AEGEN_THREADS, or the cores allowed, up to USUAL_MOST.

    Raises InputError.
    """
    text = os.environ.get(THREADS, "") if threads is None else str(count("threads", threads))
    if not text:
        return min(allowed_threads(), USUAL_MOST)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST):
        name = THREADS if threads is None else "threads"
        raise InputError(name, found=text, expected=f"a whole number from 1 to {MOST}")
    return int(text)


def allowed_threads() -> int:
    """Cores that this process may use: its CPU affinity, cut by its container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))
