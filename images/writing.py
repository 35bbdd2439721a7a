"""Images written in the format that an output's name asks for: a grid, an animation, arrays, or a folder of files."""

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

MIN_FILE_BYTES = 4096  # that a small file takes on most disks
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
    """Write `count` images that come in chunks (n, H, W) or (n, H, W, 3), uint8 or float in [0, 1].

    output: `.png`, `.jpg`, `.jpeg` and `.webp` (lossless) show a grid, `.gif` an animation; `.npy` and `.npz` hold the
    images as they are; `-` is a `.npy` to standard output; a name without a suffix is a folder with one PNG each.
    Arrays and folders are written chunk by chunk, and a grid is filled chunk by chunk, so memory stays flat.
    columns: of a grid. scale: of a grid or an animation. layout: computes what a grid shows from all images (n, ...).
    names: of the files that the images come from, one each; a folder's files are named after them, and an `.npz` holds
    them. Raises OutputError, before the second chunk is computed, when the disk or the format has too little room.
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
    """Write `count` images that come in chunks (n, H, W) or (n, H, W, 3) as one PNG each, in a new folder."""
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
    """One image, uint8 (H', W') or (H', W', 3), of `count` images that come in chunks (n, H, W) or (n, H, W, 3)."""
    grid = None
    for chunk in chunks:
        if grid is None:
            grid = Grid(count, chunk.shape[1:], columns=columns, scale=scale, max_side=max_side)
        grid.add(chunk)
    if grid is None:
        raise InputError("images", found="none", expected="at least one")
    return grid.finished()


def _checked(chunks: Iterable[np.ndarray], count: int, scale: int, max_side: int) -> Iterator[np.ndarray]:
    """The chunks (n, H, W) or (n, H, W, 3); the first one shows whether all images fit in memory and in the format."""
    for index, chunk in enumerate(chunks):
        if index == 0:
            height, width = (side * scale for side in chunk.shape[1:3])
            require_canvas(height, width, math.prod(chunk.shape[3:]), count, max_side=max_side)
        yield chunk


def _gathered(chunks: Iterable[np.ndarray], count: int) -> np.ndarray:
    """One array (count, ...) of chunks (n, ...). It is allocated first: too little memory fails before the work."""
    start, rows = 0, np.empty(0)
    for chunk in chunks:
        if start == 0:
            rows = np.empty((count, *chunk.shape[1:]), chunk.dtype)
        rows[start : start + len(chunk)] = chunk
        start += len(chunk)
    return rows
