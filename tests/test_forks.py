"""A process with threads can fork: no child hangs, and no child inherits a lock held by a thread of its parent."""

import functools
import importlib
import json
import os
import pkgutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import aegen
import aegen.runtime
import pytest

SOAK = Path(__file__).parent / "attack" / "soak.py"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def soak(*arguments):
    """Run the soak test attack/soak.py, and return its exit code, its report and its standard error."""
    done = subprocess.run([sys.executable, SOAK, *arguments], capture_output=True, text=True, timeout=300)
    return done.returncode, json.loads(done.stdout), done.stderr


def test_five_seconds_of_threads_and_forks_never_hang_and_give_right_images():
    code, found, errors = soak("--seconds", "5", "--seed", "0")
    assert code == 0, (found, errors)
    assert found["calls"] > 10
    assert found["fork"] > 2
    assert found["multiprocessing"] > 2


@pytest.mark.parametrize("seed", range(2))
def test_a_child_forked_while_a_thread_uses_aegen_for_the_first_time_does_not_hang(seed):
    code, found, errors = soak("--first-use", "--seed", str(seed))
    assert code == 0, errors
    assert found["hangs"] == found["failed children"] == 0
    assert found["first-use children"] > 0


def test_no_class_of_the_runtime_uses_cached_property_whose_lock_a_child_could_inherit():
    found = []
    for module in pkgutil.walk_packages(aegen.runtime.__path__, "aegen.runtime."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, type):
                cached = [key for key, member in vars(value).items() if isinstance(member, functools.cached_property)]
                found += [f"{module.name}.{name}.{key}" for key in cached]
    assert found == []


def test_a_fork_waits_for_the_no_fork_blocks_of_other_threads():
    from aegen.runtime.forks import no_fork

    started, done = threading.Event(), []

    def work():
        with no_fork():
            started.set()
            time.sleep(0.3)
            done.append(True)

    threading.Thread(target=work).start()
    assert started.wait(10)
    child = os.fork()
    if child == 0:
        os._exit(0 if done else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_thread_may_fork_within_its_own_block_and_blocks_may_be_nested():
    from aegen.runtime.forks import no_fork

    with no_fork(), no_fork():
        child = os.fork()
        if child == 0:
            with no_fork():
                os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    child = os.fork()
    if child == 0:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_several_threads_may_be_in_no_fork_blocks_at_once():
    from aegen.runtime.forks import no_fork

    both = threading.Barrier(2)

    def work():
        with no_fork():
            both.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    with no_fork():
        both.wait(10)
    thread.join(10)
    assert not both.broken
