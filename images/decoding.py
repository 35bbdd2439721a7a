"""Decode one image file, and read its header: size, bits, transparency."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import BinaryIO, Literal

import numpy as np
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from ..files.sources import format_names
from ..runtime.errors import InputError
from .conversion import MIN_REDUCED_PIXELS, Conversion, converted, strips
from .formats import IMAGE_FORMATS, PILLOW_NAMES

MAX_PIXELS = 100_000_000  # limit on the pixels of an image file that is scaled to another size when it is read
MAX_KEPT_PIXELS = 64_000_000  # limit on the pixels of an image file that is read in its own size
MAX_BUFFERED_PIXELS = 25_000_000  # limit for WebP and progressive JPEG files, whose decoders need more memory
MAX_LEVEL = 255
MAX_REASON_LETTERS = 120  # an error message quotes at most this many letters of Pillow's own message
ORIENTATION = 0x0112  # number of the EXIF tag that holds the orientation
TIFF_BITS = 258  # number of the TIFF tag that holds the bits of each channel
TRANSPOSES = {  # EXIF orientation -> operation that turns the image upright; 1 is upright
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
    because Pillow opens it as colour. transparent: whether the file may have transparent pixels.
    """

    width: int
    height: int
    orientation_known: bool
    sixteen_bit: SixteenBit
    transparent: bool = False

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
        return ImageHeader(*size, orientation_known, _sixteen_bit(image, stream), _may_be_transparent(image))


def decode(stream: BinaryIO, source_name: str, conversion: Conversion) -> np.ndarray:
    """Decode an image file to pixels, uint8 (H, W) or (H, W, 3), turned upright according to its EXIF data.

    Raises InputError when the file is no image, has too many pixels or is damaged.
    """
    size, colour = conversion.size, conversion.colour
    with _open(stream, source_name, reduced=size is not None) as image:
        sixteen_bit = _sixteen_bit(image, stream)
        if size is not None and image.format == "JPEG" and image.width * image.height > MIN_REDUCED_PIXELS:
            image.draft(None, (4 * max(size), 4 * max(size)))  # lets Pillow decode a JPEG at 1/2, 1/4 or 1/8 size
        _load(image, source_name, stream, sixteen_bit)
        orientation = _orientation(image)
        stored_size = size[::-1] if size is not None and orientation in SIDEWAYS else size
        with _damage_errors(source_name):  # converting finds more damage than decoding, such as a short palette
            if colour is None:
                colour = _is_colour(image, sixteen_bit, stream)
            stored = converted(image, replace(conversion, colour=colour, size=stored_size))
        return np.asarray(stored if orientation == 1 else stored.transpose(TRANSPOSES[orientation]))


def largest_level(stream: BinaryIO, source_name: str) -> tuple[int, bool]:
    """The largest value of a 16-bit image, 0 to 65535, and whether all values are 8-bit values times 257.

    If all values are 8-bit values times 257, the image was converted from 8 bits. Pillow reads only the high byte of
    16-bit colour values. For a colour image, the results are therefore the largest high byte times 256, and True.
    """
    with _open(stream, source_name, reduced=True) as image:
        sixteen_bit = _sixteen_bit(image, stream)
        _load(image, source_name, stream, sixteen_bit)
        if sixteen_bit == "colour":
            return 256 * max(int(np.asarray(strip)[..., :3].max()) for strip, _ in strips(image, 1)), True
        largest, eight_bit = 0, True
        for strip, _ in strips(image, 1):
            levels = np.asarray(strip)  # uint16, shape (rows, W)
            if (transparent := image.info.get("transparency")) is not None:
                levels = np.where(levels == transparent, 0, levels)
            eight_bit = eight_bit and np.array_equal(levels >> 8, levels & 255)
            largest = max(largest, int(levels.max()))
        return largest, eight_bit


def visible_level(stream: BinaryIO, source_name: str) -> tuple[float, float]:
    """The sum of the grey levels, 0 to 255, of an image's visible pixels, and the number of visible pixels.

    Each pixel counts by its opacity, 0 to 1, in both results. Both are 0 if no pixel of the image is transparent, or if
    the image has 16-bit grey levels. Raises InputError when the file is damaged.
    """
    with _open(stream, source_name, reduced=True) as image:
        _load(image, source_name, stream, _sixteen_bit(image, stream))
        if image.mode.startswith("I;16"):
            return 0.0, 0.0
        total = opaque = 0.0
        transparent = False
        with _damage_errors(source_name):
            for strip, _ in strips(image, 1):
                grey, alpha = (np.asarray(each, np.float32) for each in strip.convert("RGBA").convert("LA").split())
                transparent = transparent or bool(alpha.min() < MAX_LEVEL)
                total, opaque = total + float((grey * alpha).sum()), opaque + float(alpha.sum())
        return (total / MAX_LEVEL, opaque / MAX_LEVEL) if transparent else (0.0, 0.0)


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
            if opened.format == "TIFF":
                _check_tiff(opened, source_name)
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


def _check_tiff(image: Image.Image, source_name: str) -> None:
    """Raise InputError for a TIFF with several pages, or with levels of more than 16 bits, which Pillow would clip."""
    with _damage_errors(source_name):
        pages = getattr(image, "n_frames", 1)
    if pages > 1:
        remedy = "Save each page as a file."
        raise InputError(source_name, found=f"a TIFF of {pages} pages", expected="one image", remedy=remedy)
    if image.mode in ("I", "F"):
        found, remedy = "levels of 32 bits", "Save it with 8 or 16 bits, or as .npy with floats in [0, 1]."
        raise InputError(source_name, found=found, expected="at most 16 bits a channel", remedy=remedy)


def _may_be_transparent(image: Image.Image) -> bool:
    has_no_palette = image.mode == "P" and image.palette is None  # in a damaged file; Pillow assumes a palette
    return "transparency" in image.info or (not has_no_palette and image.has_transparency_data)


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
        # Image.getexif is called, because PngImageFile overrides it with a method that decodes the whole image.
        orientation = Image.Image.getexif(image).get(ORIENTATION, 1)
    except DAMAGE_ERRORS:
        return 1
    return orientation if orientation in TRANSPOSES else 1


def _sixteen_bit(image: Image.Image, stream: BinaryIO) -> SixteenBit:
    bits = _png_bits(stream)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        with suppress(TypeError, ValueError):  # raised for a damaged TIFF tag
            bits = max(map(int, image.tag_v2.get(TIFF_BITS, (8,))))
    if bits != 16:
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
    if sixteen_bit != "no" and _png_is_grey(stream):  # grey with alpha, which Pillow opens as colour
        return False
    return image.mode not in ("1", "L", "LA", "I", "F") and not image.mode.startswith("I;16")
