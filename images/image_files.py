"""Image files as one set: all headers are checked before anything is decoded, and all bad files are named at once."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..runtime.errors import InputError, ShapeError, shortened
from ..runtime.pixels import Shape
from .decoding import DEPTHS, Header, decode, largest_level, read_header

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
MAX_NAMED = 10  # files in one message
MAX_NAME = 16  # characters of each of them, where all together are too long
Note = Callable[[str], None]


@dataclass(frozen=True)
class ImageFile:
    """An image file at a path, or in a stream that is open. name: that of the file, without folders, or nothing."""

    where: str
    name: str = ""
    stream: BinaryIO | None = None

    @classmethod
    def at(cls, path: Path) -> "ImageFile":
        """The image file at a path."""
        return cls(str(path), path.name)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Its bytes. Raises InputError when it cannot be opened."""
        if self.stream is not None:
            self.stream.seek(0)
            yield self.stream
            return
        with ExitStack() as stack:
            try:
                stream = stack.enter_context(Path(self.where).open("rb"))
            except OSError as error:
                found = (error.strerror or type(error).__name__).lower()
                raise InputError(self.where, found=found, expected="a file that can be read") from error
            yield stream


def image_files(folder: Path) -> list[Path]:
    """The image files directly in a folder, in natural order. Raises InputError when there are none."""
    files = images_in(folder)
    if not files:
        raise InputError(str(folder), found="no images", expected=f"files ending in {', '.join(SUFFIXES)}")
    return files


def images_in(folder: Path) -> list[Path]:
    """The image files directly in a folder, in natural order; hidden ones, which some systems leave, do not count."""
    try:
        named = [file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES]
    except OSError as error:
        found = (error.strerror or type(error).__name__).lower()
        raise InputError(str(folder), found=found, expected="a folder that can be read") from error
    files = (file for file in named if file.is_file() and not file.name.startswith("."))
    return sorted(files, key=lambda file: natural_order(file.name))


def natural_order(name: str) -> tuple[Any, ...]:
    """A sort key by which `2.png` comes before `10.png`."""
    parts = re.split(r"([0-9]+)", name)
    return tuple(int(part) if i % 2 else part.casefold() for i, part in enumerate(parts)), name


def read_image_files(
    files: Sequence[ImageFile], *, shape: Shape | None = None, resize: bool = False, note: Note | None = None
) -> np.ndarray:
    """The images of files, uint8 (n, H, W) grey or (n, H, W, 3) colour: in colour if any of them is.

    shape: the (C, H, W) that they must have; they are turned to grey or colour to fit. resize: scale them to it.
    16-bit grey levels are scaled alike in all files, by the smallest number of bits that holds the largest of them;
    note: is told of it in a sentence where that is below 16. Raises ShapeError naming files of another size, InputError
    naming those that cannot be decoded, and 16-bit colour of so few levels that 8 bits would lose them.
    """
    headers, bad = {}, {}
    for file in files:
        try:
            with file.open() as stream:
                headers[file.where] = read_header(stream, file.where, reduced=shape is not None and resize)
        except InputError as error:
            bad[file.where] = error
    if not resize or shape is None:
        bad |= _odd_sizes(files, headers, shape)
    if bad:
        raise _all_bad(bad | _damaged(files, headers, bad), len(files))
    bits = _recorded_bits([file for file in files if headers[file.where].deep], headers, note)
    images: np.ndarray | None = None
    size = (shape[2], shape[1]) if shape is not None and resize else None
    for i, file in enumerate(files):
        try:
            with file.open() as stream:
                pixels = decode(
                    stream, file.where, colour=None if shape is None else shape[0] == 3, size=size, bits=bits
                )
        except InputError as error:
            bad[file.where] = error
            continue
        if images is None:
            images = np.empty((len(files), *pixels.shape), np.uint8)
        if pixels.shape[:2] != images.shape[1:3]:  # an orientation that came after the pixels
            bad[file.where] = _size_error(file, pixels.shape[1::-1], images.shape[2:0:-1], files[0], shape)
        elif not bad:
            images = _put(images, i, pixels)
    if bad or images is None:
        raise _all_bad(bad, len(files))
    return images


def _put(images: np.ndarray, i: int, pixels: np.ndarray) -> np.ndarray:
    """The images with one more at place i; all turn to colour with the first that has it."""
    if pixels.ndim == 3 and images.ndim == 3:
        coloured = np.empty((*images.shape, 3), np.uint8)
        coloured[:i] = images[:i, ..., None]
        images = coloured
    images[i] = pixels[..., None] if pixels.ndim < images.ndim - 1 else pixels
    return images


