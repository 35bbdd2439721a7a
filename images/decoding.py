"""Decode one image file to 8-bit grey or colour.

Pillow holds the whole decoded image in memory, with four bytes for each colour pixel. The image is therefore converted
and scaled down in horizontal strips, so that little further memory is needed.
"""

import math
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..files.sources import format_names
from ..runtime.errors import InputError
from .formats import IMAGE_FORMATS, PILLOW_NAMES

MAX_PIXELS = 100_000_000  # most pixels of an image file that is scaled to another size when it is read
MAX_KEPT_PIXELS = 64_000_000  # most pixels of an image file that is read in its own size
MAX_BUFFERED_PIXELS = 25_000_000  # most pixels of WebP and progressive JPEG files, whose decoders need more memory
MIN_REDUCED_PIXELS = 4_000_000  # images with more pixels are reduced by integer factors before they are resized
STRIP_PIXELS = 1_000_000  # images are converted in horizontal strips of about this many pixels
MAX_REASON_LETTERS = 120  # an error message quotes at most this many letters of Pillow's own message
ORIENTATION = 0x0112  # number of the EXIF tag that holds the orientation
TRANSPOSES = {  # for each EXIF orientation but 1, which is upright: the operation that turns the image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations for which turning an image upright exchanges width and height
# All types of errors that Pillow raised for about 100,000 damaged files. OSError includes UnidentifiedImageError.
DAMAGE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)
SixteenBit = Literal["no", "grey", "colour"]


@dataclass(frozen=True)
class ImageHeader:
    """What the header of an image file states. width, height: size in pixels after the image is turned upright.

    orientation_known: False for a PNG in which an EXIF chunk after the pixels may still exchange width and height.
    sixteen_bit: "grey" or "colour" if the channels have 16 bits, else "no". 16-bit grey with alpha counts as colour,
    because Pillow opens it as colour.
    """

    width: int
    height: int
    orientation_known: bool
    sixteen_bit: SixteenBit

    def fits(self, width: int, height: int) -> bool:
        """Whether the upright image has this size. If its orientation is unknown, height x width also fits."""
        size = (self.width, self.height)
        return size == (width, height) or (not self.orientation_known and size == (height, width))


def read_header(stream: BinaryIO, source_name: str, *, reduced: bool) -> ImageHeader:
    """Read the header of an image file; no pixels are decoded.

    reduced: whether the image will later be scaled to another size; if so, more pixels are allowed. Raises InputError
    when the file is no image or has too many pixels.
    """
    with _open(stream, source_name, reduced=reduced) as image:
        orientation = _orientation(image)
        size = image.size[::-1] if orientation in SIDEWAYS else image.size
        orientation_known = image.format != "PNG" or orientation != 1
        return ImageHeader(*size, orientation_known, _sixteen_bit(image, stream))


def decode(
    stream: BinaryIO,
    source_name: str,
    *,
    colour: bool | None = None,
    size: tuple[int, int] | None = None,
    bits: int = 16,
) -> np.ndarray:
    """Decode an image file to pixels, uint8 (H, W) or (H, W, 3), turned upright according to its EXIF data.

    colour: True converts to colour, False to grey; None keeps what the file has. size: (width, height) to scale to, or
    None. bits: number of bits that the values of a 16-bit grey image really use; the upper 8 of these bits are kept.
    16-bit colour values keep their high byte. Transparent pixels become black. Raises InputError when the file is no
    image, has too many pixels or is damaged.
    """
    with _open(stream, source_name, reduced=size is not None) as image:
        sixteen_bit = _sixteen_bit(image, stream)
        if size is not None and image.format == "JPEG" and image.width * image.height > MIN_REDUCED_PIXELS:
            image.draft(None, (4 * max(size), 4 * max(size)))  # lets Pillow decode at 1/2, 1/4 or 1/8 of the size
        _load(image, source_name, stream, sixteen_bit)
        orientation = _orientation(image)
        stored_size = size[::-1] if size is not None and orientation in SIDEWAYS else size
        with _damage_errors(source_name):  # conversion finds damage that decoding does not, such as a short palette
            if colour is None:
                colour = _is_colour(image, sixteen_bit, stream)
            converted = _converted(image, colour, stored_size, bits)
        return np.asarray(converted if orientation == 1 else converted.transpose(TRANSPOSES[orientation]))


