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

MIN_FILE_BYTES = 4096  # space that a small file takes on most disks
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

    output: `.png`, `.jpg`, `.jpeg` and `.webp` (lossless) show a grid, `.gif` an animation; `.npy` and `.npz` hold the
    images as they are; `-` is a `.npy` to standard output; a name without a suffix is a folder with one PNG each.
    Arrays, folders and grids without a `layout` take one chunk at a time, so the images are never all in memory.
    columns: images in a row of a grid. scale: each pixel of a grid or an animation becomes scale x scale pixels.
    layout: a function from all images (n, ...) to the images (m, ...) that a grid shows. names: the file that each
    image comes from; a folder's files are named after them, and an `.npz` stores them.
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
    """Write `count` images, which come in chunks (n, H, W) or (n, H, W, 3), as one PNG each into a new folder."""
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
    """A grid, uint8 (H', W') or (H', W', 3), of `count` images, which come in chunks (n, H, W) or (n, H, W, 3)."""
    grid = None
    for chunk in chunks:
        if grid is None:
            grid = Grid(count, chunk.shape[1:], columns=columns, scale=scale, max_side=max_side)
        grid.add(chunk)
    if grid is None:
        raise InputError("images", found="none", expected="at least one")
    return grid.finished()


def _checked(chunks: Iterable[np.ndarray], count: int, scale: int, max_side: int) -> Iterator[np.ndarray]:
    """Yield the same chunks (n, H, W) or (n, H, W, 3), after a check that all images fit in memory and in the format.

    The check uses the first chunk. Raises OutputError if the images do not fit.
    """
    for index, chunk in enumerate(chunks):
        if index == 0:
            height, width = (side * scale for side in chunk.shape[1:3])
            require_canvas(height, width, math.prod(chunk.shape[3:]), count, max_side=max_side)
        yield chunk


def _gathered(chunks: Iterable[np.ndarray], count: int) -> np.ndarray:
    """Join chunks (n, ...) to one array (count, ...).

    It is allocated at the first chunk, so that too little memory is noticed before all chunks are computed.
    """
    start, rows = 0, np.empty(0)
    for chunk in chunks:
        if start == 0:
            rows = np.empty((count, *chunk.shape[1:]), chunk.dtype)
        rows[start : start + len(chunk)] = chunk
        start += len(chunk)
    return rows
