"""Signals that end the program are turned into exceptions, so that unfinished output is removed or completed."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNAL_EXIT = 128  # plus the number of a signal: the exit code by which shells report it
INTERRUPTED = SIGNAL_EXIT + signal.SIGINT
SIGNALS = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))
IMPORT_FILE = "<frozen importlib._bootstrap>"  # file name of the frames in which Python imports a module

_pending: list[int] = []  # signals whose exception may have been lost
_previous_handlers: dict[int, Any] = {}


@contextmanager
def signals_as_exceptions() -> Iterator[None]:
    """Within the block Ctrl-C raises KeyboardInterrupt, and SIGTERM and SIGHUP raise SystemExit.

    Signals that the parent process ignores stay ignored. The previous handlers are restored after the block.
    """
    hook = sys.unraisablehook
    try:
        install_signal_handlers()
        yield
    finally:
        for number, handler in _previous_handlers.items():
            signal.signal(number, handler)
        _previous_handlers.clear()
        sys.unraisablehook = hook


def install_signal_handlers() -> None:
    """Turn signals into exceptions, as `signals_as_exceptions` does, until the program ends."""
    sys.unraisablehook = _record_lost_signals(sys.unraisablehook)
    for number in SIGNALS:
        previous = signal.getsignal(number)
        if previous is not signal.SIG_IGN and previous is not None and number not in _previous_handlers:
            _previous_handlers[number] = previous
            signal.signal(number, _handle)


def raise_pending_signal() -> None:
    """Raise the exception of a signal again if Python dropped it.

    Python drops exceptions raised in some callbacks, and an import runs many of those. Long jobs call this regularly.
    """
    if _pending and _pending[0] == signal.SIGINT:
        raise KeyboardInterrupt(_pending.pop(0))
    if _pending:
        sys.exit(SIGNAL_EXIT + _pending[0])


def has_unfinished_output() -> bool:
    """Whether a half-written file or folder exists, which an exception removes."""
    temporary = sys.modules.get(f"{__name__.removesuffix('.cli.stopping')}.files.temporary")
    return bool(getattr(temporary, "unfinished_paths", None))  # the module may be half imported


def _handle(number: int, frame: FrameType | None) -> None:
    previous: Any = _previous_handlers.get(number)
    exits_at_once = callable(previous) and previous is not signal.default_int_handler
    if exits_at_once and _is_importing(frame) and not has_unfinished_output():
        previous(number, frame)
    if number == signal.SIGINT:  # not recorded as pending, because the function that catches it handles it
        raise KeyboardInterrupt
    _pending.append(number)
    raise_pending_signal()


def _is_importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported: an exception raised now could be lost, or look like an import error."""
    while frame is not None:
        if frame.f_code.co_filename == IMPORT_FILE:
            return True
        frame = frame.f_back
    return False


def _record_lost_signals(usual: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A hook for exceptions that Python drops: it records those of signals, and passes all others on to `usual`."""

    def hook(lost: Any) -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            _pending.append(signal.SIGINT)
        elif not (issubclass(lost.exc_type, SystemExit) and _pending):
            usual(lost)

    return hook
