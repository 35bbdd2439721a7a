"""Run a command as a process of its own, and measure its time and memory. Needs Linux or macOS."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

RSS_BYTES = 1 if sys.platform == "darwin" else 1024  # unit of the system's peak memory: macOS counts in bytes


class Measured(NamedTuple):
    """The resources of a process. wall, cpu: seconds, the latter of user and system. peak_mb: peak memory in MB."""

    wall: float
    cpu: float
    peak_mb: float
    output: str


def run_measured(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Measured:
    """Run a command to its end. Exits with its messages if it fails.

    environment: by default that of this process, without onnxruntime's telemetry. The memory of this process counts as
    the child's, so this process should not import large libraries.
    """
    environment = environment or {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as messages:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=messages, env=environment)
        _, status, usage = os.wait4(process.pid, 0)  # also gives the peak memory of this process alone
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        messages.seek(0)
        if process.returncode:
            sys.exit(f"{' '.join(command)}: {messages.read().decode()}")
        return Measured(
            wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * RSS_BYTES / 1e6, output.read().decode()
        )
