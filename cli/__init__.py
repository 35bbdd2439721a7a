"""The command line: a module per command, loaded when it is asked for; heavy imports are inside the commands."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from .stopping import INTERRUPTED, end_if_told, end_on_signals

# Commands by purpose, in a few words each: `aegen --help` imports none of them.
SECTIONS = {
    "Use a model": {
        "sample": "Draw new pictures.",
        "reconstruct": "Encode pictures and decode them again.",
        "denoise": "Clean noisy pictures.",
        "interpolate": "Walk from picture to picture.",
        "encode": "Turn pictures into latent codes.",
        "decode": "Turn latent codes into pictures.",
    },
    "Look at it": {
        "evaluate": "Measure how good its pictures are.",
        "compare": "Measure models and priors side by side.",
        "info": "Show what a model is and what it was made from.",
        "models": "List the models that come with aegen.",
        "verify": "Prove that it computes here what was trained.",
        "bench": "Measure how fast it is here.",
    },
    "Make one": {
        "train": "Train an autoencoder.",
        "train-prior": "Train a flow that draws its codes.",
        "refine": "Let flow and decoder learn from what they draw.",
        "export": "Make an artifact of a training run.",
        "train-judge": "Train the classifier that measures pictures.",
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
    end_on_signals()
    try:
        try:
            code = cli.main(arguments, prog_name="aegen", standalone_mode=False)
            end_if_told()
        finally:
            if sys.stdout is not None:  # it is None where the caller has closed it
                sys.stdout.flush()
    except click.ClickException as error:
        error.show()
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


def program() -> NoReturn:
    """The installed command: `main`, then out at once.

    All is written by then, and to take every module down in order takes a tenth of what drawing a grid does.
    """
    try:
        main()
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))


def _drop_output() -> None:
    """Python would try once more to write what could not be written, while it shuts down, and complain."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _one_line(error: Exception) -> str:
    from ..runtime.errors import AegenError

    text = " ".join(str(error).split())
    if isinstance(error, AegenError):
        return text
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError):
        return f"not enough memory. {text}"
    return f"unexpected {type(error).__name__}: {text} (`python -X dev -m aegen ...` shows where)"
