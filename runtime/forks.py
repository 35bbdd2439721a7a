"""Forks beside threads: locks and threads that a child cannot use are left behind, and none is inherited taken.

A child has only the thread that forked. A lock that another thread held stays taken in it for ever: of a module that
was being imported, or within onnxruntime while it opened a network. A fork therefore waits for the end of such work.
This module is imported with the package and imports next to nothing itself.
"""

import os
import sys
import time
from _thread import RLock, get_ident
from weakref import WeakSet

TYPE_CHECKING = False  # that of typing, without importing it
if TYPE_CHECKING:
    from typing import Protocol

    class Abandons(Protocol):
        """Something that has what a child cannot use, and can do without."""

        def abandon(self) -> None:
            """Forget it, in the child."""


MAX_WAIT = 60.0  # seconds: a fork that waits longer goes on, for two threads may be waiting for each other
POLL = 0.001  # seconds
HOOKED = {
    "logging": "_lock",
    "concurrent.futures.thread": "_global_shutdown_lock",
}  # modules with hooks, and their locks

_all: "WeakSet[Abandons]" = WeakSet()
_lock = RLock()  # guards _blocks, and is held by a thread that forks
_blocks: dict[int, int] = {}  # of each thread: how many blocks of `no_fork` it is in


def abandon_in_children(one: "Abandons") -> None:
    """Have every child that is forked while `one` lives abandon what it has."""
    _all.add(one)


class no_fork:  # noqa: N801 - used as `with no_fork():`
    """Other threads fork before the block or after it: for late imports, and for opening networks.

    Any number of threads may be in such blocks at once. A block must not wait for what a forking thread may hold.
    """

    def __enter__(self) -> None:
        with _lock:
            _blocks[get_ident()] = _blocks.get(get_ident(), 0) + 1

    def __exit__(self, *error: object) -> None:
        with _lock:
            left = _blocks.pop(get_ident(), 1) - 1
            if left > 0:
                _blocks[get_ident()] = left


def _before_fork() -> None:
    hooked = [module for module in HOOKED if module in sys.modules]
    _wait_for_blocks()
    for module in (
        HOOKED.keys() - hooked
    ):  # imported meanwhile: their hooks after this fork release what those before took
        lock = getattr(sys.modules.get(module), HOOKED[module], None)
        if lock is not None:
            lock.acquire()


def _wait_for_blocks() -> None:
    deadline = time.monotonic() + MAX_WAIT
    _lock.acquire()
    while _blocks.keys() - {get_ident()}:
        if time.monotonic() > deadline:
            _blocks.clear()
            return
        _lock.release()
        time.sleep(POLL)
        _lock.acquire()


def _after_fork_in_parent() -> None:
    try:
        _lock.release()
    except RuntimeError:  # a signal has ended the wait for it
        return


def _after_fork_in_child() -> None:
    global _lock  # noqa: PLW0603 - a lock cannot be made anew in place
    try:
        _lock.release()  # which this thread took, the only one that a child has
    except RuntimeError:
        _lock = RLock()
    for one in list(_all):
        one.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
