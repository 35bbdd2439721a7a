"""Delay signals such as Ctrl-C, so that they do not interrupt a block of work half-way."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

DEFERRED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Defer the signals that end a program (Ctrl-C, SIGTERM, SIGHUP) until the block has ended.

    Only signals with a Python handler are deferred. Any other signal is ignored or ends the process at once, as before.
    """
    current = {number: signal.getsignal(number) for number in DEFERRED}
    handlers = {number: handler for number, handler in current.items() if callable(handler)}
    # Without handlers there is no signal to defer. In another thread no signal can interrupt the block, because Python
    # runs handlers only in the main thread.
    if threading.current_thread() is not threading.main_thread() or not handlers:
        yield
        return
    pending: list[int] = []
    deferring = True

    def defer(number: int, frame: FrameType | None) -> None:
        if deferring:
            pending.append(number)
        else:  # the signal came after the block, but before its original handler was restored
            handlers[number](number, frame)

    try:
        for number in handlers:
            signal.signal(number, defer)
        yield
    finally:
        deferring = False
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for number in pending:
        handlers[number](number, None)
