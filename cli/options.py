"""Options and arguments that several commands share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])
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
    help="Pixels of a grid or an animation for each pixel of an image, along each side.  [default: what fits]",
)
captions_option = click.option("--captions", is_flag=True, help="Show a text below each image of a grid.")

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
    """Decorator that adds --output, --columns, --scale and --captions, for commands that write images."""
    return _image_output()(_columns(_scale(captions_option(command))))


def output_option(command: Command) -> Command:
    """Decorator that adds the option --output, for commands that write latents."""
    return _array_output(command)


def folder_output(name: str, *, required: bool = True) -> Callable[[Command], Command]:
    """Decorator that adds the option --output, for commands that write a folder.

    name: the parameter of the command's function that receives the path. required: whether it must be given; if not,
    then the command can resume a run.
    """
    path, text = click.Path(path_type=Path), "Where to write: a new folder."
    text += "" if required else "  [required unless --resume]"
    return click.option("-o", "--output", name, required=required, type=path, metavar="OUTPUT", help=text)


def strip_options(*, without: str | None = None) -> Callable[[Command], Command]:
    """Decorator that adds --output and --scale, for commands that choose the number of grid columns themselves.

    without: what happens without the option --output, for its help; None if it must be given.
    """
    return lambda command: _image_output(without)(_scale(command))


def _image_output(without: str | None = None) -> Callable[[Command], Command]:
    """Decorator that adds the option --output, for commands that write images. without: see `strip_options`."""
    return click.option(
        "-o",
        "--output",
        required=without is None,
        metavar="OUTPUT",
        help="Where to write: a grid (.png, .jpg, .webp), an animation (.gif), arrays (.npy, .npz), a folder of PNG "
        f"files (no suffix), or - for .npy on standard output.{'' if without is None else f'  [{without}]'}",
    )


def wants_arrays(output: str) -> bool:
    """Whether `output` names an array file or -, which may hold floats. Raises UsageError for an unknown suffix."""
    from ..images.outputs import output_format

    with usage():
        return output_format(output).holds_arrays


def is_grid(output: str) -> bool:
    """Whether `output` names an image file that shows all images in a grid. Raises UsageError for an unknown suffix."""
    from ..images.outputs import output_format

    with usage():
        return output_format(output).kind == "grid"


def refuse_json_beside_arrays(output: str, as_json: bool) -> None:
    """Raise UsageError if both --json and the output - would write to standard output."""
    if as_json and output == "-":
        raise click.UsageError("--json and -o - both write to standard output. Write the images to a file.")


@contextmanager
def usage() -> Iterator[None]:
    """Turn an InputError about an option's value into a UsageError, which ends the command with the exit code 2."""
    from ..runtime.errors import InputError

    try:
        yield
    except InputError as error:
        raise click.UsageError(str(error)) from error
