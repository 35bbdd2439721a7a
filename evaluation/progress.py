"""The type of the functions by which long measurements report their progress."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]  # arguments: name of the step, amount done, total amount


def no_progress(step: str, done: int, total: int) -> None:
    """Ignore a progress report. This is the default of parameters of the type Progress."""
