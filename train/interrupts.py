"""Protect a block of work from being interrupted half-way by a signal."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

DEFERRED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Defer the signals that end a program (Ctrl-C, SIGTERM, SIGHUP) until the block has ended.

    Signals that are ignored, and signals that have no Python handler, keep their effect.
    """
    current = {number: signal.getsignal(number) for number in DEFERRED}
    handlers = {number: handler for number, handler in current.items() if callable(handler)}
    # Nothing to defer: no signal has a handler, or this is not the main thread, which runs all handlers.
    if threading.current_thread() is not threading.main_thread() or not handlers:
        yield
        return
    pending: list[int] = []
    deferring = True

    def defer(number: int, frame: FrameType | None) -> None:
        if deferring:
            pending.append(number)
        else:  # the signal came after the block, before the original handler was restored
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
