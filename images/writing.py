"""Write images in the format that the output's name selects: a grid, an animation, arrays, or a folder of files."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..files.atomic import new_folder, require_parent, require_space, write_bytes
from ..files.output_errors import output_errors
from ..runtime.errors import InputError
from ..runtime.pixels import grey_levels
from .array_output import write_arrays
from .encoding import gif_bytes, image_bytes
from .grid import GAP_PIXELS, NO_MARGINS, Grid, fitting_columns, fitting_scale, require_canvas
from .names import IMAGES, png_names
from .outputs import PNG, STANDARD_OUTPUT, OutputFormat, output_format

if TYPE_CHECKING:
    from .captions import GridTexts

MIN_FILE_BYTES = 4096  # bytes of disk space that even a tiny file takes on most file systems
Layout = Callable[[np.ndarray], np.ndarray]
Captions = Sequence[str] | Callable[[np.ndarray], Sequence[str]]


def write_images(
    output: str,
    chunks: Iterable[np.ndarray],
    count: int,
    *,
    columns: int | None = None,
    scale: int | None = None,
    layout: Layout | None = None,
    names: Sequence[str] | None = None,
    captions: Captions | None = None,
    row_titles: Sequence[str] = (),
    facts: Mapping[str, str] | None = None,
    there_and_back: bool = False,
) -> None:
    """Write `count` images, which come in chunks (n, H, W) or (n, H, W, 3), uint8 or float in [0, 1].

    output: a path, whose suffix selects the format. `.png`, `.jpg`, `.jpeg` and `.webp` (lossless) show all images in a
    grid, `.gif` as an animation; `.npy` and `.npz` hold the images as they are; `-` writes a `.npy` to standard output;
    a path without a suffix becomes a folder with one PNG for each image.
    Arrays, folders and grids without a `layout` are written chunk by chunk, so the images are never all in memory.
    columns: images in a row of a grid. scale: each pixel of a grid or an animation becomes scale x scale pixels; by
    default that of `fitting_scale`.
    layout: a function that turns all images (n, ...) into the images (m, ...) that a grid shows. names: the file name
    of each image; PNG files in a folder are named after them, and an `.npz` stores them.
    captions: a short text for each image that a grid shows, which is written below the image; or a function that makes
    these texts from all images before `layout` is applied. row_titles: texts to the
    left of the rows of a grid, repeated from the first one when there are more rows. facts: texts that a `.png` holds,
    by name, such as the model and the seed; `read_facts` reads them. there_and_back: let an animation show all images
    in reverse order before it repeats.
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
        enlargement = scale or fitting_scale(1, frames.shape[1:])
        write_bytes(output, gif_bytes(frames, enlargement, there_and_back=there_and_back))
    else:
        if layout is not None or callable(captions):
            images = _gathered(_checked(chunks, count, 1, PNG.max_side), count)
            captions = captions(images) if callable(captions) else captions
            images = images if layout is None else layout(images)
            chunks, count = [images], len(images)
        grid = _GridWriter(count, format, columns, scale, captions or (), row_titles)
        write_bytes(output, image_bytes(grid.filled(chunks), format, facts))


@dataclass(frozen=True)
class _GridWriter:
    """Arranges `count` images in a grid with texts. The fields are the arguments of `write_images`."""

    count: int
    format: OutputFormat
    columns: int | None
    scale: int | None
    captions: Sequence[str]
    row_titles: Sequence[str]

    def filled(self, chunks: Iterable[np.ndarray]) -> np.ndarray:
        """The grid of all images, which come in chunks (n, H, W) or (n, H, W, 3): uint8 (H', W') or (H', W', 3)."""
        grid = texts = None
        for chunk in chunks:
            if grid is None:
                shape = chunk.shape[1:]
                columns = min(self.columns or fitting_columns(self.count, shape), self.count)
                scale = self.scale or fitting_scale(self.count, shape, columns)
                texts = self._texts(columns, (shape[0] * scale, shape[1] * scale), GAP_PIXELS * scale)
                margins = texts.margins if texts else NO_MARGINS
                side = self.format.max_side
                grid = Grid(self.count, shape, columns=columns, scale=scale, max_side=side, margins=margins)
            grid.add(chunk)
        if grid is None:
            raise InputError("images", found="none", expected="at least one")
        if texts:
            texts.write_on(grid)
        return grid.canvas

    def _texts(self, columns: int, size: tuple[int, int], gap: int) -> "GridTexts | None":
        """The texts of the grid, or None if it has none. size: (height, width) of the images after scaling."""
        if not self.captions and not self.row_titles:
            return None
        from .captions import GridTexts  # imported only here, because grids without texts need no font

        return GridTexts(self.captions, self.row_titles, count=self.count, columns=columns, size=size, gap=gap)


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


def _checked(chunks: Iterable[np.ndarray], count: int, scale: int | None, max_side: int) -> Iterator[np.ndarray]:
    """Yield the chunks (n, H, W) or (n, H, W, 3) unchanged. Before the first chunk, check the size of its images.

    scale: factor on the sides of the images; None means that of `fitting_scale` for a single image. Raises OutputError
    if the sides of an image times the scale exceed `max_side` pixels, or if all images together are too large.
    """
    for index, chunk in enumerate(chunks):
        if index == 0:
            enlargement = scale or fitting_scale(1, chunk.shape[1:])
            height, width = (side * enlargement for side in chunk.shape[1:3])
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