def largest_level(stream: BinaryIO, source_name: str) -> tuple[int, bool]:
    """The largest value of a 16-bit image, 0 to 65535, and whether all values are 8-bit values times 257.

    If all values are 8-bit values times 257, the image was converted from 8 bits. Pillow reads only the high byte of
    16-bit colour values. For a colour image, the results are therefore the largest high byte times 256, and True.
    """
    with _open(stream, source_name, reduced=True) as image:
        sixteen_bit = _sixteen_bit(image, stream)
        _load(image, source_name, stream, sixteen_bit)
        if sixteen_bit == "colour":
            return 256 * max(int(np.asarray(strip)[..., :3].max()) for strip, _ in _strips(image, 1)), True
        largest, eight_bit = 0, True
        for strip, _ in _strips(image, 1):
            levels = np.asarray(strip)  # uint16, shape (rows, W)
            if (transparent := image.info.get("transparency")) is not None:
                levels = np.where(levels == transparent, 0, levels)
            eight_bit = eight_bit and np.array_equal(levels >> 8, levels & 255)
            largest = max(largest, int(levels.max()))
        return largest, eight_bit


@contextmanager
def _open(stream: BinaryIO, source_name: str, *, reduced: bool) -> Iterator[Image.Image]:
    """Open an image file with Pillow, whose warnings are silenced, because users cannot act on them.

    reduced: whether the image will be scaled to another size; if so, more pixels are allowed. Raises InputError when
    the file is no image, is damaged or has too many pixels.
    """
    with warnings.catch_warnings(action="ignore"):
        stream.seek(0)
        try:
            opened = Image.open(stream, formats=PILLOW_NAMES)
        except UnidentifiedImageError as error:
            found = "an empty file" if _is_empty(stream) else "no format that can be read"
            raise InputError(source_name, found=found, expected=format_names(IMAGE_FORMATS)) from error
        except Image.DecompressionBombError as error:
            raise InputError(source_name, found="too many pixels", expected=f"at most {MAX_PIXELS:,}") from error
        except DAMAGE_ERRORS as error:
            raise InputError(f"{source_name} is damaged", found=_reason(error)) from error
        with opened:
            limit = MAX_PIXELS if reduced else MAX_KEPT_PIXELS
            if opened.format == "WEBP" or (opened.format == "JPEG" and "progressive" in opened.info):
                limit = MAX_BUFFERED_PIXELS
            if opened.width * opened.height > limit:
                found = f"{opened.width}x{opened.height} pixels"
                raise InputError(source_name, found=found, expected=f"at most {limit:,}")
            yield opened


@contextmanager
def _damage_errors(source_name: str) -> Iterator[None]:
    """Turn the errors that Pillow raises for damaged files into InputErrors that name the file."""
    try:
        yield
    except DAMAGE_ERRORS as error:
        raise InputError(f"{source_name} is damaged", found=_reason(error)) from error


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:MAX_REASON_LETTERS] or type(error).__name__


def _is_empty(stream: BinaryIO) -> bool:
    stream.seek(0)
    return not stream.read(1)


