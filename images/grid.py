"""Images laid out in one image, and written to disk: a grid, an animation, arrays, or a file each."""

import io
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..files.atomic import named, new_file, new_folder, require_parent, require_space, write_bytes
from ..runtime.errors import InputError, OutputError
from ..runtime.pixels import grey_levels, unit_pixels
from .names import NAMES, png_names
from .outputs import latents_suffix, output_suffix

GAP = 2  # pixels between two images
GAP_LEVEL = 56  # dark grey: a border shows on black images and on white ones
MAX_CANVAS = 2**31  # bytes of an image that is written, or of all frames of an animation
MAX_PIXELS = 2**31 - 1  # on a side, of a PNG
MAX_SIDE = {".png": MAX_PIXELS, ".gif": 65_535, ".jpg": 65_535, ".jpeg": 65_535, ".webp": 16_383}
SMALLER = "Take fewer images, a smaller scale or other columns; an .npy holds any number."
JPEG_QUALITY = 95  # with colours at full resolution: text-book grids have sharp edges
FILE_BYTES = 4096  # that the smallest file takes on most disks


class Grid:
    """One image of `count` images, row after row, filled as they come: uint8 `canvas` (H', W') or (H', W', 3).

    shape: of one image, (H, W) or (H, W, 3). columns: by default the smallest square that holds all. scale: every
    pixel becomes scale x scale pixels. side: pixels that a side may have. Raises OutputError for more, or for more than
    MAX_CANVAS bytes.
    """

    def __init__(
        self, count: int, shape: tuple[int, ...], *, columns: int | None = None, scale: int = 1, side: int = MAX_PIXELS
    ) -> None:
        self._count, self._scale, self._placed = count, scale, 0
        self._across = min(columns or math.ceil(math.sqrt(count)), count)
        self._down = math.ceil(count / self._across)
        height, width = shape[:2]
        self._step_y, self._step_x = height + GAP, width + GAP
        sides = (self._down * self._step_y + GAP) * scale, (self._across * self._step_x + GAP) * scale
        require_canvas(sides[0], sides[1], math.prod(shape[2:]), side=side)
        self.canvas = np.full((*sides, *shape[2:]), GAP_LEVEL, np.uint8)

    def place(self, images: np.ndarray) -> None:
        """The next images (n, H, W) or (n, H, W, 3), uint8 or float in [0, 1]."""
        for image in grey_levels(images):
            self._cell(self._placed, image.shape)[:] = image.repeat(self._scale, 0).repeat(self._scale, 1)
            self._placed += 1

    def finished(self) -> np.ndarray:
        """The canvas, cells without an image black."""
        height, width = self._step_y - GAP, self._step_x - GAP
        for empty in range(self._count, self._down * self._across):
            self._cell(empty, (height, width))[:] = 0
        return self.canvas

    def _cell(self, number: int, shape: tuple[int, ...]) -> np.ndarray:
        top = (GAP + number // self._across * self._step_y) * self._scale
        left = (GAP + number % self._across * self._step_x) * self._scale
        cell: np.ndarray = self.canvas[top : top + shape[0] * self._scale, left : left + shape[1] * self._scale]
        return cell


def require_canvas(height: int, width: int, channels: int = 1, frames: int = 1, *, side: int) -> None:
    """Raise OutputError for an image, or frames, of more than MAX_CANVAS bytes, or with a side of more pixels."""
    if height * width * channels * frames > MAX_CANVAS:
        found = f"{width:,} x {height:,} pixels" + f" in {frames:,} frames" * (frames > 1)
        expected = f"at most {MAX_CANVAS // 2**30} GiB"
        raise OutputError("the image to write", found=found, expected=expected, remedy=SMALLER)
    if max(height, width) > side:
        found, expected = f"{width:,} x {height:,} pixels", f"at most {side:,} on a side in this format"
        raise OutputError("the image to write", found=found, expected=expected, remedy=SMALLER)


def tile(images: np.ndarray, *, columns: int | None = None, scale: int = 1) -> np.ndarray:
    """One image of all, row after row: uint8 (H', W') or (H', W', 3).

    images: (n, H, W) or (n, H, W, 3), uint8 or float in [0, 1]. columns, scale: as of `Grid`.
    """
    grid = Grid(len(images), images.shape[1:], columns=columns, scale=scale)
    grid.place(images)
    return grid.finished()


def stacked(columns: int, *layers: np.ndarray) -> np.ndarray:
    """Images for a grid of `columns` in which each of the first layer stands over its fellows of the others.

    layers: (n, H, W) or (n, H, W, 3) each, uint8 or float in [0, 1]. Returns uint8, the last rows filled up with black.
    """
    padding = -len(layers[0]) % columns
    rows = []
    for images in (grey_levels(unit_pixels(layer)) for layer in layers):
        filled = np.concatenate([images, np.zeros((padding, *images.shape[1:]), np.uint8)])
        rows.append(filled.reshape(-1, columns, *images.shape[1:]))
    return np.stack(rows, 1).reshape(-1, *layers[0].shape[1:])


def png_bytes(image: np.ndarray) -> bytes:
    """One uint8 image as a PNG."""
    return image_bytes(image, ".png")


def image_bytes(image: np.ndarray, suffix: str) -> bytes:
    """One uint8 image in the format of a suffix: `.png`, `.jpg`, `.jpeg` or `.webp`, which keeps every pixel too."""
    buffer = io.BytesIO()
    settings = {".png": {}, ".webp": {"lossless": True}}.get(suffix, {"quality": JPEG_QUALITY, "subsampling": 0})
    formats = {".png": "PNG", ".webp": "WEBP"}
    Image.fromarray(image).save(buffer, formats.get(suffix, "JPEG"), **settings)
    return buffer.getvalue()


def write_images(
    output: str,
    chunks: Iterable[np.ndarray],
    count: int,
    *,
    columns: int | None = None,
    scale: int = 1,
    layout: Callable[[np.ndarray], np.ndarray] | None = None,
    names: Sequence[str] | None = None,
) -> None:
    """Write `count` images that come in chunks, in the form that the output's name asks for.

    `.png`, `.jpg`, `.jpeg` and `.webp` (lossless) a grid, `.gif` an animation, `.npy` and `.npz` the images as they
    come, `-` a `.npy` to standard output, any name without a suffix a folder with one PNG each. Arrays and folders are
    written chunk by chunk, and a grid is filled so: a million images need no more memory than what is shown.
    columns, scale: of a grid; scale of an animation too. The images of a folder are never scaled.
    layout: what a grid shows, made from all images; by default the images themselves.
    names: of the files that the images came from, one each: a folder's files get them, and an `.npz` holds them.
    Raises OutputError, before the second chunk is asked for, for what the disk or the format has no room for.
    """
    suffix = output_suffix(output)
    if suffix != "-":
        require_parent(output)
    if suffix in (".npy", "-"):
        write_npy(output, chunks, count)
    elif suffix == ".npz":
        write_npz(output, "images", chunks, count, more=_named(names))
    elif suffix == "":
        _write_folder(output, chunks, count, names)
    elif suffix == ".gif":
        write_bytes(output, gif_bytes(_gathered(_few_enough(chunks, count, scale, MAX_SIDE[suffix]), count), scale))
    else:
        write_bytes(output, image_bytes(_grid(chunks, count, columns, scale, layout, MAX_SIDE[suffix]), suffix))


def _grid(
    chunks: Iterable[np.ndarray],
    count: int,
    columns: int | None,
    scale: int,
    layout: Callable[[np.ndarray], np.ndarray] | None,
    side: int,
) -> np.ndarray:
    """One image of all. side: the most pixels of one that its format can hold."""
    if layout:
        shown = layout(_gathered(_few_enough(chunks, count, 1, MAX_PIXELS), count))
        chunks, count = [shown], len(shown)
    grid = None
    for chunk in chunks:
        if grid is None:
            grid = Grid(count, chunk.shape[1:], columns=columns, scale=scale, side=side)
        grid.place(chunk)
    if grid is None:
        raise InputError("images", found="none", expected="at least one")
    return grid.finished()


def _few_enough(chunks: Iterable[np.ndarray], count: int, scale: int, side: int) -> Iterator[np.ndarray]:
    """The chunks of images that are all held in memory."""
    for place, chunk in enumerate(chunks):
        if place == 0:
            height, width = (axis * scale for axis in chunk.shape[1:3])
            require_canvas(height, width, math.prod(chunk.shape[3:]), count, side=side)
        yield chunk


def write_latents(output: str, chunks: Iterable[np.ndarray], count: int, *, names: Sequence[str] | None = None) -> None:
    """Write `count` latents that come in chunks: `.npy`, `-` a `.npy` to standard output, `.npz` under the name `latents`.

    names: of the files that the images came from, one each; an `.npz` holds them as an array `names`.
    Raises InputError for any other suffix.
    """
    suffix = latents_suffix(output)
    if suffix == ".npz":
        write_npz(output, "latents", chunks, count, more=_named(names))
    else:
        write_npy(output, chunks, count)


def _named(names: Sequence[str] | None) -> dict[str, np.ndarray]:
    return {NAMES: np.array(names, np.str_)} if names else {}


def write_npy(output: str, chunks: Iterable[np.ndarray], count: int) -> None:
    """Write `count` rows that come in chunks as one `.npy`, never holding more than a chunk; `-` is standard output.

    Raises OutputError where it cannot be written, or where its file system has not that much space.
    """
    if output == "-":
        if sys.stdout is None:
            raise InputError("standard output", found="closed", expected="a file or a pipe")
        with named("standard output"):
            for piece in _npy_pieces(chunks, count):
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        return
    with new_file(output) as stream:
        for piece in _npy_pieces(_with_space(output, chunks, count), count):
            stream.write(piece)


def write_npz(
    output: str, name: str, chunks: Iterable[np.ndarray], count: int, *, more: Mapping[str, np.ndarray] | None = None
) -> None:
    """Write `count` rows that come in chunks as the array `name` of an uncompressed `.npz`, as `write_npy` does.

    more: other arrays for it, by name.
    """
    import zipfile

    members = {name: _with_space(output, chunks, count)} | {other: [array] for other, array in (more or {}).items()}
    counts = {name: count} | {other: len(array) for other, array in (more or {}).items()}
    with new_file(output) as stream, zipfile.ZipFile(stream, "w") as archive:
        for member, parts in members.items():
            with archive.open(zipfile.ZipInfo(f"{member}.npy"), "w", force_zip64=True) as written:
                for piece in _npy_pieces(parts, counts[member]):
                    written.write(piece)


def _with_space(output: str, chunks: Iterable[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """The chunks; the first tells how many bytes the file system must have for all."""
    for place, chunk in enumerate(chunks):
        if place == 0:
            require_space(output, count * math.prod(chunk.shape[1:]) * chunk.itemsize)
        yield chunk


def _gathered(chunks: Iterable[np.ndarray], count: int) -> np.ndarray:
    """`count` rows that come in chunks, as one array made once: too many for the memory fail before the work."""
    start, rows = 0, np.empty(0)
    for chunk in chunks:
        if start == 0:
            rows = np.empty((count, *chunk.shape[1:]), chunk.dtype)
        rows[start : start + len(chunk)] = chunk
        start += len(chunk)
    return rows


def _npy_pieces(chunks: Iterable[np.ndarray], count: int) -> Iterable[bytes]:
    header = None
    for chunk in chunks:
        if header is None:
            header = io.BytesIO()
            facts = {"descr": np.lib.format.dtype_to_descr(chunk.dtype), "fortran_order": False}
            np.lib.format.write_array_header_1_0(header, {**facts, "shape": (count, *chunk.shape[1:])})
            yield header.getvalue()
        yield chunk.tobytes()


def gif_bytes(images: np.ndarray, scale: int = 1, milliseconds: int = 100) -> bytes:
    """An endless animation, one image after the other."""
    frames = (Image.fromarray(grey_levels(one[None])[0].repeat(scale, 0).repeat(scale, 1)) for one in images)
    buffer = io.BytesIO()
    next(frames).save(buffer, "GIF", save_all=True, append_images=frames, duration=milliseconds, loop=0)
    return buffer.getvalue()


def _write_folder(output: str, chunks: Iterable[np.ndarray], count: int, names: Sequence[str] | None) -> None:
    digits = len(str(max(count - 1, 0)))
    require_space(output, count * FILE_BYTES)
    files = png_names(names) if names else (f"{i:0{digits}d}.png" for i in range(count))
    with new_folder(output) as folder:
        for image, name in zip((one for chunk in chunks for one in grey_levels(chunk)), files, strict=False):
            with named(Path(output) / name):
                (folder / name).write_bytes(png_bytes(image))
