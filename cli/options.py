"""What several commands share: how a model is chosen, where images go, and how progress is shown."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .stopping import end_if_told

if TYPE_CHECKING:
    import numpy as np

Command = TypeVar("Command", bound=Callable[..., Any])
Options = list[tuple[str, dict[str, Any]]]  # flags, and what click is told of them
PATIENCE = 1.0  # seconds before a bar appears
PART = 4096  # rows handled between two steps of a bar

_model = click.option(
    "--model",
    envvar="AEGEN_MODEL",
    show_envvar=True,
    metavar="NAME|PATH",
    help="A shipped model (`aegen models`) or an artifact folder.  [default: the shipped one]",
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(1, 256),
    envvar="AEGEN_THREADS",
    show_envvar=True,
    help="Threads to use.  [default: the cores allowed]",
)
_output = click.option(
    "-o", "--output", required=True, metavar="OUTPUT", help="Where to write; the name decides the form."
)
_columns = click.option("--columns", type=click.IntRange(1), help="Images in a row of the grid.  [default: what fits]")
_scale = click.option(
    "--scale", type=click.IntRange(1, 64), default=2, show_default=True, help="Magnify a grid or an animation."
)

images_argument = click.argument("images", metavar="IMAGES...", nargs=-1, required=True)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
resize_option = click.option("--resize", is_flag=True, help="Scale images of another size to the model's.")
dtype_option = click.option(
    "--dtype",
    type=click.Choice(["float32", "uint8"]),
    default="float32",
    show_default=True,
    help="Values of an .npy or .npz: in [0, 1], or grey levels.",
)


def model_options(command: Command) -> Command:
    """--model and --threads."""
    return _model(threads_option(command))


def model_argument(command: Command) -> Command:
    """The model as an argument, for commands that are about nothing else; --model says the same."""
    return click.argument("argument", metavar="[MODEL]", required=False)(_model(command))


def chosen_model(argument: str | None, model: str | None) -> str | None:
    """The model that `model_argument` was given; the argument wins over AEGEN_MODEL."""
    source = click.get_current_context().get_parameter_source("model")
    if argument and model and source == click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("Give the model once: as MODEL or as --model.")
    return argument or model


def recipe_options(hyperparameters: Options) -> Callable[[Command], Command]:
    """An option for every hyperparameter of a recipe."""

    def add(command: Command) -> Command:
        for flag, settings in reversed(hyperparameters):
            command = click.option(flag, **settings)(command)
        return command

    return add


def chosen_hyperparameters(hyperparameters: dict[str, Any]) -> dict[str, Any]:
    """The hyperparameters that were set on the command line."""
    return {hyperparameter: value for hyperparameter, value in hyperparameters.items() if value is not None}


def grid_options(command: Command) -> Command:
    """--output, --columns and --scale."""
    return _output(_columns(_scale(command)))


def output_option(command: Command) -> Command:
    """--output alone."""
    return _output(command)


def strip_options(command: Command) -> Command:
    """--output and --scale, for grids whose rows are given."""
    return _output(_scale(command))


def wants_arrays(output: str) -> bool:
    """Whether an output keeps floats as they are, or shows grey levels. A suffix that is unknown is a wrong call."""
    from ..images.outputs import output_suffix

    with usage():
        return output_suffix(output) in (".npy", ".npz", "-")


@contextmanager
def usage() -> Iterator[None]:
    """Turn what an option's value is refused for into a wrong call, which exits with 2."""
    from ..runtime.errors import InputError

    try:
        yield
    except InputError as error:
        raise click.UsageError(str(error)) from error


def done(output: str, what: str) -> None:
    """Say on standard error what was written."""
    if output != "-":
        click.echo(f"{output}: {what}", err=True)


def note(remark: str) -> None:
    """Say on standard error how something was read that a user should know of."""
    click.echo(f"Note: {remark}", err=True)


def plural(count: int, noun: str) -> str:
    """`1 image`, `2 images`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def parts(rows: "np.ndarray") -> Iterator["np.ndarray"]:
    """An array a part at a time, so that a memory map is never read whole, nor kept in memory once it was."""
    from ..runtime.arrays import forget

    for start in range(0, len(rows), PART):
        yield rows[start : start + PART]
        forget(rows)


def _on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()  # it is None where the caller has closed it


def with_progress(chunks: Iterable["np.ndarray"], count: int) -> Iterator["np.ndarray"]:
    """The chunks as they come; once they have taken a second, with a bar on a terminal's standard error."""
    remaining, began, passed = iter(chunks), time.monotonic(), 0
    for chunk in remaining:
        yield chunk
        end_if_told()
        passed += len(chunk)
        if time.monotonic() - began > PATIENCE:
            break
    else:
        return
    with click.progressbar(length=count, file=sys.stderr, hidden=not _on_terminal(), show_pos=True) as bar:
        bar.update(passed)
        for chunk in remaining:
            yield chunk
            end_if_told()
            bar.update(len(chunk))
