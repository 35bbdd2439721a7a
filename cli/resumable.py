"""What the commands share whose training can be interrupted and resumed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from .messages import say
from .stopping import raise_pending_signal

Progress = TypeVar("Progress")
Result = TypeVar("Result")


def run_resumable(
    train: Callable[..., Result],
    describe: Callable[[Progress], str],
    save: Callable[[dict[str, Any]], None],
    training: Path,
    saved_at: str,
) -> Result:
    """Run a training, print its progress, and tell the user after Ctrl-C how to resume it. Returns its result.

    train: receives two functions: report(progress), which prints a line, and keep(state), which saves a state to resume
    from. describe: turns progress into that line. save: writes a state to the file `training`. saved_at: when the
    training saves its state, for the message.
    """

    def report(progress: Progress) -> None:
        say(describe(progress))
        raise_pending_signal()

    try:
        return train(report=report, keep=save)
    except KeyboardInterrupt:
        if training.exists():
            say(f"{training} keeps the state of the last {saved_at}; --resume continues from it.")
        raise


def refuse_unfinished(training: Path) -> None:
    """Raise OutputError when the file `training` holds the state of an unfinished training."""
    from ..runtime.errors import OutputError

    if training.exists():
        remedy = "Continue it with --resume, or delete it to begin anew."
        raise OutputError(str(training), found="an unfinished training", expected="none", remedy=remedy)
