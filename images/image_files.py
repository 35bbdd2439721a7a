"""Read image files into one array. All headers are checked before decoding, and one error reports all bad files."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..files.paths import reason
from ..runtime.errors import InputError, ShapeError, shortened
from ..runtime.pixels import Shape
from .array_checks import RESIZE_REMEDY, size_error
from .decoding import ImageHeader, decode, largest_level, read_header

MAX_LISTED_FILES = 10  # an error message lists at most this many file names
MAX_LISTED_LETTERS = 16  # each listed file name is cut to this many letters if the list would be too long
RECORDED_BITS = (8, 10, 12, 14, 16)  # possible numbers of bits that the values in a 16-bit grey file really use
Note = Callable[[str], None]  # a function that is called with a sentence to show to the user
Errors = dict[str, InputError]  # the error of each bad file, by the file's source name


@dataclass(frozen=True)
class ImageFile:
    """An image file, given by its path or as an open stream of its bytes.

    source_name: the file's path, or the name of the stream in error messages. file_name: the file's name without
    folders; "" for a stream. stream: the open stream; None for a path.
    """

    source_name: str
    file_name: str = ""
    stream: BinaryIO | None = None

    @classmethod
    def at(cls, path: Path) -> "ImageFile":
        """The `ImageFile` for the file at a path."""
        return cls(str(path), path.name)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open the file as a stream that begins at its first byte. Raises InputError when it cannot be opened."""
        if self.stream is not None:
            self.stream.seek(0)
            yield self.stream
            return
        with ExitStack() as stack:
            try:
                stream = stack.enter_context(Path(self.source_name).open("rb"))
            except OSError as error:
                found = reason(error)
                raise InputError(self.source_name, found=found, expected="a file that can be read") from error
            yield stream


def read_image_files(
    files: Sequence[ImageFile], *, shape: Shape | None = None, resize: bool = False, note: Note | None = None
) -> np.ndarray:
    """Read images from several files: uint8 (n, H, W) grey, or (n, H, W, 3) if any file has colour.

    shape: the (C, H, W) of the result: images must have the size H x W, and are converted to grey if C is 1 and to
    colour if C is 3. None only requires that all images have the same size. resize: scale images of any size to H x W.
    note: a function that is called with a sentence for the user when the values of 16-bit grey images turn out to use
    fewer than 16 bits. The largest value in all 16-bit grey files then sets the number of bits for all these files.
    Raises ShapeError that names the files of a wrong size. Raises InputError that names the files that cannot be
    decoded. Also raises InputError that names a 16-bit colour file if the values in all 16-bit colour files are so
    small that too few levels would remain in 8 bits.
    """
    size = (shape[2], shape[1]) if shape is not None and resize else None
    headers, errors = _read_headers(files, reduced=size is not None)
    if size is None:
        errors |= _size_mismatches(files, headers, shape)
    if errors:
        raise _combined_error(errors | _decoding_errors(files, headers, errors, size), len(files))
    bits = _recorded_bits(files, headers, note)
    colour = None if shape is None else shape[0] == 3
    images: np.ndarray | None = None
    for i, file in enumerate(files):
        try:
            with file.open() as stream:
                pixels = decode(stream, file.source_name, colour=colour, size=size, bits=bits)
        except InputError as error:
            errors[file.source_name] = error
            continue
        if images is None:
            images = np.empty((len(files), *pixels.shape), np.uint8)
        # If the file stores its EXIF orientation after the pixels, width and height may be exchanged only now.
        if pixels.shape[:2] != images.shape[1:3]:
            errors[file.source_name] = _size_error(file, pixels.shape[1::-1], images.shape[2:0:-1], files[0], shape)
        elif not errors:
            images = _with_image(images, i, pixels)
    if errors or images is None:
        raise _combined_error(errors, len(files))
    return images


def _read_headers(files: Sequence[ImageFile], *, reduced: bool) -> tuple[dict[str, ImageHeader], Errors]:
    """Read the headers of all files. Returns the readable headers and the errors of the other files, by source name."""
    headers: dict[str, ImageHeader] = {}
    errors: Errors = {}
    for file in files:
        try:
            with file.open() as stream:
                headers[file.source_name] = read_header(stream, file.source_name, reduced=reduced)
        except InputError as error:
            errors[file.source_name] = error
    return headers, errors


def _size_mismatches(files: Sequence[ImageFile], headers: dict[str, ImageHeader], shape: Shape | None) -> Errors:
    """Errors for the files of a wrong size, by source name.

    The right size is that of `shape`, or without a shape that of the first file whose header can be read.
    """
    first = next((file for file in files if file.source_name in headers), None)
    if first is None:
        return {}
    header = headers[first.source_name]
    expected = (header.width, header.height) if shape is None else (shape[2], shape[1])
    return {
        file.source_name: _size_error(file, (stated.width, stated.height), expected, first, shape)
        for file in files
        if (stated := headers.get(file.source_name)) is not None and not stated.fits(*expected)
    }


