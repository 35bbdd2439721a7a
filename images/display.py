"""Show images in a notebook, or as one image in plain Python."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..runtime.arguments import checked_positive
from ..runtime.errors import InputError, ShapeError
from ..runtime.pixels import as_array, unit_pixels
from .grid import fitting_scale, tile

if TYPE_CHECKING:
    from PIL.Image import Image


def show(images: ArrayLike, *, columns: int | None = None, scale: int | None = None) -> "Image":
    """Arrange images in a grid. Returns a Pillow image: a notebook displays it, and `save("grid.png")` writes it.

    images: (n, H, W) grey or (n, H, W, 3) colour, uint8 or float in [0, 1]; one image; or paths of images (n, steps, H,
    W[, 3]), such as `latent_walk` returns; the grid shows each path as a row. An array whose last axis has 3 values is
    in colour. columns: images in a row, by default as many as fit. scale: each pixel becomes scale x scale pixels, by
    default so large that people can see the images.
    Raises ShapeError for another shape, InputError for values of another dtype or range, for no images, and for columns
    or a scale below 1.
    """
    for name, number in (("columns", columns), ("scale", scale)):
        if number is not None:
            checked_positive(name, number)
    array = as_array("images", images)
    single_axes = 3 if array.ndim >= 3 and array.shape[-1] == 3 else 2
    if not single_axes <= array.ndim <= single_axes + 2:
        expected = "(H, W[, 3]), (n, H, W[, 3]) or (n, steps, H, W[, 3])"
        raise ShapeError("images", found=f"shape {array.shape}", expected=expected)
    if array.size == 0:
        raise InputError("images", found=f"shape {array.shape}", expected="at least one image")
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise InputError("images", found=f"dtype {array.dtype}", expected="uint8, or float in [0, 1]")
    if array.ndim == single_axes + 2:
        columns = columns or array.shape[1]
    flat = array.reshape(-1, *array.shape[array.ndim - single_axes :])
    scale = scale or fitting_scale(len(flat), flat.shape[1:], columns)

    from PIL import Image

    return Image.fromarray(tile(unit_pixels(flat), columns=columns, scale=scale))
