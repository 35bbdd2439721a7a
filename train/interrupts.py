"""Work that a signal must not cut in two."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

HELD_BACK = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Signals that end a program wait for the end of the block: Ctrl-C, SIGTERM and SIGHUP.

    Those that are ignored, or that end the process before Python hears of them, are left as they are.
    """
    handlers = {number: signal.getsignal(number) for number in HELD_BACK}
    usual = {number: handler for number, handler in handlers.items() if callable(handler)}
    if threading.current_thread() is not threading.main_thread() or not usual:  # nothing would interrupt it
        yield
        return
    pending: list[int] = []
    held = True

    def hold(number: int, frame: FrameType | None) -> None:
        if held:
            pending.append(number)
        else:  # between the end of the block and the return of its own handler
            usual[number](number, frame)

    try:
        for number in usual:
            signal.signal(number, hold)
        yield
    finally:
        held = False
        for number, handler in usual.items():
            signal.signal(number, handler)
    for number in pending:
        usual[number](number, None)
