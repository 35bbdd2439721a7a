"""Turn signals that end the program into exceptions, so that unfinished output is removed or completed."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNAL_EXIT = 128  # after signal number n, the exit code is SIGNAL_EXIT + n, as is usual in shells
INTERRUPTED = SIGNAL_EXIT + signal.SIGINT
SIGNALS = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))
IMPORT_FILE = "<frozen importlib._bootstrap>"  # file name in the stack frames of Python's import system

_pending: list[int] = []  # signals, by number, whose handler raised an exception that Python may have swallowed
_previous_handlers: dict[int, Any] = {}


@contextmanager
def signals_as_exceptions() -> Iterator[None]:
    """Within the block, Ctrl-C raises KeyboardInterrupt, and SIGTERM and SIGHUP raise SystemExit.

    Signals that are already ignored, as by `nohup`, stay ignored. The previous handlers are restored after the block.
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
    """Turn signals into exceptions from now on, as `signals_as_exceptions` does within its block."""
    sys.unraisablehook = _record_lost_signals(sys.unraisablehook)
    for number in SIGNALS:
        previous = signal.getsignal(number)
        if previous is not signal.SIG_IGN and previous is not None and number not in _previous_handlers:
            _previous_handlers[number] = previous
            signal.signal(number, _handle)


def raise_pending_signal() -> None:
    """Raise the exception of a signal again if Python has dropped it.

    Python drops exceptions that are raised in some callbacks, such as weakref callbacks, and imports run many of them.
    Long jobs call this function regularly.
    """
    if _pending and _pending[0] == signal.SIGINT:
        raise KeyboardInterrupt(_pending.pop(0))
    if _pending:
        sys.exit(SIGNAL_EXIT + _pending[0])


def has_unfinished_output() -> bool:
    """Whether this process has a half-written file or folder, which is cleaned up when an exception is raised."""
    temporary = sys.modules.get(f"{__name__.removesuffix('.cli.stopping')}.files.temporary")
    return bool(getattr(temporary, "unfinished_paths", None))  # the attribute is missing during the module's import


def _handle(number: int, frame: FrameType | None) -> None:
    previous: Any = _previous_handlers.get(number)
    exits_at_once = callable(previous) and previous is not signal.default_int_handler
    if exits_at_once and _is_importing(frame) and not has_unfinished_output():
        previous(number, frame)
    if number == signal.SIGINT:  # KeyboardInterrupt is not added to _pending: if it is caught, it is handled
        raise KeyboardInterrupt
    _pending.append(number)
    raise_pending_signal()


def _is_importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported. An exception raised then could be lost or be mistaken for an import error."""
    while frame is not None:
        if frame.f_code.co_filename == IMPORT_FILE:
            return True
        frame = frame.f_back
    return False


def _record_lost_signals(usual: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a `sys.unraisablehook` that records dropped exceptions of signals, and passes all others to `usual`."""

    def hook(lost: Any) -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            _pending.append(signal.SIGINT)
        elif not (issubclass(lost.exc_type, SystemExit) and _pending):
            usual(lost)

    return hook
