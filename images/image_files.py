"""Read image files into one array. All headers are checked before decoding, and one error reports all bad files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..runtime.errors import InputError, ShapeError
from ..runtime.pixels import Shape
from .array_checks import RESIZE_REMEDY, size_error
from .conversion import Conversion
from .decoding import ImageHeader, decode, read_header
from .folders import natural_order
from .image_file import ImageFile, Note
from .read_options import DEFAULT_OPTIONS, ReadOptions
from .shared_conversion import chosen_background, recorded_bits

MAX_LISTED_FILES = 10  # an error message lists at most this many file names
MAX_LISTED_LETTERS = 16  # each listed file name is cut to this many letters if the list would be too long
Errors = dict[str, InputError]  # the error of each bad file, by the file's source name


@dataclass(frozen=True)
class DecodedFiles:
    """Images, uint8 (n, H, W) or (n, H, W, 3), and the index of each image's file among all files, int64 (n,)."""

    images: np.ndarray
    kept: np.ndarray


def read_image_files(
    files: Sequence[ImageFile],
    *,
    shape: Shape | None = None,
    resize: bool = False,
    options: ReadOptions = DEFAULT_OPTIONS,
    note: Note | None = None,
) -> DecodedFiles:
    """Read images from several files: uint8 (n, H, W) grey, or (n, H, W, 3) if any file has colour.

    shape: the (C, H, W) of the result: images must have the size H x W, and are converted to grey if C is 1 and to
    colour if C is 3. With None, images may have any size, but all the same. resize: scale images of any size to H x W.
    options: the size to which images are cropped and scaled, the background of transparent images, and whether files
    that cannot be decoded are left out. note: a function that is called with a sentence for the user, such as when the
    values of 16-bit grey images turn out to use fewer than 16 bits. The largest value in all 16-bit grey files then
    sets the number of bits for all these files. Raises ShapeError that names the files of a wrong size. Raises
    InputError that names the files that cannot be decoded. Also raises InputError that names a 16-bit colour file if
    the values in all 16-bit colour files are so small that too few levels would remain in 8 bits.
    """
    size = (shape[2], shape[1]) if shape is not None and resize else options.size
    headers, errors = _read_headers(files, reduced=size is not None)
    mismatches = {} if size is not None else _size_mismatches(files, headers, shape)
    if mismatches or (errors and not options.skip_bad):
        errors |= mismatches
        raise _combined_error(errors | _decoding_errors(files, headers, errors, size), len(files))
    readable = [i for i, file in enumerate(files) if file.source_name in headers]
    good = [files[i] for i in readable]
    conversion = Conversion(
        colour=options.colour if shape is None else shape[0] == 3,
        size=size,
        crop=shape is None or not resize,
        bits=recorded_bits(good, headers, note),
        background=chosen_background(good, headers, options, note),
    )
    decoded = _decoded(good, conversion, shape, errors, skip_bad=options.skip_bad)
    if decoded is None or (errors and not options.skip_bad):
        raise _combined_error(errors, len(files))
    kept = [readable[i] for i in decoded.kept]
    transparent = [headers[files[i].source_name].transparent for i in kept]
    constant = sum(bool(image.min() == image.max()) for image in decoded.images[np.array(transparent)])
    _note_losses(errors, constant, len(files), note)
    return DecodedFiles(decoded.images, np.array(kept, np.int64))


def _decoded(
    files: Sequence[ImageFile], conversion: Conversion, shape: Shape | None, errors: Errors, *, skip_bad: bool
) -> DecodedFiles | None:
    """Decode the files whose headers can be read. Returns None if no file can be decoded.

    shape: the required (C, H, W), or None. errors: the errors of files that cannot be decoded are added to this dict.
    skip_bad: whether to go on after such a file. Raises one error for all files whose size differs from that of the
    others.
    """
    images: np.ndarray | None = None
    kept: list[int] = []
    mismatches: Errors = {}
    for i, file in enumerate(files):
        try:
            with file.open() as stream:
                pixels = decode(stream, file.source_name, conversion)
        except InputError as error:
            errors[file.source_name] = error
            continue
        if images is None:
            images = np.empty((len(files), *pixels.shape), np.uint8)
            first = file
        # Check the size again: if the file stores its EXIF orientation after the pixels, width and height may be
        # exchanged.
        if pixels.shape[:2] != images.shape[1:3]:
            sizes = pixels.shape[1::-1], images.shape[2:0:-1]
            mismatches[file.source_name] = _size_error(file, *sizes, first, shape)
        elif skip_bad or not errors:
            images = _with_image(images, len(kept), pixels)
            kept.append(i)
    if mismatches:
        raise _combined_error(errors | mismatches, len(files))
    return None if images is None else DecodedFiles(images[: len(kept)], np.array(kept, np.int64))


def _note_losses(errors: Errors, constant: int, count: int, note: Note | None) -> None:
    """Call `note` with sentences on files that were left out, and on images whose content vanished into the background.

    constant: number of images with transparent pixels that have a single colour on the background. count: number of all
    files.
    """
    if note is None:
        return
    if errors:
        first = min(errors, key=natural_order)
        note(f"{len(errors):,} of {count:,} image files are left out: {_listed(errors)}. The first is {errors[first]}")
    if constant:
        note(
            f"{constant:,} of {count:,} images with transparent pixels have one colour only on this background: "
            "choose another background"
        )


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

    The right size is the size of `shape`. If that is None, it is the size of the first file whose header can be read.
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
        remedy="Choose a size, to which all are cropped and scaled.",
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
                    decode(stream, file.source_name, Conversion(size=size))
            except InputError as error:
                more[file.source_name] = error
    return more


def _combined_error(errors: Errors, count: int) -> InputError:
    """Combine the errors of several files into one that names the first bad files and counts the rest.

    A single error is returned unchanged. count: the number of all files, good and bad.
    """
    first = errors[min(errors, key=natural_order)]
    if len(errors) == 1:
        return first
    kind = ShapeError if all(isinstance(error, ShapeError) for error in errors.values()) else InputError
    return kind(
        f"{len(errors):,} of {count:,} image files",
        found=_listed(errors),
        expected="images that can be read, of one size" if kind is InputError else "images of one size",
        remedy=f"The first is {first}",
    )


def _listed(errors: Errors) -> str:
    """A text with the names of the first bad files, in natural order, and the number of further bad files."""
    ordered = sorted(errors, key=natural_order)
    names = [Path(source_name).name for source_name in ordered[:MAX_LISTED_FILES]]
    if sum(map(len, names)) > MAX_LISTED_FILES * MAX_LISTED_LETTERS:
        names = [name if len(name) <= MAX_LISTED_LETTERS else f"...{name[3 - MAX_LISTED_LETTERS :]}" for name in names]
    return ", ".join(names) + (
        f" and {len(errors) - MAX_LISTED_FILES:,} more" if len(errors) > MAX_LISTED_FILES else ""
    )


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