def _load(image: Image.Image, source_name: str, stream: BinaryIO, sixteen_bit: SixteenBit) -> None:
    """Decode the pixels of an opened image.

    A PNG may declare one level or colour as transparent. Pillow converts the pixels to 8 bits, but not the transparent
    level or colour, which is therefore converted here.
    """
    bits = _png_bits(stream)
    with _damage_errors(source_name):
        image.load()
    if image.mode in ("P", "PA") and image.palette is None:
        raise InputError(f"{source_name} is damaged", found="no palette")
    transparent = image.info.get("transparency")
    if image.mode == "RGB" and sixteen_bit != "no" and isinstance(transparent, tuple):
        image.info["transparency"] = tuple(level >> 8 for level in transparent)
    if image.mode == "L" and bits in (2, 4) and isinstance(transparent, int):
        image.info["transparency"] = transparent * (255 // (2**bits - 1))


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation of an image, 1 to 8, or 1 (upright) if it is missing or damaged."""
    try:
        # The method of the base class is called, because the PNG class overrides it and would decode the whole image.
        orientation = Image.Image.getexif(image).get(ORIENTATION, 1)
    except DAMAGE_ERRORS:
        return 1
    return orientation if orientation in TRANSPOSES else 1


def _sixteen_bit(image: Image.Image, stream: BinaryIO) -> SixteenBit:
    if image.format != "PNG" or _png_bits(stream) != 16:
        return "no"
    return "grey" if image.mode.startswith("I;16") else "colour"


def _png_bits(stream: BinaryIO) -> int:
    """The number of bits per channel of a PNG; 0 for any other file."""
    return _png_header(stream)[0]


def _png_is_grey(stream: BinaryIO) -> bool:
    return _png_header(stream)[1] in (0, 4)


def _png_header(stream: BinaryIO) -> tuple[int, int]:
    """Bits per channel and colour type of a PNG; (0, 2) for any other file. The stream's position is unchanged."""
    position = stream.tell()
    stream.seek(0)
    start = stream.read(26)
    stream.seek(position)
    return (start[24], start[25]) if len(start) == 26 and start[12:16] == b"IHDR" else (0, 2)


def _is_colour(image: Image.Image, sixteen_bit: SixteenBit, stream: BinaryIO) -> bool:
    """Whether an image has colour channels, or uses palette colours that are not grey."""
    if image.mode == "P":
        palette = image.getpalette("RGB") or []
        used = [i for i, count in enumerate(image.histogram()[:256]) if count]
        return any(len(set(palette[3 * i : 3 * i + 3])) > 1 for i in used)
    if sixteen_bit != "no" and _png_is_grey(stream):  # Pillow opens grey with alpha in a mode for colour
        return False
    return image.mode not in ("1", "L", "LA", "I", "F") and not image.mode.startswith("I;16")


def _converted(image: Image.Image, colour: bool, size: tuple[int, int] | None, bits: int) -> Image.Image:
    """Convert an image to 8-bit grey or colour, and scale it to `size` (width, height) unless that is None.

    To save memory, an image of more than MIN_REDUCED_PIXELS is first reduced strip by strip. The integer factors of the
    reduction are chosen so that a reduced side is at least four times as long as the side in `size`.
    """
    factor_x = factor_y = 1
    if size is not None and image.width * image.height > MIN_REDUCED_PIXELS:
        factor_x, factor_y = (max(1, side // (4 * target)) for side, target in zip(image.size, size, strict=True))
    # The size is not rounded: a pixel in the last column or row of the reduced image may be the mean of fewer pixels.
    width, height = image.width / factor_x, image.height / factor_y
    reduced = Image.new("RGB" if colour else "L", (math.ceil(width), math.ceil(height)))
    for strip, top in _strips(image, factor_y):
        reduced.paste(_eight_bit(strip, colour, bits).reduce((factor_x, factor_y)), (0, top // factor_y))
    if size is None or image.size == size:
        return reduced
    return reduced.resize(size, Image.Resampling.LANCZOS, box=(0, 0, width, height))


def _strips(image: Image.Image, factor: int) -> Iterator[tuple[Image.Image, int]]:
    """Cut an image into horizontal strips. Yields each strip and the index of its first row, a multiple of `factor`."""
    rows = max(STRIP_PIXELS // image.width // factor, 1) * factor
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height))), top


def _eight_bit(strip: Image.Image, colour: bool, bits: int) -> Image.Image:
    """Convert a strip to 8-bit grey or colour; transparent pixels become black."""
    if strip.mode.startswith("I;16"):  # not converted by Pillow, which clips values above 255 instead of scaling them
        levels = np.asarray(strip)  # uint16, shape (rows, W)
        grey = np.minimum(levels >> (bits - 8), 255).astype(np.uint8)
        if (transparent := strip.info.get("transparency")) is not None:
            grey[levels == transparent] = 0
        strip = Image.fromarray(grey)
    elif strip.has_transparency_data:
        layer = strip.convert("RGBA")
        strip = Image.alpha_composite(Image.new("RGBA", layer.size, (0, 0, 0, 255)), layer).convert("RGB")
    return strip.convert("RGB" if colour else "L")
