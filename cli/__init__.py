"""The command line. Each command is a module.

A command's module is imported only when the command is named, and loads libraries other than click only when the
command runs, so that `aegen --help` is fast.
"""

import os
import re
import sys
from collections.abc import Sequence
from io import StringIO, TextIOWrapper
from typing import Any, NoReturn

import click

from .lazy_group import LazyGroup
from .stopping import INTERRUPTED, raise_pending_signal, signals_as_exceptions

REMEDIES = {  # maps a text in the library's error messages to what the command line prints instead
    "Pass resize=True": "Use --resize",
    "Give the training data": "Pass the training data with --data",
    "allow that the artifact is overwritten": "pass --overwrite",
    "Load the model of the index": "Choose the model of the index with --model",
}
MAX_WORD = 400  # maximum length of a word in a usage error; longer words, copied from user input, are shortened

# Commands grouped by purpose, with short descriptions. The descriptions are here rather than in the commands, so that
# `aegen --help` need not import the commands.
SECTIONS = {
    "Use a model": {
        "sample": "Sample new images.",
        "reconstruct": "Encode images and decode them again.",
        "denoise": "Remove noise from images.",
        "encode": "Turn images into latents.",
        "decode": "Turn latents into images.",
        "interpolate": "Morph one image into another.",
        "traverse": "Show what each latent dimension does to an image.",
        "manifold": "Show a plane of latent space as a grid of images.",
        "index": "Store the latents of images for a search.",
        "similar": "Find the most similar images by their latents.",
    },
    "Look at a model": {
        "plot": "Make a figure: latents, training, priors, quality.",
        "report": "Write a page about a model.",
        "info": "Show what a model is and how it was made.",
        "models": "List the models that ship with aegen.",
    },
    "Measure a model": {
        "evaluate": "Measure the quality of a model's images.",
        "compare": "Measure several models and priors side by side.",
        "verify": "Check a model's files and its outputs on this machine.",
        "bench": "Measure the speed of a model on this machine.",
        "doctor": "Check this installation, and show the facts for a bug report.",
    },
    "Make a model": {
        "create": "Make a generator of your images, within a budget of time.",
        "train": "Train an autoencoder.",
        "train-prior": "Train a prior for the latents of an autoencoder.",
        "distill": "Make a flow prior faster: one evaluation instead of many.",
        "refine": "Fine-tune flow prior and decoder on their own samples.",
        "export": "Export a training run to an artifact folder.",
        "train-features": "Train the feature extractor that measures images.",
    },
}


class _Commands(LazyGroup):
    """The commands of aegen. Signals that end the program raise exceptions while a command runs."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with signals_as_exceptions():
                result = super().invoke(ctx)
                raise_pending_signal()
                return result
        except KeyboardInterrupt:
            raise click.Abort from None  # avoids the empty line that click prints for KeyboardInterrupt


@click.group(
    cls=_Commands,
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="aegen")
def cli() -> None:
    """Small generative autoencoders: sample, encode and decode on any CPU; train and export your own.

    \b
    aegen sample -n 64 -o grid.png
    aegen reconstruct digits.npy -o pairs.png
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit: with 0 after success, 2 for wrong usage, 1 for another error, 130 after Ctrl-C.

    An error message is one line, without a traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a stream is None if it was closed before the start
            stream.reconfigure(errors="backslashreplace")  # escapes characters that the stream's encoding lacks
    try:
        try:
            exit_code = cli.main(arguments, prog_name="aegen", standalone_mode=False)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except click.ClickException as error:
        _show(error, arguments)
        exit_code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        exit_code = INTERRUPTED
    except BrokenPipeError:  # the program that reads our output, such as `head`, has ended
        _drop_output()
        exit_code = 1
    except Exception as error:  # for any error, the user sees one line and no traceback
        if sys.flags.dev_mode:
            raise
        mixed_up = _mixed_up(error, sys.argv[1:] if arguments is None else arguments)
        _print_error(click.ClickException(mixed_up or _one_line(error)))
        if isinstance(error, OSError):
            _drop_output()
        exit_code = 1
    sys.exit(exit_code)


