"""Messages and progress bars on standard error. The option --quiet turns them off."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click

from .stopping import raise_pending_signal

if TYPE_CHECKING:
    import numpy as np

    Report = Callable[[str, int, int], None]  # receives the name of a step, how much of it is done, and the total

PROGRESS_DELAY = 1.0  # seconds before a progress bar appears
PART_ROWS = 4096  # number of images or latents processed between two updates of a progress bar
QUIET = f"{__name__}.quiet"  # key in the metadata of click's context


def _set_quiet(context: click.Context, parameter: click.Parameter, quiet: bool) -> None:
    if quiet:
        be_quiet()


def be_quiet() -> None:
    """Print no messages from now on, as with --quiet."""
    click.get_current_context().meta[QUIET] = True


# The option --quiet, which the group of commands adds to every command.
quiet_option = click.Option(
    ["-q", "--quiet"],
    is_flag=True,
    expose_value=False,
    callback=_set_quiet,
    help="Print no progress, notes or results on standard error, only errors.",
)


def is_quiet() -> bool:
    """Whether the command that runs was given --quiet."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(QUIET))


def say(sentence: str) -> None:
    """Print a sentence on standard error, unless the user asked for quiet."""
    if not is_quiet():
        click.echo(sentence, err=True)


def done(output: str, contents: str) -> None:
    """Print on standard error what was written to the file or folder `output`; for - (standard output) nothing."""
    if output != "-":
        say(f"{output}: {contents}")


def note(remark: str) -> None:
    """Print a remark on standard error, such as how an ambiguous file was read."""
    say(f"Note: {remark}")


def plural(count: int, noun: str) -> str:
    """A count with its noun: `1 image`, `2 images`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def parts(rows: "np.ndarray") -> Iterator["np.ndarray"]:
    """Yield slices of PART_ROWS rows of an array (n, ...). If it is memory-mapped, only one slice is in memory."""
    from ..runtime.arrays import forget

    for start in range(0, len(rows), PART_ROWS):
        yield rows[start : start + PART_ROWS]
        forget(rows)


def with_progress(chunks: Iterable["np.ndarray"], count: int, step: str = "") -> Iterator["np.ndarray"]:
    """Yield the given chunks, arrays (rows, ...), unchanged, and show a progress bar if the loop over them takes long.

    count: number of rows in all chunks together. step: text before the bar.
    """
    rows_done = 0
    with progress_bars() as report:
        for chunk in chunks:
            yield chunk
            rows_done += len(chunk)
            report(step, rows_done, count)


@contextmanager
def progress_bars(*, hidden: bool = False) -> Iterator["Report"]:
    """Yield a function `report(step, done, total)` that shows how far a long job has come.

    Each step of the job has its own progress bar. Bars appear on standard error once the job has taken PROGRESS_DELAY
    seconds, but only if standard error is a terminal. Every call also raises the exception of a pending signal.
    hidden: show no bar, because something else shows the progress.
    """
    began = time.monotonic()
    hidden = hidden or is_quiet() or not _on_terminal()
    with ExitStack() as open_bar:
        bar: Any = None  # Any, because click's type of a progress bar is private

        def report(step: str, done: int, total: int) -> None:
            nonlocal bar
            raise_pending_signal()
            if bar is not None and (bar.label != step or bar.length != total):
                open_bar.close()
                bar = None
            if bar is None and done < total and time.monotonic() - began > PROGRESS_DELAY:
                bar = open_bar.enter_context(
                    click.progressbar(length=total, label=step, file=sys.stderr, hidden=hidden, show_pos=True)
                )
            if bar is not None:
                bar.update(done - bar.pos)

        yield report


@contextmanager
def one_bar(total: int) -> Iterator[Any]:
    """Yield click's progress bar of length `total` for a job of several steps; None with --quiet or no terminal.

    The second argument of its method `update` is the text after the bar.
    """
    if is_quiet() or not _on_terminal():
        yield None
        return
    with click.progressbar(length=max(total, 1), file=sys.stderr, item_show_func=lambda text: text) as bar:
        yield bar


def _on_terminal() -> bool:
    """Whether standard error is a terminal. Python sets `sys.stderr` to None when the caller has closed it."""
    return sys.stderr is not None and sys.stderr.isatty()
