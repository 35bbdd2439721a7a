"""Options for reading images: their size, background and channels, and what happens to damaged files."""

from dataclasses import dataclass

from ..runtime.errors import InputError

MAX_SIDE = 4096  # largest width and height to which images are scaled
BLACK, WHITE = (0, 0, 0), (255, 255, 255)


@dataclass(frozen=True)
class ReadOptions:
    """How images are read.

    size: (width, height) that every image gets, by a crop around its centre to this aspect ratio and scaling. With
    None, images keep their sizes, which must be equal. background: what transparent pixels become, a colour name such
    as "white" or "#rrggbb"; None chooses black, or white if the visible pixels are so dark that they would vanish on
    black. colour: True makes all images colour, False makes them grey; None makes them grey if no image has colour.
    skip_bad: leave out image files that cannot be decoded, instead of refusing the whole set. Raises InputError for an
    invalid size or background.
    """

    size: tuple[int, int] | None = None
    background: str | None = None
    colour: bool | None = None
    skip_bad: bool = False

    def __post_init__(self) -> None:
        if self.size is not None and not all(1 <= side <= MAX_SIDE for side in self.size):
            found = "x".join(map(str, self.size))
            raise InputError("size", found=found, expected=f"a width and a height from 1 to {MAX_SIDE}")
        if self.background is not None:
            rgb(self.background)

    @property
    def words(self) -> list[str]:
        """The command-line arguments that give these options; empty if all options have their defaults."""
        words = [] if self.size is None else ["--size", "x".join(map(str, self.size))]
        if self.colour is not None:
            words.append("--colour" if self.colour else "--grey")
        if self.background is not None:
            words += ["--background", self.background]
        return [*words, *(["--skip-bad"] if self.skip_bad else [])]


DEFAULT_OPTIONS = ReadOptions()


def luma(colour: tuple[int, int, int]) -> int:
    """The grey level of a colour (red, green, blue), all 0 to 255, with the weights of ITU-R BT.601."""
    red, green, blue = colour
    return round(0.299 * red + 0.587 * green + 0.114 * blue)


def rgb(colour: str) -> tuple[int, int, int]:
    """The (red, green, blue) of a colour, each 0 to 255. Raises InputError if the text names no colour."""
    from PIL import ImageColor

    try:
        return ImageColor.getrgb(colour)[:3]
    except ValueError as error:
        raise InputError("background", found=repr(colour), expected="a colour such as white or #ff8800") from error
