"""What a forked child must not go on with: threads, and locks that a thread of its parent may have held."""

import os
import weakref
from typing import Protocol


class Abandons(Protocol):
    """Something that has what a child cannot use, and can do without."""

    def abandon(self) -> None:
        """Forget it, in the child."""


_all: "weakref.WeakSet[Abandons]" = weakref.WeakSet()


def abandon_in_children(one: Abandons) -> None:
    """Have every child that is forked while `one` lives abandon what it has."""
    _all.add(one)


def _after_fork() -> None:
    for one in list(_all):
        one.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
