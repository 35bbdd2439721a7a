"""The start of `aegen` and of `python -m aegen`: signals are handled before anything that takes time is imported."""

import os
import signal

TYPE_CHECKING = False  # that of typing, without importing it
if TYPE_CHECKING:
    from typing import NoReturn


def end_at_once(number: int, frame: object) -> "NoReturn":
    """End with what a shell reports of a program that the signal ended; of Ctrl-C one line says so.

    While modules are imported there is nothing to clean up, and an exception could be lost or changed on its way.
    """
    if number == signal.SIGINT:
        try:
            os.write(2, b"Interrupted.\n")
        except OSError:  # nobody can be told
            os._exit(128 + number)
    os._exit(128 + number)


def program() -> "NoReturn":
    """Run the command line, then out at once.

    All is written by then, and to take every module down in order takes a tenth of what drawing a grid does.
    """
    from .cli import main

    try:
        main()
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))


for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
    if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
        signal.signal(number, end_at_once)

if __name__ == "__main__":
    program()
