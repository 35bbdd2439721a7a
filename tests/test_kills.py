"""A killed training command can be resumed, and then writes the same bytes as an uninterrupted one.

These are a few cases of attack/kills.py, which kills a command just before it changes an output file, or in the middle
of a write, and then continues it.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).parent / "attack" / "kills.py"


@pytest.mark.skipif(sys.platform != "linux", reason="the harness forks, and reads paths from /proc")
@pytest.mark.parametrize(
    ("commands", "options"),
    [
        ("train", ("--points", "12", "--seed", "0")),
        ("train-prior,refine,train-features", ("--points", "2", "--seed", "1")),
    ],
)
def test_killed_commands_continue_to_the_same_bytes(commands, options):
    process = subprocess.run(
        [sys.executable, HARNESS, "--only", commands, *options], capture_output=True, text=True, timeout=300
    )
    assert process.returncode == 0, process.stdout + process.stderr
    report = json.loads(process.stdout)
    assert report["kills"] >= 6
    assert report["resumed"] > report["kills"] // 4
    assert report["lost"] == report["differing"] == []
