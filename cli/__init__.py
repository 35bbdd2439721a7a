"""The command line: a module per command, loaded when it is asked for; heavy imports are inside the commands."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Any, NoReturn

import click

from .stopping import INTERRUPTED, end_if_told, signals_raise

LONG_WORD = 400  # letters: a longer one is input, whatever holds it

# Commands by purpose, in a few words each: `aegen --help` imports none of them.
SECTIONS = {
    "Use a model": {
        "sample": "Draw new images.",
        "reconstruct": "Encode images and decode them again.",
        "denoise": "Clean noisy images.",
        "interpolate": "Walk from image to image.",
        "encode": "Turn images into latents.",
        "decode": "Turn latents into images.",
    },
    "Look at it": {
        "evaluate": "Measure how good its images are.",
        "compare": "Measure models and priors side by side.",
        "info": "Show what a model is and what it was made from.",
        "models": "List the models that come with aegen.",
        "verify": "Prove that it computes here what was trained.",
        "bench": "Measure how fast it is here.",
    },
    "Make one": {
        "train": "Train an autoencoder.",
        "train-prior": "Train a flow that draws its latents.",
        "refine": "Let flow and decoder learn from what they draw.",
        "export": "Make an artifact of a training run.",
        "train-features": "Train the classifier that measures images.",
    },
}


class _Commands(click.Group):
    """A group that imports a command's module when the command is named, and lists commands by purpose."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for names in SECTIONS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = import_module(f".{cmd_name.replace('-', '_')}", __name__).command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with signals_raise():
                result = super().invoke(ctx)
                end_if_told()
                return result
        except KeyboardInterrupt:
            raise click.Abort from None  # click would print an empty line for the other

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(commands.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="aegen")
def cli() -> None:
    """Small generative autoencoders: sample, encode, decode on any CPU; train and export your own.

    \b
    aegen sample -n 64 -o grid.png
    aegen reconstruct digits.npy -o pairs.png
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit: 0, 2 for a wrong call, 1 for a failed job, with one line that says why."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # None where the caller has closed it
            stream.reconfigure(errors="backslashreplace")  # a letter that it has not is no reason to fail
    try:
        try:
            code = cli.main(arguments, prog_name="aegen", standalone_mode=False)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except click.ClickException as error:
        message = _shown(error.format_message(), arguments)
        shown = click.ClickException(message)
        if isinstance(error, click.UsageError):
            shown = click.UsageError(message, error.ctx)
        shown.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        code = INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone
        _drop_output()
        code = 1
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        click.echo(f"Error: {_one_line(error)}", err=True)
        if isinstance(error, OSError):
            _drop_output()
        code = 1
    sys.exit(code)


def _drop_output() -> None:
    """Python would try once more to write what could not be written, while it shuts down, and complain."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _shown(message: str, arguments: Sequence[str] | None) -> str:
    """What a wrong call is told, in one line; of every value that it repeats, as much as an error shows."""
    from ..runtime.errors import shortened

    given = [*(sys.argv[1:] if arguments is None else arguments), *os.environ.values()]
    for text in sorted({part for one in given for part in (one, one.partition("=")[2])}, key=len, reverse=True):
        for form in (text, repr(text)[1:-1]):
            if len(form) > len(shortened(form)):
                message = message.replace(form, shortened(form))
    return " ".join(word if len(word) < LONG_WORD else shortened(word) for word in message.split())


def _one_line(error: Exception) -> str:
    from ..files.output_errors import WRITE_ERRORS, output_error
    from ..runtime.errors import AegenError

    text = " ".join(str(error).split())
    if isinstance(error, AegenError):
        return text
    if isinstance(error, OSError) and error.filename is None and error.errno in WRITE_ERRORS:
        return str(output_error("standard output", error))  # files name themselves
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError):
        return f"not enough memory. {text}"
    return f"unexpected {type(error).__name__}: {text} (`python -X dev -m aegen ...` shows where)"
