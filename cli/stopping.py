"""Signals that end a program, as exceptions: what was begun is then taken away or kept whole."""

import signal
import sys

ENDED = 128  # plus a signal's number: what a shell reports of a program that the signal ended
INTERRUPTED = ENDED + signal.SIGINT

_told: list[int] = []


def end_on_signals() -> None:
    """From now on SIGTERM and SIGHUP raise SystemExit, unless whoever started the program has them ignored.

    Ctrl-C raises KeyboardInterrupt, as Python has it.
    """
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _end)


def end_if_told() -> None:
    """Raise SystemExit again if a signal has raised it and it was lost.

    Python drops what is raised in a callback, of which importing a module runs many. Long work asks here now and then.
    """
    if _told:
        sys.exit(ENDED + _told[0])


def _end(number: int, frame: object) -> None:
    _told.append(number)
    end_if_told()
