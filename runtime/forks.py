"""Make forks safe while other threads run: wait until those threads hold no locks, and reset objects in the child.

A child process has only the thread that forked. If another thread holds a lock during the fork, this lock stays held in
the child for ever. Examples are the lock of a module that is being imported, and a lock of onnxruntime that opens a
network. A fork therefore waits until such work is done. Every import of the package imports this module. To stay fast,
this module imports almost nothing itself.
"""

import os
import sys
import time
from _thread import RLock, get_ident
from weakref import WeakSet

TYPE_CHECKING = False  # type checkers treat this name as True; importing it from typing would take longer
if TYPE_CHECKING:
    from typing import Protocol

    class Abandoning(Protocol):
        """An object whose locks, threads or sessions a forked child process discards, and creates anew if needed."""

        def abandon(self) -> None:
            """Discard the locks, threads and sessions that this child process has inherited from its parent."""


MAX_WAIT = 60.0  # a fork waits at most this many seconds, in case two threads wait for each other
POLL_INTERVAL = 0.001  # seconds between two checks whether a waiting fork may go ahead
FORK_LOCKS = {
    "logging": "_lock",
    "concurrent.futures.thread": "_global_shutdown_lock",
}  # keys: standard library modules that lock before every fork; values: the name of the lock in the module

_abandoning: "WeakSet[Abandoning]" = WeakSet()
_lock = RLock()  # protects _open_blocks; a forking thread holds the lock, so that no block begins during the fork
_open_blocks: dict[int, int] = {}  # thread identifier -> number of `no_fork` blocks that this thread is in


def abandon_in_children(instance: "Abandoning") -> None:
    """Call `instance.abandon()` in every child process that is forked while the instance exists."""
    _abandoning.add(instance)


class no_fork:  # noqa: N801 - used as `with no_fork():`
    """Context manager: a fork by another thread waits until the `with` block ends, at most MAX_WAIT seconds.

    Such a block encloses every import on first use, and every opening of a network. Several threads may be in such
    blocks at once. A block must not wait for a lock that a forking thread may hold, because that thread waits for the
    block.
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
    # A module that was imported during the wait registered its fork hooks too late to acquire its lock before this
    # fork, but its hooks will release the lock after the fork. Acquire it here, so that the release does not fail.
    for module in FORK_LOCKS.keys() - imported:
        lock = getattr(sys.modules.get(module), FORK_LOCKS[module], None)
        if lock is not None:
            lock.acquire()


def _wait_for_blocks() -> None:
    """Wait until no other thread is in a `no_fork` block, and return with `_lock` acquired.

    After MAX_WAIT seconds this function ignores the blocks that are still open, and returns anyway.
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
    except RuntimeError:  # the lock is not held, because a signal such as Ctrl-C interrupted the wait
        return


def _after_fork_in_child() -> None:
    global _lock  # noqa: PLW0603 - a lock cannot be replaced in place
    try:
        _lock.release()  # this thread acquired the lock before the fork
    except RuntimeError:
        _lock = RLock()
    for instance in list(_abandoning):
        instance.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
