"""Several images laid out as one image."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..runtime.errors import OutputError
from ..runtime.pixels import grey_levels, unit_pixels
from .outputs import PNG

GAP_PIXELS = 2  # width of the gaps between images, in pixels before scaling
GAP_LEVEL = 56  # grey level of the gaps; dark grey is visible beside black and beside white images
MAX_CANVAS_BYTES = 2**31  # largest size of an image before encoding, or of all frames of an animation together
SIZE_REMEDY = "Take fewer images, a smaller scale or other columns; an .npy holds any number."
MIN_IMAGE_SIDE, MAX_IMAGE_SIDE = 56, 320  # limits of `fitting_scale` on an image's longer side, in pixels
MAX_GRID_SIDE = 640  # limit of `fitting_scale` on the sides of a grid, in pixels
MAX_ROW_IMAGES, MAX_ROW_WIDTH = 16, 1000  # limits of `fitting_row`: images in a row, and its width in pixels
MAX_STRETCH = 1.5  # `fitting_columns` makes rows up to this many times as long as in a square grid


class Margins(NamedTuple):
    """Room for texts in a grid, in pixels of its canvas.

    left: width of the margin left of all images. below: for each row of the grid, the height of the strip below its
    images; rows after the last entry have none. cell_width: minimum width of the cell that an image is in; wider cells
    have their image in the middle.
    """

    left: int = 0
    below: tuple[int, ...] = ()
    cell_width: int = 0


NO_MARGINS = Margins()


class Grid:
    """One large image, the uint8 `canvas` (H', W') or (H', W', 3), that shows `count` images in a grid.

    The grid is filled row by row as images are added; the cells after the last image are empty. shape: the shape of
    each image, (H, W) or (H, W, 3). columns: the number of images in a row, by default that of `fitting_columns`.
    scale: each pixel of an image becomes scale x scale pixels of the canvas. margins: room for texts.
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
        margins: Margins = NO_MARGINS,
    ) -> None:
        self._scale, self._filled, self._margins = scale, 0, margins
        self._columns = min(columns or fitting_columns(count, shape), count)
        self.rows = math.ceil(count / self._columns)
        self._gap = GAP_PIXELS * scale
        self._height, self._width = shape[0] * scale, shape[1] * scale
        self._cell_width = max(self._width, margins.cell_width)
        height = self.rows * (self._height + self._gap) + self._gap + sum(margins.below[: self.rows])
        width = margins.left + self._columns * (self._cell_width + self._gap) + self._gap
        require_canvas(height, width, math.prod(shape[2:]), max_side=max_side)
        self.canvas = np.full((height, width, *shape[2:]), GAP_LEVEL, np.uint8)
        self._below = [*margins.below, *[0] * self.rows][: self.rows]
        row_heights = (self._height + below + self._gap for below in self._below)
        self._tops = [*itertools.accumulate(row_heights, initial=self._gap)]

    def add(self, images: np.ndarray) -> None:
        """Add the next images (n, H, W) or (n, H, W, 3), uint8 or float in [0, 1]."""
        for image in grey_levels(images):
            top, left = self._corner(self._filled)
            left += (self._cell_width - self._width) // 2
            enlarged = image.repeat(self._scale, 0).repeat(self._scale, 1)
            self.canvas[top : top + self._height, left : left + self._width] = enlarged
            self._filled += 1

    def caption_box(self, index: int) -> np.ndarray:
        """The strip of the canvas below image `index`, as a view: (h, cell width) or (h, cell width, 3)."""
        top, left = self._corner(index)
        top, below = top + self._height, self._below[index // self._columns]
        box: np.ndarray = self.canvas[top : top + below, left : left + self._cell_width]
        return box

    def title_box(self, row: int) -> np.ndarray:
        """The canvas left of a row of images, as a view: (H * scale, margins.left) or (H * scale, margins.left, 3)."""
        top, _ = self._corner(row * self._columns)
        box: np.ndarray = self.canvas[top : top + self._height, : self._margins.left]
        return box

    def _corner(self, index: int) -> tuple[int, int]:
        """The top and the left side of the cell of image `index`, in pixels of the canvas."""
        row, column = divmod(index, self._columns)
        return self._tops[row], self._margins.left + self._gap + column * (self._cell_width + self._gap)


def fitting_columns(count: int, shape: tuple[int, ...]) -> int:
    """Choose the number of columns of a grid of `count` images of a shape (H, W) or (H, W, 3).

    The grid is about as wide as it is high. It may be somewhat wider if fewer cells of its last row are then empty.
    """
    square = min(max(math.ceil(math.sqrt(count * shape[0] / shape[1])), 1), count)
    widest = min(max(math.floor(square * MAX_STRETCH), square), count)
    return min(range(square, widest + 1), key=lambda columns: -count % columns)


def fitting_row(count: int, shape: tuple[int, ...]) -> int:
    """Choose the number of columns of a grid that `stacked` arranges, for sets of `count` images.

    All images of a set are in one row if they fit; otherwise the rows are about equally long. shape: the shape of an
    image, (H, W) or (H, W, 3).
    """
    shown_width = shape[1] * math.ceil(MIN_IMAGE_SIDE / max(shape[:2]))
    longest = max(min(MAX_ROW_WIDTH // shown_width, MAX_ROW_IMAGES), 1)
    return math.ceil(count / math.ceil(count / longest))


def fitting_scale(count: int, shape: tuple[int, ...], columns: int | None = None) -> int:
    """Choose the scale of a grid of `count` images of a shape (H, W) or (H, W, 3), so that people can see them.

    The result is the largest scale at which no side of the grid exceeds MAX_GRID_SIDE pixels, and no side of an image
    MAX_IMAGE_SIDE. If the longer side of an image would be shorter than MIN_IMAGE_SIDE, the scale is increased.
    """
    columns = min(columns or fitting_columns(count, shape), count)
    rows = math.ceil(count / columns)
    side = max(shape[:2])
    grid_side = max(rows * (shape[0] + GAP_PIXELS), columns * (shape[1] + GAP_PIXELS)) + GAP_PIXELS
    largest = min(MAX_GRID_SIDE // grid_side, MAX_IMAGE_SIDE // side)
    return max(largest, math.ceil(MIN_IMAGE_SIDE / side))


def tile(images: np.ndarray, *, columns: int | None = None, scale: int = 1) -> np.ndarray:
    """Arrange images row by row in one large image, uint8 (H', W') or (H', W', 3).

    images: (n, H, W) or (n, H, W, 3), uint8 or float in [0, 1]. columns: the number of images in a row, by default
    that of `fitting_columns`. scale: each pixel becomes scale x scale pixels.
    """
    grid = Grid(len(images), images.shape[1:], columns=columns, scale=scale)
    grid.add(images)
    return grid.canvas


def stacked(columns: int, *layers: np.ndarray) -> np.ndarray:
    """Order several sets of images so that a grid with `columns` columns shows corresponding images below each other.

    The first grid row shows images of the first set. The next rows show the corresponding images of the other sets, one
    row for each set. Then the next images of the first set follow, and so on.

    layers: the sets, all with n images (n, H, W) or (n, H, W, 3), uint8 or float in [0, 1]. Returns the images of all
    sets in one array, uint8 (m, H, W) or (m, H, W, 3). If n is not a multiple of `columns`, empty images in the colour
    of the gaps complete the last row of each set.
    """
    padding = -len(layers[0]) % columns
    rows = []
    for images in (grey_levels(unit_pixels(layer)) for layer in layers):
        padded = np.concatenate([images, np.full((padding, *images.shape[1:]), GAP_LEVEL, np.uint8)])
        rows.append(padded.reshape(-1, columns, *images.shape[1:]))
    return np.stack(rows, 1).reshape(-1, *layers[0].shape[1:])


def stacked_captions(columns: int, *layers: Sequence[str]) -> list[str]:
    """Order the captions of several sets of images as `stacked` orders the images.

    layers: for each set the n captions of its images; an empty sequence if it has none. Images that complete a row get
    empty captions.
    """
    count = max(map(len, layers))
    padded = [[*(texts or [""] * count), *[""] * (-count % columns)] for texts in layers]
    return [text for start in range(0, count, columns) for texts in padded for text in texts[start : start + columns]]


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
