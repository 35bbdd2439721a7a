"""Check the shape and dtype of an array of images. The checks need no values, so a file's header is enough."""

import numpy as np

from ..runtime.errors import InputError, ShapeError
from ..runtime.pixels import Shape, image_shape

RESIZE_REMEDY = "Pass resize=True to scale images."


def check_images(
    axes: tuple[int, ...],
    dtype: np.dtype,
    source_name: str,
    *,
    required: Shape | None = None,
    resize: bool = False,
) -> None:
    """Raise an error unless an array of this shape and dtype holds images, (n, H, W) or (n, H, W, 3), of numbers.

    axes: the shape of the array. required: the shape (C, H, W) that each image must have; None allows any. resize:
    whether another height and width are allowed; the number of channels must always agree with `required`.
    Raises ShapeError for a wrong shape, InputError for a wrong dtype.
    """
    if len(axes) != 3 and not (len(axes) == 4 and axes[-1] == 3):
        raise ShapeError(source_name, found=f"shape {axes}", expected="(n, H, W) grey or (n, H, W, 3) colour")
    if 0 in axes[1:]:
        raise ShapeError(source_name, found=f"shape {axes}", expected="images of at least one pixel")
    if required is not None and axes[1:] != image_shape(required):
        channels = 1 if len(axes) == 3 else 3
        if channels != required[0] or not resize:
            remedy = "Choose other images." if resize or channels != required[0] else RESIZE_REMEDY
            raise size_error(source_name, (channels, *axes[1:3]), required, remedy)
    if dtype.kind not in "biuf":
        raise InputError(source_name, found=f"dtype {dtype}", expected="uint8, or float in [0, 1]")


def size_error(source_name: str, found: Shape, required: Shape, remedy: str) -> ShapeError:
    """The error for images of shape `found` where shape `required` is needed, both (C, H, W)."""
    return ShapeError(source_name, found=_description(found), expected=_description(required), remedy=remedy)


def _description(shape: Shape) -> str:
    """Describe images of a shape (C, H, W) in words: (1, 30, 40) becomes `grey images of 40x30 pixels`."""
    channels, height, width = shape
    return f"{'grey' if channels == 1 else 'colour'} images of {width}x{height} pixels"
