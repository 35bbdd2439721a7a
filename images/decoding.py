"""One image file to 8-bit grey or colour: its header first, then its pixels a few rows at a time.

Pillow holds a decoded image whole, four bytes for a pixel of colour, so what is made of it is made of strips.
"""

import math
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..runtime.errors import InputError

FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
MAX_PIXELS = 100_000_000  # of an image that is made smaller while it is decoded
MAX_KEPT_PIXELS = 64_000_000  # of an image that keeps its size
MAX_BUFFERED_PIXELS = 25_000_000  # of a format whose decoder holds the image several times
LARGE = 4_000_000  # pixels from which an image is reduced by whole factors before it is resized
STRIP = 1_000_000  # pixels converted at a time
ORIENTATION = 0x0112  # EXIF tag
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (5, 6, 7, 8)  # orientations that exchange width and height
DEPTHS = (8, 10, 12, 14, 16)  # bits that 16-bit grey levels may have been recorded with
# What Pillow raises on damaged files, found by damaging some 100,000; UnidentifiedImageError is an OSError.
DAMAGE = (
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


@dataclass(frozen=True)
class Header:
    """What an image file says of itself before it is decoded. width, height: once it is turned upright.

    turn_known: whether an EXIF chunk that comes late may still exchange them. deep: "" for 8 bits, "grey" or "colour"
    for 16 bits a channel; colour with transparency counts as colour, and so does grey with it.
    """

    width: int
    height: int
    turn_known: bool
    deep: str

    def fits(self, width: int, height: int) -> bool:
        """Whether the image may have this size."""
        own = (self.width, self.height)
        return own == (width, height) or (not self.turn_known and own == (height, width))


def read_header(stream: BinaryIO, where: str, *, reduced: bool) -> Header:
    """The header of an image; no pixel is decoded. reduced: whether the image will be made smaller.

    Raises InputError when it is no PNG, JPEG, BMP or WebP, or has too many pixels.
    """
    with _open(stream, where, reduced=reduced) as image:
        turn = _orientation(image)
        size = image.size[::-1] if turn in SIDEWAYS else image.size
        known = image.format != "PNG" or turn != 1
        return Header(*size, known, _deep(image, stream))


def decode(
    stream: BinaryIO, where: str, *, colour: bool | None = None, size: tuple[int, int] | None = None, bits: int = 16
) -> np.ndarray:
    """The pixels of an image file, uint8 (H, W) or (H, W, 3), turned as its EXIF data says.

    colour: None keeps the image's own. size: (width, height) to scale to. bits: what 16-bit grey levels were recorded
    with; of 16-bit colour the high byte is taken. What is transparent becomes black. Raises InputError when the file
    is damaged.
    """
    with _open(stream, where, reduced=size is not None) as image:
        deep = _deep(image, stream)
        if size is not None and image.format == "JPEG" and image.width * image.height > LARGE:
            image.draft(None, (4 * max(size), 4 * max(size)))  # decodes at a half, a quarter or an eighth of the sides
        _load(image, where, stream, deep)
        turn = _orientation(image)
        own = size[::-1] if size is not None and turn in SIDEWAYS else size
        with _damage_told(where):  # a palette too short, for example
            plain = _plain(image, _is_colour(image, deep, stream) if colour is None else colour, own, bits)
        return np.asarray(plain if turn == 1 else plain.transpose(TURNS[turn]))


def largest_level(stream: BinaryIO, where: str) -> tuple[int, bool]:
    """Largest value of a 16-bit image, 0 to 65535, and whether every value is an 8-bit level times 257.

    Of colour Pillow keeps the high bytes only, so there the value is that of the high byte times 256.
    """
    with _open(stream, where, reduced=True) as image:
        deep = _deep(image, stream)
        _load(image, where, stream, deep)
        if deep == "colour":
            return 256 * max(int(np.asarray(strip)[..., :3].max()) for strip, _ in _strips(image, 1)), True
        largest, plain = 0, True
        for strip, _ in _strips(image, 1):
            levels = np.asarray(strip)
            if (hidden := image.info.get("transparency")) is not None:
                levels = np.where(levels == hidden, 0, levels)
            plain = plain and np.array_equal(levels >> 8, levels & 255)
            largest = max(largest, int(levels.max()))
        return largest, plain


@contextmanager
def _open(stream: BinaryIO, where: str, *, reduced: bool) -> Iterator[Image.Image]:
    """An opened image, without a warning of Pillow's, none of which says what a user could act on."""
    with warnings.catch_warnings(action="ignore"):
        stream.seek(0)
        try:
            opened = Image.open(stream, formats=FORMATS)
        except UnidentifiedImageError as error:
            if _is_empty(stream):
                raise InputError(where, found="an empty file", expected="an image") from error
            expected = "PNG, JPEG, BMP, WebP, .npy, .npz or IDX"
            raise InputError(where, found="no format that can be read", expected=expected) from error
        except Image.DecompressionBombError as error:
            raise InputError(where, found="too many pixels", expected=f"at most {MAX_PIXELS:,}") from error
        except DAMAGE as error:
            raise InputError(f"{where} is damaged", found=_first_words(error)) from error
        with opened:
            most = MAX_PIXELS if reduced else MAX_KEPT_PIXELS
            if opened.format == "WEBP" or (opened.format == "JPEG" and "progressive" in opened.info):
                most = MAX_BUFFERED_PIXELS
            if opened.width * opened.height > most:
                raise InputError(where, found=f"{opened.width}x{opened.height} pixels", expected=f"at most {most:,}")
            yield opened


@contextmanager
def _damage_told(where: str) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise InputError(f"{where} is damaged", found=_first_words(error)) from error


def _first_words(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def _is_empty(stream: BinaryIO) -> bool:
    stream.seek(0)
    return not stream.read(1)


def _load(image: Image.Image, where: str, stream: BinaryIO, deep: str) -> None:
    """Decode, and put right what Pillow says of a transparent colour where a channel has not 8 bits."""
    bits = _png_bits(stream)
    with _damage_told(where):
        image.load()
    if image.mode in ("P", "PA") and image.palette is None:
        raise InputError(f"{where} is damaged", found="no palette")
    clear = image.info.get("transparency")
    if image.mode == "RGB" and deep and isinstance(clear, tuple):
        image.info["transparency"] = tuple(level >> 8 for level in clear)
    if image.mode == "L" and bits in (2, 4) and isinstance(clear, int):
        image.info["transparency"] = clear * (255 // (2**bits - 1))


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none, or none that can be read."""
    try:
        found = Image.Image.getexif(image).get(ORIENTATION, 1)  # that of a PNG would decode the image
    except DAMAGE:
        return 1
    return found if found in TURNS else 1


def _deep(image: Image.Image, stream: BinaryIO) -> str:
    if image.format != "PNG" or _png_bits(stream) != 16:
        return ""
    return "grey" if image.mode.startswith("I;16") else "colour"


def _png_bits(stream: BinaryIO) -> int:
    """Bits of a channel, of a PNG; 0 of any other file. The stream stays where it is."""
    return _ihdr(stream)[0]


def _png_is_grey(stream: BinaryIO) -> bool:
    return _ihdr(stream)[1] in (0, 4)


def _ihdr(stream: BinaryIO) -> tuple[int, int]:
    """Bits and colour type of a PNG's first chunk, or (0, 2)."""
    place = stream.tell()
    stream.seek(0)
    start = stream.read(26)
    stream.seek(place)
    return (start[24], start[25]) if len(start) == 26 and start[12:16] == b"IHDR" else (0, 2)


def _is_colour(image: Image.Image, deep: str, stream: BinaryIO) -> bool:
    if image.mode == "P":  # a palette may hold nothing but greys
        palette = image.getpalette("RGB") or []
        used = [i for i, count in enumerate(image.histogram()[:256]) if count]
        return any(len(set(palette[3 * i : 3 * i + 3])) > 1 for i in used)
    if deep and _png_is_grey(stream):  # Pillow opens 16-bit grey with transparency as colour
        return False
    return image.mode not in ("1", "L", "LA", "I", "F") and not image.mode.startswith("I;16")


def _plain(image: Image.Image, colour: bool, size: tuple[int, int] | None, bits: int) -> Image.Image:
    """The image in grey or colour, of its own size or scaled; a large one is reduced by whole factors before that."""
    across = down = 1
    if size is not None and image.width * image.height > LARGE:
        across, down = (max(1, own // (4 * wanted)) for own, wanted in zip(image.size, size, strict=True))
    width, height = image.width / across, image.height / down  # the last column and row may stand for fewer pixels
    plain = Image.new("RGB" if colour else "L", (math.ceil(width), math.ceil(height)))
    for strip, top in _strips(image, down):
        plain.paste(_eight_bits(strip, colour, bits).reduce((across, down)), (0, top // down))
    if size is None or image.size == size:
        return plain
    return plain.resize(size, Image.Resampling.LANCZOS, box=(0, 0, width, height))


def _strips(image: Image.Image, factor: int) -> Iterator[tuple[Image.Image, int]]:
    """Parts of the image, each some rows high, a multiple of factor, and the row each begins at."""
    rows = max(STRIP // image.width // factor, 1) * factor
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height))), top


def _eight_bits(part: Image.Image, colour: bool, bits: int) -> Image.Image:
    if part.mode.startswith("I;16"):  # Pillow's own conversion clips instead of scaling
        levels = np.asarray(part)
        eight = np.minimum(levels >> (bits - 8), 255).astype(np.uint8)
        if (hidden := part.info.get("transparency")) is not None:
            eight[levels == hidden] = 0
        part = Image.fromarray(eight)
    elif part.has_transparency_data:
        layer = part.convert("RGBA")
        part = Image.alpha_composite(Image.new("RGBA", layer.size, (0, 0, 0, 255)), layer).convert("RGB")
    return part.convert("RGB" if colour else "L")
