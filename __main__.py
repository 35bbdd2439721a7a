"""The start of `aegen` and `python -m aegen`: signal handlers are installed before any slow import."""

import os
import signal

TYPE_CHECKING = False  # like typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from typing import NoReturn

SIGNAL_EXIT = 128  # a process that signal n ended has the exit code 128 + n in shells


def exit_at_once(number: int, frame: object) -> "NoReturn":
    """Signal handler that exits with the exit code of the signal, and prints one line for Ctrl-C.

    It raises no exception, because an import that is interrupted could catch or replace it. While modules are imported,
    nothing needs to be cleaned up.
    """
    if number == signal.SIGINT:
        try:
            os.write(2, b"Interrupted.\n")
        except OSError:  # standard error is closed
            os._exit(SIGNAL_EXIT + number)
    os._exit(SIGNAL_EXIT + number)


def program() -> "NoReturn":
    """Run the command line, and exit without Python's orderly shutdown.

    All output is written by then, and the shutdown would take a tenth of the time that sampling a grid takes.
    """
    from .cli import main

    try:
        main()
    except SystemExit as stop:
        os._exit(stop.code if isinstance(stop.code, int) else int(stop.code is not None))


for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
    if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
        signal.signal(number, exit_at_once)

if __name__ == "__main__":
    program()
