"""Entry point of `aegen` and `python -m aegen`. It installs signal handlers before any slow import."""

import os
import signal

TYPE_CHECKING = False  # type checkers take this name to be True; defining it here saves an import of typing
if TYPE_CHECKING:
    from typing import NoReturn

SIGNAL_EXIT = 128  # shells report the exit code 128 + n for a process that was ended by signal n


def exit_at_once(number: int, frame: object) -> "NoReturn":
    """Signal handler that ends the process with the exit code 128 + signal number; for Ctrl-C it prints a line first.

    It raises no exception, because the import that it interrupts could catch the exception or replace it by another.
    Nothing needs to be cleaned up, because no output is written while modules are imported.
    """
    if number == signal.SIGINT:
        try:
            os.write(2, b"Interrupted.\n")
        except OSError:  # standard error is closed
            os._exit(SIGNAL_EXIT + number)
    os._exit(SIGNAL_EXIT + number)


def program() -> "NoReturn":
    """Run the command line, and exit without Python's orderly shutdown.

    All output has been written by then, and the shutdown would take a tenth of the run time of `aegen sample`.
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
