"""A part of the kill harness: training is killed in every gap between two changes of its files, others in a few."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).parent / "attack" / "kills.py"


@pytest.mark.skipif(sys.platform != "linux", reason="the harness forks, and tells by /proc what a path is")
@pytest.mark.parametrize(
    ("command", "options"), [("train", ("--seed", "0")), ("train-prior,refine", ("--gaps", "3", "--seed", "1"))]
)
def test_whatever_a_kill_cuts_off_goes_on_to_the_same_bytes(command, options):
    done = subprocess.run(
        [sys.executable, HARNESS, "--only", command, *options], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["kills"] >= 6
    assert report["resumed"] > report["kills"] // 4
    assert report["lost"] == report["differing"] == []
