"""A killed training command can be resumed, and then writes the same bytes as an uninterrupted one.

These are a few cases of attack/kills.py, which kills a command just before it changes an output file, or in the middle
of a write, and then continues it.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import sys
import traceback
from pathlib import Path

import pytest

HARNESS = Path(__file__).parent / "attack" / "kills.py"
MAX_SECONDS = 300


def run_harness(folder, *arguments):
    """Run kills.py in a fork of this process, which has already imported what a new process would have to import.

    Returns its exit code, its standard output and its standard error, which are kept in `folder`.
    """
    # Import this before the fork, so that later tests in this process need not import it again.
    importlib.import_module("torch._dynamo")
    child = os.fork()
    if child == 0:
        exit_code = 99
        try:
            signal.alarm(MAX_SECONDS)
            gc.freeze()  # otherwise garbage collection would copy memory that both processes share
            for number, name in enumerate(("stdout", "stderr"), 1):
                os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT), number)
                setattr(sys, name, os.fdopen(number, "w", closefd=False))
            sys.argv = [str(HARNESS), *arguments]
            sys.path.insert(0, str(HARNESS.parent))
            runpy.run_path(str(HARNESS), run_name="__main__")
        except SystemExit as end:
            exit_code = end.code if isinstance(end.code, int) else 1
            sys.stderr.write(f"{end}\n")
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(exit_code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), *((folder / name).read_text() for name in ("stdout", "stderr"))


@pytest.mark.skipif(sys.platform != "linux", reason="the harness forks, and reads paths from /proc")
@pytest.mark.parametrize(
    ("commands", "options"),
    [
        ("train", ("--points", "12", "--seed", "0")),
        ("train-prior,distill,refine,train-features", ("--points", "2", "--seed", "1")),
        ("create", ("--points", "8", "--seed", "2")),
    ],
)
def test_killed_commands_continue_to_the_same_bytes(tmp_path, commands, options):
    exit_code, output, errors = run_harness(tmp_path, "--only", commands, *options)
    assert exit_code == 0, output + errors
    report = json.loads(output)
    assert report["kills"] >= 6
    assert report["resumed"] > report["kills"] // 4
    assert report["lost"] == report["differing"] == []
