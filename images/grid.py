"""Several images laid out as one image."""

import math

import numpy as np

from ..runtime.errors import OutputError
from ..runtime.pixels import grey_levels, unit_pixels
from .outputs import PNG

GAP_PIXELS = 2  # width of the gaps between images, in pixels before scaling
GAP_LEVEL = 56  # grey level of the gaps; dark grey is visible beside black and beside white images
MAX_CANVAS_BYTES = 2**31  # largest size of an image before encoding, or of all frames of an animation together
SIZE_REMEDY = "Take fewer images, a smaller scale or other columns; an .npy holds any number."


class Grid:
    """One large image, the uint8 `canvas` (H', W') or (H', W', 3), that shows `count` images in a grid.

    The grid is filled row by row as images are added. shape: the shape of each image, (H, W) or (H, W, 3). columns: the
    number of images in a row, by default about as many as there are rows. scale: each pixel of an image becomes
    scale x scale pixels of the canvas.
    Raises OutputError when a side of the canvas exceeds `max_side` pixels, or the canvas exceeds MAX_CANVAS_BYTES.
    """

    def __init__(
        self,
        count: int,
        shape: tuple[int, ...],
        *,
        columns: int | None = None,
        scale: int = 1,
        max_side: int = PNG.max_side,
    ) -> None:
        self._count, self._scale, self._filled = count, scale, 0
        self._columns = min(columns or math.ceil(math.sqrt(count)), count)
        self._rows = math.ceil(count / self._columns)
        self._height, self._width = shape[:2]
        height = (self._rows * (self._height + GAP_PIXELS) + GAP_PIXELS) * scale
        width = (self._columns * (self._width + GAP_PIXELS) + GAP_PIXELS) * scale
        require_canvas(height, width, math.prod(shape[2:]), max_side=max_side)
        self.canvas = np.full((height, width, *shape[2:]), GAP_LEVEL, np.uint8)

    def add(self, images: np.ndarray) -> None:
        """Add the next images (n, H, W) or (n, H, W, 3), uint8 or float in [0, 1]."""
        for image in grey_levels(images):
            self._cell(self._filled)[:] = image.repeat(self._scale, 0).repeat(self._scale, 1)
            self._filled += 1

    def finished(self) -> np.ndarray:
        """Make the cells after the last image black, and return the canvas, uint8 (H', W') or (H', W', 3)."""
        for index in range(self._count, self._rows * self._columns):
            self._cell(index)[:] = 0
        return self.canvas

    def _cell(self, index: int) -> np.ndarray:
        """A view of the canvas where image `index` is shown: (H * scale, W * scale) or (H * scale, W * scale, 3)."""
        row, column = divmod(index, self._columns)
        top = (GAP_PIXELS + row * (self._height + GAP_PIXELS)) * self._scale
        left = (GAP_PIXELS + column * (self._width + GAP_PIXELS)) * self._scale
        bottom, right = top + self._height * self._scale, left + self._width * self._scale
        cell: np.ndarray = self.canvas[top:bottom, left:right]
        return cell


def tile(images: np.ndarray, *, columns: int | None = None, scale: int = 1) -> np.ndarray:
    """Arrange images row by row in one large image, uint8 (H', W') or (H', W', 3).

    images: (n, H, W) or (n, H, W, 3), uint8 or float in [0, 1]. columns: the number of images in a row, by default
    about as many as there are rows. scale: each pixel becomes scale x scale pixels.
    """
    grid = Grid(len(images), images.shape[1:], columns=columns, scale=scale)
    grid.add(images)
    return grid.finished()


def stacked(columns: int, *layers: np.ndarray) -> np.ndarray:
    """Order several sets of images so that a grid with `columns` columns shows corresponding images below each other.

    The first grid row shows images of the first set. The next rows show the corresponding images of the other sets, one
    row for each set. Then the next images of the first set follow, and so on.

    layers: the sets, all with n images (n, H, W) or (n, H, W, 3), uint8 or float in [0, 1]. Returns the images of all
    sets in one array, uint8 (m, H, W) or (m, H, W, 3). If n is not a multiple of `columns`, black images complete the
    last row of each set.
    """
    padding = -len(layers[0]) % columns
    rows = []
    for images in (grey_levels(unit_pixels(layer)) for layer in layers):
        padded = np.concatenate([images, np.zeros((padding, *images.shape[1:]), np.uint8)])
        rows.append(padded.reshape(-1, columns, *images.shape[1:]))
    return np.stack(rows, 1).reshape(-1, *layers[0].shape[1:])


def require_canvas(height: int, width: int, channels: int = 1, frames: int = 1, *, max_side: int) -> None:
    """Check the size of an image, or of an animation with several frames, before memory is allocated for it.

    Raises OutputError when a side exceeds `max_side` pixels, or all frames together exceed MAX_CANVAS_BYTES.
    """
    if height * width * channels * frames > MAX_CANVAS_BYTES:
        found = f"{width:,} x {height:,} pixels" + f" in {frames:,} frames" * (frames > 1)
        expected = f"at most {MAX_CANVAS_BYTES // 2**30} GiB"
        raise OutputError("the image to write", found=found, expected=expected, remedy=SIZE_REMEDY)
    if max(height, width) > max_side:
        found, expected = f"{width:,} x {height:,} pixels", f"at most {max_side:,} on a side in this format"
        raise OutputError("the image to write", found=found, expected=expected, remedy=SIZE_REMEDY)