def _show(error: click.ClickException, arguments: Sequence[str] | None) -> None:
    """Print an error that click found in the arguments, or that a command raised."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):  # the user named a group of commands, but no command
        error.show()
        return
    message = _shortened(_message(error, sys.argv[1:] if arguments is None else arguments), arguments)
    if isinstance(error, click.UsageError):
        _print_error(click.UsageError(message, error.ctx))
    else:
        _print_error(click.ClickException(message))


def _print_error(error: click.ClickException) -> None:
    """Print an error on standard error. On a terminal "Error:" is red, unless the variable NO_COLOR is set."""
    text = StringIO()
    error.show(text)
    coloured = re.sub("^Error:", click.style("Error:", fg="red", bold=True), text.getvalue(), count=1, flags=re.M)
    click.echo(coloured, nl=False, err=True, color=False if os.environ.get("NO_COLOR") else None)


def _drop_output() -> None:
    """Redirect standard output to the null device, so that flushing its buffer at exit does not fail a second time."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _message(error: click.ClickException, arguments: Sequence[str]) -> str:
    """The message of an error. For a mistake in the arguments it suggests what was probably meant."""
    message = error.format_message()
    if not isinstance(error, click.UsageError) or error.ctx is None:
        return message
    from .parsed_arguments import parse_again
    from .suggestions import no_such_argument, no_such_option, no_whole_number

    if isinstance(error, click.NoSuchOption):
        return no_such_option(error.option_name, error.ctx)
    if isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter):
        return no_whole_number(message)
    found = parse_again(cli, arguments)
    return message if found is None else no_such_argument(message, found)


def _shortened(message: str, arguments: Sequence[str] | None) -> str:
    """Turn the message of a usage error into one line, and shorten long arguments and environment values in it."""
    from ..runtime.errors import shortened

    values = [*(sys.argv[1:] if arguments is None else arguments), *os.environ.values()]
    values += [value.partition("=")[2] for value in values]  # in --option=value, `value` alone is a value too
    for text in sorted({*values}, key=len, reverse=True):
        for form in (text, repr(text)[1:-1]):
            if len(form) > len(shortened(form)):
                message = message.replace(form, shortened(form))
    return " ".join(word if len(word) < MAX_WORD else shortened(word) for word in message.split())


def _one_line(error: Exception) -> str:
    """Describe any exception in one line. Exceptions that are not expected are shown with the name of their class."""
    from ..files.output_errors import WRITE_ERRORS, output_error
    from ..runtime.errors import AegenError

    text = " ".join(str(error).split())
    if isinstance(error, AegenError):
        for in_python, as_option in REMEDIES.items():
            text = text.replace(in_python, as_option)
        return text
    if isinstance(error, OSError) and error.filename is None and error.errno in WRITE_ERRORS:
        return str(output_error("standard output", error))  # only errors of standard output have no filename
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, ModuleNotFoundError):
        return f"{text}. `aegen doctor` shows which packages are missing."
    if isinstance(error, MemoryError):
        return f"not enough memory. {text}"
    return f"unexpected {type(error).__name__}: {text} (`python -X dev -m aegen ...` shows where)"


def _mixed_up(error: Exception, arguments: Sequence[str]) -> str | None:
    """A sentence about an argument that is of another kind than the command takes; None if all arguments fit.

    error: what the command raised. For errors that are not about input, the result is None.
    """
    from ..runtime.errors import ArtifactError, InputError, NotFoundError
    from .mixed_up import mixed_up
    from .parsed_arguments import parse_again

    found = parse_again(cli, arguments) if isinstance(error, InputError | NotFoundError | ArtifactError) else None
    return None if found is None else mixed_up(found)
