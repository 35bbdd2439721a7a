"""Data sets that a user names on the command line, and the options for reading their images."""

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import click

from .messages import is_quiet, note
from .options import Command, resize_option, usage

if TYPE_CHECKING:
    from ..data.datasets import Dataset
    from ..images.read_options import ReadOptions
    from ..images.reading import ImageSet
    from ..runtime.autoencoder import Autoencoder


def _read_size(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """A callback for click that converts a text such as 64 or 64x48 to (width, height)."""
    if value is None:
        return None
    width, cross, height = value.lower().partition("x")
    if not (width.isdecimal() and (height if cross else width).isdecimal()):
        raise click.BadParameter(f"{value!r} is no size, such as 64 or 64x48")
    return int(width), int(height if cross else width)


_size = click.option(
    "--size",
    metavar="N|WxH",
    callback=_read_size,
    help="Crop images to this aspect ratio, and scale them to this size.  [default: the size that they have]",
)
_colour = click.option(
    "--colour/--grey",
    "colour",
    default=None,
    help="Make all images colour or grey.  [default: grey if no image has colour]",
)
_background = click.option(
    "--background",
    metavar="COLOUR",
    help="What transparent pixels become, such as white or #ff8800.  [default: black, or white behind dark drawings]",
)
_invert = click.option("--invert", is_flag=True, help="Exchange black and white of the images first.")
_skip_bad = click.option("--skip-bad", is_flag=True, help="Leave out image files that cannot be read.")


def read_options(command: Command) -> Command:
    """Decorator that adds --size, --colour/--grey, --background and --skip-bad, for commands that read a data set.

    The command's function receives them as the parameter `reading`, a ReadOptions.
    """
    wrapped = _with_reading(command, "size", "colour", "background", "skip_bad")
    return _size(_colour(_background(_skip_bad(wrapped))))


def input_options(command: Command) -> Command:
    """Decorator that adds --resize, --invert, --background and --skip-bad, for commands that give images to a model.

    The command's function receives them as the parameter `inputs`, a ModelInputs.
    """

    @functools.wraps(command)
    def wrapped(*, resize: bool, invert: bool, reading: "ReadOptions", **parameters: Any) -> Any:
        return command(inputs=ModelInputs(reading, resize, invert), **parameters)

    with_reading = _with_reading(cast(Command, wrapped), "background", "skip_bad")
    return resize_option(_invert(_background(_skip_bad(with_reading))))


@dataclass(frozen=True)
class ModelInputs:
    """How images are read for a model.

    reading: options for image files. resize: scale images of another size. invert: exchange black and white.
    """

    reading: "ReadOptions"
    resize: bool
    invert: bool

    @property
    def in_use(self) -> list[str]:
        """The options that differ from their defaults, such as --resize."""
        return [word for word in self.words if word.startswith("--")]

    @property
    def words(self) -> list[str]:
        """The words on the command line that stand for these options."""
        flags = {"--resize": self.resize, "--invert": self.invert}
        return [*(name for name, value in flags.items() if value), *self.reading.words]

    def read(self, model: "Autoencoder", *sources: str) -> "ImageSet":
        """Read images in the size of a model's images, and print notes on how they were understood.

        Raises the errors of `read_inputs` in data/inputs.py.
        """
        from ..data.inputs import read_inputs
        from ..evaluation.inversion import are_inverted, inverted

        shape = model.manifest.image.shape
        image_set = read_inputs(*sources, shape=shape, resize=self.resize, options=self.reading, note=note)
        if self.invert:
            return replace(image_set, images=inverted(image_set.images))
        if not is_quiet() and are_inverted(model, image_set.images):
            note(f"{sources[0]}: {model.name} knows such images with black and white exchanged; --invert does that.")
        return image_set


def _with_reading(command: Command, *names: str) -> Command:
    """A function like `command`, which takes the named parameters and passes them on as one, `reading`."""

    @functools.wraps(command)
    def wrapped(**parameters: Any) -> Any:
        from ..images.read_options import ReadOptions

        with usage():
            reading = ReadOptions(**{name: parameters.pop(name) for name in names})
        return command(reading=reading, **parameters)

    return cast(Command, wrapped)


def load_data(data: str, reading: "ReadOptions", *, remarks: bool = True) -> "Dataset":
    """Load a data set by its name or path, and print its remarks. Raises the errors of `load` in data/datasets.py."""
    from ..data.datasets import load

    dataset = load(data, reading)
    for remark in dataset.remarks if remarks else ():
        note(remark)
    return dataset
