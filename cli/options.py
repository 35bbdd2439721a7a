"""Options, arguments and messages that several commands share."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .stopping import raise_pending_signal

if TYPE_CHECKING:
    import numpy as np

Command = TypeVar("Command", bound=Callable[..., Any])
PROGRESS_DELAY = 1.0  # seconds before a progress bar appears
PART_ROWS = 4096  # images or latents processed between two updates of a progress bar

MAX_SEED = 2**64 - 1


class LongRangeOption(click.Option):
    """An option of whole numbers whose help shows only the lower limit, because the upper one has many digits."""

    def get_help_extra(self, ctx: click.Context) -> click.types.OptionHelpExtra:
        """The facts that help shows in brackets after the option's text."""
        extra = super().get_help_extra(ctx)
        if isinstance(self.type, click.IntRange):
            extra["range"] = f"x>={self.type.min}"
        return extra


_model = click.option(
    "--model",
    envvar="AEGEN_MODEL",
    show_envvar=True,
    metavar="NAME|PATH",
    help="A shipped model (see `aegen models`) or an artifact folder.  [default: mnist]",
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(1, 256),
    envvar="AEGEN_THREADS",
    show_envvar=True,
    help="Number of threads.  [default: the cores that this process may use]",
)
_image_output = click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUTPUT",
    help="Where to write: a grid (.png, .jpg, .webp), an animation (.gif), arrays (.npy, .npz), a folder of PNG files "
    "(no suffix), or - for .npy on standard output.",
)
_array_output = click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUTPUT",
    help="Where to write: arrays (.npy, .npz), or - for .npy on standard output.",
)
_columns = click.option("--columns", type=click.IntRange(1), help="Images in a row of a grid.  [default: what fits]")
_scale = click.option(
    "--scale",
    type=click.IntRange(1, 64),
    default=2,
    show_default=True,
    help="Pixels of a grid or an animation for each pixel of an image, along each side.",
)

images_argument = click.argument("images", metavar="IMAGES...", nargs=-1, required=True)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
resize_option = click.option("--resize", is_flag=True, help="Scale images to the size of the model's images.")
dtype_option = click.option(
    "--dtype",
    type=click.Choice(["float32", "uint8"]),
    default="float32",
    show_default=True,
    help="Values in an .npy or .npz: float32 in [0, 1], or uint8 from 0 to 255.",
)


def seed_option(meaning: str, *, default: int | None = None) -> Callable[[Command], Command]:
    """Decorator that adds the option --seed, from 0 to MAX_SEED. meaning: its help."""
    seeds = click.IntRange(0, MAX_SEED)
    return click.option(
        "--seed", cls=LongRangeOption, type=seeds, default=default, show_default=default is not None, help=meaning
    )


def model_options(command: Command) -> Command:
    """Decorator that adds the options --model and --threads to a command."""
    return _model(threads_option(command))


def model_argument(command: Command) -> Command:
    """Decorator that adds the argument MODEL and the option --model, for commands whose subject is a model."""
    return click.argument("argument", metavar="[MODEL]", required=False)(_model(command))


def chosen_model(argument: str | None, model: str | None) -> str | None:
    """The model that the user named by the argument, or else by --model or AEGEN_MODEL; None if the user named none.

    Raises UsageError if both the argument and --model are given.
    """
    source = click.get_current_context().get_parameter_source("model")
    if argument and model and source == click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("Give the model once: as MODEL or as --model.")
    return argument or model


def grid_options(command: Command) -> Command:
    """Decorator that adds the options --output, --columns and --scale, for commands that write images."""
    return _image_output(_columns(_scale(command)))


def output_option(command: Command) -> Command:
    """Decorator that adds the option --output, for commands that write latents."""
    return _array_output(command)


def folder_output(name: str, *, required: bool = True) -> Callable[[Command], Command]:
    """Decorator that adds the option --output, for commands that write a folder.

    name: the parameter of the command's function that receives the path.
    """
    path = click.Path(path_type=Path)
    return click.option(
        "-o", "--output", name, required=required, type=path, metavar="OUTPUT", help="Where to write: a new folder."
    )


def strip_options(command: Command) -> Command:
    """Decorator that adds --output and --scale, for commands that choose the number of grid columns themselves."""
    return _image_output(_scale(command))


def wants_arrays(output: str) -> bool:
    """Whether `output` names an array file or -, which may hold floats. Raises UsageError for an unknown suffix."""
    from ..images.outputs import output_format

    with usage():
        return output_format(output).holds_arrays


@contextmanager
def usage() -> Iterator[None]:
    """Turn an InputError about an option's value into a UsageError, which ends the command with the exit code 2."""
    from ..runtime.errors import InputError

    try:
        yield
    except InputError as error:
        raise click.UsageError(str(error)) from error


def done(output: str, contents: str) -> None:
    """Print on standard error what was written to the file or folder `output`; for - (standard output) nothing."""
    if output != "-":
        click.echo(f"{output}: {contents}", err=True)


def note(remark: str) -> None:
    """Print a remark on standard error, such as how an ambiguous file was read."""
    click.echo(f"Note: {remark}", err=True)


def plural(count: int, noun: str) -> str:
    """A count with its noun: `1 image`, `2 images`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def parts(rows: "np.ndarray") -> Iterator["np.ndarray"]:
    """Yield slices of PART_ROWS rows of an array (n, ...). If it is memory-mapped, only one slice is in memory."""
    from ..runtime.arrays import forget

    for start in range(0, len(rows), PART_ROWS):
        yield rows[start : start + PART_ROWS]
        forget(rows)


def with_progress(chunks: Iterable["np.ndarray"], count: int) -> Iterator["np.ndarray"]:
    """Yield the given chunks, arrays (rows, ...), unchanged, and show a progress bar if the loop over them takes long.

    count: number of rows in all chunks together. The bar appears on standard error after PROGRESS_DELAY seconds, but
    only if standard error is a terminal.
    """
    remaining, began, rows_done = iter(chunks), time.monotonic(), 0
    for chunk in remaining:
        yield chunk
        raise_pending_signal()
        rows_done += len(chunk)
        if time.monotonic() - began > PROGRESS_DELAY:
            break
    else:
        return
    with click.progressbar(length=count, file=sys.stderr, hidden=not _on_terminal(), show_pos=True) as bar:
        bar.update(rows_done)
        for chunk in remaining:
            yield chunk
            raise_pending_signal()
            bar.update(len(chunk))


def _on_terminal() -> bool:
    """Whether standard error is a terminal. Python sets `sys.stderr` to None when the caller has closed it."""
    return sys.stderr is not None and sys.stderr.isatty()
