"""How long measurements tell their callers how far they have come."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]  # receives the name of a step, how much of it is done, and the total


def no_progress(step: str, done: int, total: int) -> None:
    """Do nothing: the default for callers that do not want to know."""
