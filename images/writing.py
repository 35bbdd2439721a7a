"""Write images in the format that the output's name selects: a grid, an animation, arrays, or a folder of files."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..files.atomic import new_folder, require_parent, require_space, write_bytes
from ..files.output_errors import output_errors
from ..runtime.errors import InputError
from ..runtime.pixels import grey_levels
from .array_output import write_arrays
from .encoding import gif_bytes, image_bytes
from .grid import Grid, require_canvas
from .names import IMAGES, png_names
from .outputs import PNG, STANDARD_OUTPUT, output_format

MIN_FILE_BYTES = 4096  # disk space that even a tiny file takes on most file systems
Layout = Callable[[np.ndarray], np.ndarray]


def write_images(
    output: str,
    chunks: Iterable[np.ndarray],
    count: int,
    *,
    columns: int | None = None,
    scale: int = 1,
    layout: Layout | None = None,
    names: Sequence[str] | None = None,
) -> None:
    """Write `count` images, which come in chunks (n, H, W) or (n, H, W, 3), uint8 or float in [0, 1].

    output: a path, whose suffix selects the format. `.png`, `.jpg`, `.jpeg` and `.webp` (lossless) show all images in a
    grid, `.gif` as an animation; `.npy` and `.npz` hold the images as they are; `-` writes a `.npy` to standard output;
    a path without a suffix becomes a folder with one PNG for each image.
    Arrays, folders and grids without a `layout` are written chunk by chunk, so the images are never all in memory.
    columns: images in a row of a grid. scale: each pixel of a grid or an animation becomes scale x scale pixels.
    layout: a function that turns all images (n, ...) into the images (m, ...) that a grid shows. names: the file name
    of each image; PNG files in a folder are named after them, and an `.npz` stores them.
    Raises OutputError, before the second chunk is computed, when the images do not fit on the disk or in the format.
    """
    format = output_format(output)
    if output != STANDARD_OUTPUT:
        require_parent(output)
    if format.holds_arrays:
        write_arrays(output, format, IMAGES, chunks, count, names=names)
    elif format.kind == "folder":
        _write_folder(output, chunks, count, names)
    elif format.kind == "animation":
        frames = _gathered(_checked(chunks, count, scale, format.max_side), count)
        write_bytes(output, gif_bytes(frames, scale))
    else:
        if layout is not None:
            images = layout(_gathered(_checked(chunks, count, 1, PNG.max_side), count))
            chunks, count = [images], len(images)
        write_bytes(output, image_bytes(_filled_grid(chunks, count, columns, scale, format.max_side), format))


def _write_folder(output: str, chunks: Iterable[np.ndarray], count: int, names: Sequence[str] | None) -> None:
    """Write `count` images, which come in chunks (n, H, W) or (n, H, W, 3), as PNG files into a new folder."""
    digits = len(str(max(count - 1, 0)))
    require_space(output, count * MIN_FILE_BYTES)
    files = png_names(names) if names else (f"{i:0{digits}d}.png" for i in range(count))
    images = (image for chunk in chunks for image in grey_levels(chunk))
    with new_folder(output) as folder:
        for image, file in zip(images, files, strict=False):
            with output_errors(Path(output) / file):
                (folder / file).write_bytes(image_bytes(image))


def _filled_grid(
    chunks: Iterable[np.ndarray], count: int, columns: int | None, scale: int, max_side: int
) -> np.ndarray:
    """Arrange `count` images, which come in chunks (n, H, W) or (n, H, W, 3), in a grid.

    max_side: the largest height or width, in pixels, of the grid. Returns uint8 (H', W') or (H', W', 3).
    """
    grid = None
    for chunk in chunks:
        if grid is None:
            grid = Grid(count, chunk.shape[1:], columns=columns, scale=scale, max_side=max_side)
        grid.add(chunk)
    if grid is None:
        raise InputError("images", found="none", expected="at least one")
    return grid.finished()


def _checked(chunks: Iterable[np.ndarray], count: int, scale: int, max_side: int) -> Iterator[np.ndarray]:
    """Yield the chunks (n, H, W) or (n, H, W, 3) unchanged, after a check of the image size in the first chunk.

    Raises OutputError if the sides of an image times `scale` exceed `max_side` pixels, or if all images together are
    too large.
    """
    for index, chunk in enumerate(chunks):
        if index == 0:
            height, width = (side * scale for side in chunk.shape[1:3])
            require_canvas(height, width, math.prod(chunk.shape[3:]), count, max_side=max_side)
        yield chunk


def _gathered(chunks: Iterable[np.ndarray], count: int) -> np.ndarray:
    """Join chunks (n, ...) to one array (count, ...).

    The array is allocated when the first chunk arrives, so that a lack of memory is noticed before all chunks are
    computed.
    """
    start, rows = 0, np.empty(0)
    for chunk in chunks:
        if start == 0:
            rows = np.empty((count, *chunk.shape[1:]), chunk.dtype)
        rows[start : start + len(chunk)] = chunk
        start += len(chunk)
    return rows
