"""Arrange the axes of arrays of images, and turn whole numbers into grey levels."""

import math
from collections.abc import Callable, Iterator

import numpy as np

from ..runtime.arrays import forget
from ..runtime.errors import InputError, ShapeError
from ..runtime.pixels import TOLERANCE

CHECKED_IMAGES = 256  # number of images at the start of an array from which the kind of its values is recognised
PART_VALUES = 2**24  # arrays are converted in parts of about this many values
EXPECTED_AXES = "(n, H, W) or (n, pixels) grey, (n, H, W, 3) or (n, 3, H, W) colour"


def arranged(array: np.ndarray, source_name: str) -> np.ndarray:
    """A view of an array of images with the axes (n, H, W) for grey or (n, H, W, 3) for colour.

    array: (n, H, W), (n, H, W, 1), (n, 1, H, W), (n, H, W, 3), (n, 3, H, W), or (n, pixels) for square grey images.
    Raises ShapeError for other shapes, and for a shape that can be read in two ways.
    """
    axes = array.shape
    if array.ndim == 2:
        return array.reshape(len(array), *_square(axes, source_name))
    if array.ndim != 4:
        if array.ndim == 3:
            return array
        raise ShapeError(source_name, found=f"shape {axes}", expected=EXPECTED_AXES)
    last, first = axes[3] in (1, 3), axes[1] in (1, 3)
    if last and first:
        found = f"shape {axes}, whose channels may be the second or the last axis"
        remedy = f"Store them as (n, H, W) or (n, H, W, 3): images.reshape(-1, {axes[1]}, ...) or images[..., 0]."
        raise ShapeError(source_name, found=found, expected="one axis for the channels", remedy=remedy)
    if not last and not first:
        more = " An alpha channel must be removed first: images[..., :3]" if axes[3] == 4 else None
        raise ShapeError(source_name, found=f"shape {axes}", expected=EXPECTED_AXES, remedy=more)
    images = array if last else array.transpose(0, 2, 3, 1)
    return images[..., 0] if images.shape[3] == 1 else images


def row_remarks(axes: tuple[int, ...], source_name: str) -> list[str]:
    """A sentence for the user if an array has all pixels of an image in one row; otherwise no sentence.

    axes: the array's shape.
    """
    if len(axes) != 2:
        return []
    side = arranged_axes(axes, source_name)[1]
    return [f"{source_name}: rows of {axes[1]:,} values are read as images of {side}x{side} pixels"]


def arranged_axes(axes: tuple[int, ...], source_name: str) -> tuple[int, ...]:
    """The shape of the result of `arranged` for an array of shape `axes`, computed without the array's values.

    Raises the errors of `arranged`.
    """
    return arranged(np.broadcast_to(np.uint8(0), axes), source_name).shape


def _square(axes: tuple[int, ...], source_name: str) -> tuple[int, int]:
    """The size (H, W) of square images whose pixels are stored in one row. axes: the array's shape, (n, pixels)."""
    side = math.isqrt(axes[1])
    if side * side == axes[1]:
        return side, side
    remedy = f"{axes[1]:,} pixels make no square image."
    third = math.isqrt(axes[1] // 3)
    if 3 * third * third == axes[1]:
        remedy += (
            f" If they are colour with one channel after the other, as CIFAR has them, store "
            f"images.reshape(-1, 3, {third}, {third}); otherwise images.reshape(-1, {third}, {third}, 3)."
        )
    raise ShapeError(source_name, found=f"shape {axes}", expected=EXPECTED_AXES, remedy=remedy)


def grey_numbers(images: np.ndarray, source_name: str, note: Callable[[str], None] | None = None) -> np.ndarray:
    """Turn images of whole numbers into uint8. Booleans and 0 or 1 become black or white; 0 to 255 are grey levels.

    images: any shape (n, ...), any number type. Floats in [0, 1] are returned as they are; floats that are whole
    numbers up to 255 are grey levels. note: receives a sentence when numbers of 0 and 1 are read as black and white,
    or floats as grey levels. Raises InputError for whole numbers outside of 0 to 255.
    """
    if images.dtype == bool:
        return images.astype(np.uint8) * np.uint8(255)
    if images.dtype.kind == "f" and not _are_levels(images[:CHECKED_IMAGES]):
        return images
    if images.dtype == np.uint8 and not images[:CHECKED_IMAGES].size:
        return images
    if images.dtype == np.uint8 and images[:CHECKED_IMAGES].max() != 1:
        return images
    levels, largest = images if images.dtype == np.uint8 else np.empty(images.shape, np.uint8), 0
    for part, rows in _parts(images):
        low, high = part.min(), part.max()
        if not (low >= 0 and high <= 255) or (images.dtype.kind == "f" and not np.array_equal(part, np.rint(part))):
            raise _range_error(images, source_name)
        largest = max(largest, int(high))
        if levels is not images:
            levels[rows] = part
    if note is not None and images.dtype.kind == "f" and largest > 1:
        note(f"{source_name}: floats that are whole numbers up to {largest} are read as grey levels")
    if largest != 1:
        return levels
    if note is not None:
        note(f"{source_name}: numbers that are all 0 or 1 are read as black and white")
    return levels * np.uint8(255)


def _are_levels(images: np.ndarray) -> bool:
    """Whether floats (m, ...) are whole numbers, some above 1 and none outside of 0 to 255."""
    if not images.size or not 1 + TOLERANCE < images.max() <= 255 or images.min() < 0:
        return False
    return np.array_equal(images, np.rint(images))


def _parts(images: np.ndarray) -> Iterator[tuple[np.ndarray, slice]]:
    """Yield non-empty images (n, ...) in parts, each with the slice of its rows."""
    rows = max(1, PART_VALUES // max(1, math.prod(images.shape[1:])))
    for start in range(0, len(images) if images.size else 0, rows):
        window = slice(start, start + rows)
        yield images[window], window
        forget(images)


def _range_error(images: np.ndarray, source_name: str) -> InputError:
    """The error for images whose numbers are outside of 0 to 255."""
    low, high = images.min(), images.max()
    found = f"{images.dtype} from {low:g} to {high:g}"
    remedy = f"Scale them: ((images - {low:g}) / {high - low:g}) are floats in [0, 1]." if high > low else None
    if images.dtype.kind == "u" or (low >= 0 and high > 255):
        remedy = f"Scale them: images / {65535 if 4096 <= high <= 65535 else high:g} are floats in [0, 1]."
    expected = "whole numbers from 0 to 255, or floats in [0, 1]"
    return InputError(source_name, found=found, expected=expected, remedy=remedy)


def is_square(pixels: int) -> bool:
    """Whether a square image can have this number of pixels."""
    return pixels > 0 and math.isqrt(pixels) ** 2 == pixels
