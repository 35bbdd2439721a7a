"""Safe forks while threads run: a child inherits no lock that is taken, and drops what its missing threads used.

A child has only the thread that forked. A lock that another thread held stays taken in the child for ever: the lock of
a module that was being imported, or a lock of onnxruntime while it opened a network. A fork therefore waits until such
work is done. This module is imported with the package, so it imports almost nothing itself.
"""

import os
import sys
import time
from _thread import RLock, get_ident
from weakref import WeakSet

TYPE_CHECKING = False  # like typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from typing import Protocol

    class Abandoning(Protocol):
        """An object with locks, threads or sessions that a forked child cannot use."""

        def abandon(self) -> None:
            """Replace or drop these locks, threads or sessions in the child process."""


MAX_WAIT = 60.0  # seconds until a fork goes ahead anyway, in case two threads wait for each other
POLL_INTERVAL = 0.001  # seconds between checks while a fork waits
FORK_LOCKS = {
    "logging": "_lock",
    "concurrent.futures.thread": "_global_shutdown_lock",
}  # standard modules that take a lock before every fork, and the names of these locks

_abandoning: "WeakSet[Abandoning]" = WeakSet()
_lock = RLock()  # guards _open_blocks; a thread holds it while it forks
_open_blocks: dict[int, int] = {}  # thread identifier -> number of `no_fork` blocks it is in


def abandon_in_children(instance: "Abandoning") -> None:
    """Call `instance.abandon()` in every child that is forked while the instance lives."""
    _abandoning.add(instance)


class no_fork:  # noqa: N801 - used as `with no_fork():`
    """A block during which no other thread forks. It is used around late imports and the opening of networks.

    Several threads may be in such blocks at once. A block must not wait for a lock that a forking thread may hold.
    """

    def __enter__(self) -> None:
        with _lock:
            _open_blocks[get_ident()] = _open_blocks.get(get_ident(), 0) + 1

    def __exit__(self, *error: object) -> None:
        with _lock:
            remaining = _open_blocks.pop(get_ident(), 1) - 1
            if remaining > 0:
                _open_blocks[get_ident()] = remaining


def _before_fork() -> None:
    imported = [module for module in FORK_LOCKS if module in sys.modules]
    _wait_for_blocks()
    # A module that was imported during the wait was too late to take its lock before this fork, but it will release the
    # lock after the fork. The lock is therefore taken here.
    for module in FORK_LOCKS.keys() - imported:
        lock = getattr(sys.modules.get(module), FORK_LOCKS[module], None)
        if lock is not None:
            lock.acquire()


def _wait_for_blocks() -> None:
    """Wait until no other thread is in a `no_fork` block, and return with `_lock` taken.

    After MAX_WAIT it returns anyway.
    """
    deadline = time.monotonic() + MAX_WAIT
    _lock.acquire()
    while _open_blocks.keys() - {get_ident()}:
        if time.monotonic() > deadline:
            _open_blocks.clear()
            return
        _lock.release()
        time.sleep(POLL_INTERVAL)
        _lock.acquire()


def _after_fork_in_parent() -> None:
    try:
        _lock.release()
    except RuntimeError:  # the lock is not taken, because a signal ended the wait
        return


def _after_fork_in_child() -> None:
    global _lock  # noqa: PLW0603 - a lock cannot be replaced in place
    try:
        _lock.release()  # taken by this thread, the only one in a child
    except RuntimeError:
        _lock = RLock()
    for instance in list(_abandoning):
        instance.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
