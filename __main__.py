"""The start of `aegen` and `python -m aegen`: signal handlers are installed before any slow import."""

import os
import signal

TYPE_CHECKING = False  # as in the module typing, without importing it
if TYPE_CHECKING:
    from typing import NoReturn

SIGNAL_EXIT = 128  # plus the number of a signal: the exit code by which shells report it


def exit_at_once(number: int, frame: object) -> "NoReturn":
    """Signal handler that exits with the exit code of the signal, and for Ctrl-C prints one line.

    While modules are imported nothing needs to be cleaned up, and an exception could be lost or replaced.
    """
    if number == signal.SIGINT:
        try:
            os.write(2, b"Interrupted.\n")
        except OSError:  # standard error is closed
            os._exit(SIGNAL_EXIT + number)
    os._exit(SIGNAL_EXIT + number)


def program() -> "NoReturn":
    """Run the command line, and exit without Python's orderly shutdown.

    All output is written by then, and the shutdown takes a tenth of the time that sampling a grid takes.
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
