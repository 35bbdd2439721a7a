"""Blocks of work that a signal does not interrupt half-way."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

DEFERRED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Defer the signals that end a program (Ctrl-C, SIGTERM, SIGHUP) until the block has ended.

    Signals that are ignored, or that end the process without Python's help, are left as they are.
    """
    current = {number: signal.getsignal(number) for number in DEFERRED}
    handlers = {number: handler for number, handler in current.items() if callable(handler)}
    if threading.current_thread() is not threading.main_thread() or not handlers:  # nothing would interrupt the block
        yield
        return
    pending: list[int] = []
    deferring = True

    def defer(number: int, frame: FrameType | None) -> None:
        if deferring:
            pending.append(number)
        else:  # the block has ended, and the original handler is not yet restored
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
