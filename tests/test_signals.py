"""A signal during start-up ends the program with exit code 129, 130 or 143, and at most one line on standard error."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import aegen
import numpy as np
import pytest

STARTS = 9  # number of times that a command is started for each signal
MAX_DELAY = 0.4  # seconds after the start of aegen's own code by which all signals are sent
# This program writes to a pipe when aegen's own code begins. Until then, Python handles signals, so the test waits.
REPORTING_START = """
import os, sys
fd = int(sys.argv[1])
sys.argv = sys.argv[2:]
import aegen.__main__
os.write(fd, b"begun")
aegen.__main__.program()
"""
INSTALLED = Path(sys.executable).with_name("aegen")


def restore_default_signals():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def started(folder, *arguments):
    """Start an aegen command in a new process, and return the process as soon as it runs aegen's own code."""
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", REPORTING_START, str(writer), "aegen", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=[writer],
        preexec_fn=restore_default_signals,
    )
    os.close(writer)
    assert os.read(reader, 5) == b"begun"
    os.close(reader)
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_at_any_moment_of_the_start_ends_it_with_one_line_at_most(tmp_path, number, code):
    ended = 0
    for start in range(STARTS):
        process = started(tmp_path, "sample", "-n", "64", "--seed", "1", "-o", f"{start}.png")
        time.sleep(MAX_DELAY * start / STARTS)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        finished = process.returncode == 0
        assert finished or process.returncode == code, errors
        assert finished or errors in ("Interrupted.\n" if number == signal.SIGINT else "", ""), errors
        ended += not finished
    assert ended > 0
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]


def test_both_programs_handle_signals_before_any_slow_import(tmp_path):
    code = "import sys, aegen.__main__; print(sorted({'click', 'typing', 'numpy', 'threading'} & set(sys.modules)))"
    (tmp_path / "aegen").symlink_to(Path(aegen.__file__).resolve().parent)
    path = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-S", "-c", code], env=path, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
    assert "from aegen.__main__ import program" in INSTALLED.read_text()


def test_a_signal_that_the_parent_process_ignores_stays_ignored(tmp_path):
    command = f"trap '' INT TERM; exec {sys.executable} -m aegen sample -n 20000 --model mnist-ae -o many.npy"
    process = subprocess.Popen(["sh", "-c", command], cwd=tmp_path, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(tmp_path.iterdir()):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert np.load(tmp_path / "many.npy", mmap_mode="r").shape == (20_000, 28, 28)
