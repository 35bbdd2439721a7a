"""A fork beside threads: no child hangs, and none inherits a lock that a thread of its parent held."""

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
    done = subprocess.run([sys.executable, SOAK, *arguments], capture_output=True, text=True, timeout=300)
    return done.returncode, json.loads(done.stdout), done.stderr


def test_five_seconds_of_threads_and_forks_hang_nowhere_and_are_right_everywhere():
    code, found, errors = soak("--seconds", "5", "--seed", "0")
    assert code == 0, (found, errors)
    assert found["calls"] > 10
    assert found["fork"] > 2
    assert found["multiprocessing"] > 2


@pytest.mark.parametrize("seed", range(2))
def test_a_child_that_is_forked_while_a_thread_uses_aegen_for_the_first_time_does_not_hang(seed):
    code, found, errors = soak("--first-use", "--seed", str(seed))
    assert code == 0, errors
    assert found["hangs"] == found["failed children"] == 0
    assert found["first-use children"] > 0


def test_no_property_of_the_runtime_has_a_lock_that_all_instances_share():
    found = []
    for module in pkgutil.walk_packages(aegen.runtime.__path__, "aegen.runtime."):
        for name, one in vars(importlib.import_module(module.name)).items():
            if isinstance(one, type):
                held = [key for key, value in vars(one).items() if isinstance(value, functools.cached_property)]
                found += [f"{module.name}.{name}.{key}" for key in held]
    assert found == []


def test_a_fork_waits_for_the_end_of_what_must_not_be_cut_in_two():
    from aegen.runtime.forks import no_fork

    begun, done = threading.Event(), []

    def work():
        with no_fork():
            begun.set()
            time.sleep(0.3)
            done.append(True)

    threading.Thread(target=work).start()
    assert begun.wait(10)
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


def test_threads_are_in_such_blocks_at_the_same_time():
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
