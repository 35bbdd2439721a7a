"""Run a command in a new process, and measure the time and memory of the process. Needs Linux or macOS."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

RSS_BYTES = 1 if sys.platform == "darwin" else 1024  # bytes in the unit of ru_maxrss; macOS counts bytes


class Measured(NamedTuple):
    """The resources of a process. wall: seconds by the clock. cpu: processor seconds. peak_mb: peak memory in MB."""

    wall: float
    cpu: float
    peak_mb: float
    output: str


def run_measured(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Measured:
    """Run a command to its end. If it fails, this program exits with the command's messages.

    environment: by default that of this process, without onnxruntime's telemetry. The memory of this process counts as
    the child's, so this process should not import large libraries.
    """
    environment = environment or {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as messages:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=messages, env=environment)
        _, status, usage = os.wait4(process.pid, 0)  # its usage is that of this one child process
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        messages.seek(0)
        if process.returncode:
            sys.exit(f"{' '.join(command)}: {messages.read().decode()}")
        return Measured(
            wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * RSS_BYTES / 1e6, output.read().decode()
        )
