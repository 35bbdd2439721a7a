"""Signals that end a program, as exceptions: what was begun is then taken away or kept whole."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ENDED = 128  # plus a signal's number: what a shell reports of a program that the signal ended
INTERRUPTED = ENDED + signal.SIGINT
NUMBERS = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))
IMPORTING = "<frozen importlib._bootstrap>"  # the file of frames in which a module is imported

_told: list[int] = []
_at_start: dict[int, Any] = {}  # the handlers that were there before


@contextmanager
def signals_raise() -> Iterator[None]:
    """In the block Ctrl-C raises KeyboardInterrupt, and SIGTERM and SIGHUP raise SystemExit.

    Signals that whoever started the program has ignored stay ignored. After the block the handlers of before are back.
    """
    hook = sys.unraisablehook
    try:
        end_on_signals()
        yield
    finally:
        for number, handler in _at_start.items():
            signal.signal(number, handler)
        _at_start.clear()
        sys.unraisablehook = hook


def end_on_signals() -> None:
    """From now on signals that end a program raise exceptions, as `signals_raise` says."""
    sys.unraisablehook = _remember_lost(sys.unraisablehook)
    for number in NUMBERS:
        before = signal.getsignal(number)
        if before is not signal.SIG_IGN and before is not None and number not in _at_start:
            _at_start[number] = before
            signal.signal(number, _end)


def end_if_told() -> None:
    """Raise the exception of a signal again if it was lost.

    Python drops what is raised in a callback, of which importing a module runs many. Long work asks here now and then.
    """
    if _told and _told[0] == signal.SIGINT:
        raise KeyboardInterrupt(_told.pop(0))
    if _told:
        sys.exit(ENDED + _told[0])


def _end(number: int, frame: FrameType | None) -> None:
    start = _at_start.get(number)
    if callable(start) and start is not signal.default_int_handler and _importing(frame) and not _unfinished():
        start(number, frame)
    if number == signal.SIGINT:  # who catches it has heard it
        raise KeyboardInterrupt
    _told.append(number)
    end_if_told()


def _importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported: an exception could be lost there, or be taken for an error of the module."""
    while frame is not None:
        if frame.f_code.co_filename == IMPORTING:
            return True
        frame = frame.f_back
    return False


def _unfinished() -> bool:
    """Whether there is a half-written file or folder that an exception has to take away."""
    files = sys.modules.get(f"{__name__.removesuffix('.cli.stopping')}.runtime.files")
    return bool(getattr(files, "unfinished", None))  # it may be half imported


def _remember_lost(usual: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A hook for exceptions that Python drops: those of signals are remembered, and not printed."""

    def hook(lost: Any) -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            _told.append(signal.SIGINT)
        elif not (issubclass(lost.exc_type, SystemExit) and _told):
            usual(lost)

    return hook