def _odd_sizes(files: Sequence[ImageFile], headers: dict[str, Header], shape: Shape | None) -> dict[str, InputError]:
    """Files whose header states another size than the shape's, or than the first file's."""
    first = next((file for file in files if file.where in headers), None)
    if first is None:
        return {}
    own = headers[first.where]
    expected = (own.width, own.height) if shape is None else (shape[2], shape[1])
    return {
        file.where: _size_error(file, (header.width, header.height), expected, first, shape)
        for file in files
        if (header := headers.get(file.where)) is not None and not header.fits(*expected)
    }


def _size_error(
    file: ImageFile, size: tuple[int, ...], expected: tuple[int, ...], first: ImageFile, shape: Shape | None
) -> ShapeError:
    wanted = f"{expected[0]}x{expected[1]}"
    if shape is None:
        expectation, remedy = f"{wanted}, as {first.name} has", "Scale the images to one size."
        return ShapeError(file.where, found=f"{size[0]}x{size[1]} pixels", expected=expectation, remedy=remedy)
    kind = "grey" if shape[0] == 1 else "colour"
    return ShapeError(
        file.where,
        found=f"{kind} images of {size[0]}x{size[1]} pixels",
        expected=f"{kind} images of {wanted}",
        remedy="--resize scales them.",
    )


def _damaged(
    files: Sequence[ImageFile], headers: dict[str, Header], bad: dict[str, InputError]
) -> dict[str, InputError]:
    """Where some files cannot be read, the others that cannot be decoded either: one message then names them all."""
    if any(isinstance(error, ShapeError) for error in bad.values()):
        return {}
    found = {}
    for file in files:
        if file.where in headers:
            try:
                with file.open() as stream:
                    decode(stream, file.where)
            except InputError as error:
                found[file.where] = error
    return found


def _all_bad(bad: dict[str, InputError], count: int) -> InputError:
    """The one error there is, or one that names the first files and says how many there are."""
    errors = list(bad.values())
    if len(errors) == 1:
        return errors[0]
    kind = ShapeError if all(isinstance(error, ShapeError) for error in errors) else InputError
    names = [Path(where).name for where in list(bad)[:MAX_NAMED]]
    if sum(map(len, names)) > MAX_NAMED * MAX_NAME:
        names = [name if len(name) <= MAX_NAME else f"...{name[3 - MAX_NAME :]}" for name in names]
    more = f" and {len(errors) - MAX_NAMED:,} more" if len(errors) > MAX_NAMED else ""
    return kind(
        f"{len(errors):,} of {count:,} image files",
        found=", ".join(names) + more,
        expected="images that can be read, of one size" if kind is InputError else "images of one size",
        remedy=f"The first is {errors[0]}",
    )


def _recorded_bits(deep: Sequence[ImageFile], headers: dict[str, Header], note: Note | None) -> int:
    """Bits that 16-bit grey levels were recorded with: 16, or fewer where all of them lie in the lowest levels."""
    largest, plain = {"grey": 0, "colour": 0}, {"grey": True, "colour": True}
    for file in deep:
        try:
            with file.open() as stream:
                level, eight_bit = largest_level(stream, file.where)
        except InputError:  # it is named with the others that cannot be decoded
            continue
        kind = headers[file.where].deep
        largest[kind], plain[kind] = max(largest[kind], level), plain[kind] and eight_bit
    first = {headers[file.where].deep: file.where for file in reversed(deep)}
    if "colour" in first and largest["colour"] >> 14 == 0:
        raise InputError(
            first["colour"],
            found=f"16 bits a channel, and no level above {largest['colour'] + 255:,} of 65,535",
            expected="levels that 8 bits can hold",
            remedy="Scale them to the whole range, or save the image with 8 bits a channel.",
        )
    if "grey" not in first or plain["grey"]:  # levels of 8 bits, written with 16
        return 16
    bits = next(bits for bits in DEPTHS if largest["grey"] < 2**bits)
    if bits < 16 and note is not None:
        which = first["grey"] if len(deep) == 1 else f"{first['grey']} and {len(deep) - 1:,} more"
        note(f"{shortened(which)}: 16-bit grey levels up to {largest['grey']:,} are read as {bits}-bit ones")
    return bits