def _size_error(
    file: ImageFile, size: tuple[int, ...], expected: tuple[int, ...], first: ImageFile, shape: Shape | None
) -> ShapeError:
    """The error for a file of a wrong size.

    size: the file's (width, height). expected: the (width, height) that it should have. shape: the required (C, H, W),
    or None if all files must have the size of the file `first`.
    """
    if shape is not None:
        return size_error(file.source_name, (shape[0], size[1], size[0]), shape, RESIZE_REMEDY)
    return ShapeError(
        file.source_name,
        found=f"{size[0]}x{size[1]} pixels",
        expected=f"{expected[0]}x{expected[1]}, as {first.file_name or first.source_name} has",
        remedy="Scale the images to one size.",
    )


def _decoding_errors(
    files: Sequence[ImageFile], headers: dict[str, ImageHeader], errors: Errors, size: tuple[int, int] | None
) -> Errors:
    """Find decoding errors by decoding all files that have a readable header, so that one message reports all errors.

    errors: the errors of headers and sizes. If a file of a wrong size is among them, nothing is decoded. size: the
    (width, height) to which images are scaled, or None. Returns the new errors by source name.
    """
    if any(isinstance(error, ShapeError) for error in errors.values()):
        return {}
    more: Errors = {}
    for file in files:
        if file.source_name in headers:
            try:
                with file.open() as stream:
                    decode(stream, file.source_name, size=size)
            except InputError as error:
                more[file.source_name] = error
    return more


def _combined_error(errors: Errors, count: int) -> InputError:
    """Combine the errors of several files into one that names the first bad files and counts the rest.

    A single error is returned unchanged. count: the number of all files, good and bad.
    """
    first, *others = errors.values()
    if not others:
        return first
    kind = ShapeError if all(isinstance(error, ShapeError) for error in errors.values()) else InputError
    names = [Path(source_name).name for source_name in list(errors)[:MAX_LISTED_FILES]]
    if sum(map(len, names)) > MAX_LISTED_FILES * MAX_LISTED_LETTERS:
        names = [name if len(name) <= MAX_LISTED_LETTERS else f"...{name[3 - MAX_LISTED_LETTERS :]}" for name in names]
    more = f" and {len(errors) - MAX_LISTED_FILES:,} more" if len(errors) > MAX_LISTED_FILES else ""
    return kind(
        f"{len(errors):,} of {count:,} image files",
        found=", ".join(names) + more,
        expected="images that can be read, of one size" if kind is InputError else "images of one size",
        remedy=f"The first is {first}",
    )


def _recorded_bits(files: Sequence[ImageFile], headers: dict[str, ImageHeader], note: Note | None) -> int:
    """The number of bits that the values of 16-bit grey images really use, one of RECORDED_BITS.

    The result is the smallest number of bits that holds the largest value in all files. But it is 16 if every value is
    an 8-bit value times 257, because such values were scaled from 8 to 16 bits. If the result is below 16, `note` is
    called with a sentence for the user. Raises InputError if the values in all 16-bit colour files are so small that
    too few levels would remain in 8 bits.
    """
    grey = [file for file in files if headers[file.source_name].sixteen_bit == "grey"]
    colour = [file for file in files if headers[file.source_name].sixteen_bit == "colour"]
    largest_grey, eight_bit = _largest_level(grey)
    largest_colour, _ = _largest_level(colour)
    if 0 <= largest_colour < 2**14:
        raise InputError(
            colour[0].source_name,
            found=f"16 bits a channel, and no level above {largest_colour + 255:,} of 65,535",
            expected="levels that 8 bits can hold",
            remedy="Scale them to the whole range, or save the image with 8 bits a channel.",
        )
    if not grey or eight_bit:
        return 16
    bits = next(bits for bits in RECORDED_BITS if largest_grey < 2**bits)
    if bits < 16 and note is not None:
        subject = grey[0].source_name
        if len(grey) + len(colour) > 1:
            subject += f" and {len(grey) + len(colour) - 1:,} more"
        note(f"{shortened(subject)}: 16-bit grey levels up to {largest_grey:,} are read as {bits}-bit ones")
    return bits


def _largest_level(files: Sequence[ImageFile]) -> tuple[int, bool]:
    """The largest value in 16-bit image files, and whether all values are multiples of 257, as scaled 8-bit values are.

    Files that cannot be decoded are left out. The largest value is -1 if no file can be decoded.
    """
    largest, eight_bit = -1, True
    for file in files:
        try:
            with file.open() as stream:
                level, is_eight_bit = largest_level(stream, file.source_name)
        except InputError:  # the file is decoded again later, and the error is reported then
            continue
        largest, eight_bit = max(largest, level), eight_bit and is_eight_bit
    return largest, eight_bit


def _with_image(images: np.ndarray, i: int, pixels: np.ndarray) -> np.ndarray:
    """Store `pixels` (H, W) or (H, W, 3) at index i of images (n, H, W) or (n, H, W, 3), all uint8.

    Returns `images`, or a copy of them in colour if they are grey and `pixels` has colour.
    """
    if pixels.ndim == 3 and images.ndim == 3:
        coloured = np.empty((*images.shape, 3), np.uint8)
        coloured[:i] = images[:i, ..., None]
        images = coloured
    images[i] = pixels[..., None] if pixels.ndim < images.ndim - 1 else pixels
    return images
