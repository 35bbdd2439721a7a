"""Pictures laid out in one picture, and written to disk: a grid, an animation, arrays, or a file each."""

import io
import math
import sys
from collections.abc import Callable, Iterable

import numpy as np
from PIL import Image

from .arrays import npz_bytes
from .errors import InputError
from .files import new_file, new_folder, require_parent, write_bytes
from .outputs import codes_suffix, output_suffix
from .pixels import grey_levels, unit_pixels

GAP = 2  # pixels between two pictures
GAP_LEVEL = 56  # dark grey: a border shows on black pictures and on white ones


def tile(pictures: np.ndarray, *, columns: int | None = None, scale: int = 1) -> np.ndarray:
    """One picture of all, row after row: uint8 (H', W') or (H', W', 3).

    pictures: (n, H, W) or (n, H, W, 3), uint8 or float in [0, 1]. columns: by default the smallest square that holds n.
    scale: every pixel becomes scale x scale pixels.
    """
    levels = grey_levels(pictures)
    n, height, width = levels.shape[:3]
    across = min(columns or math.ceil(math.sqrt(n)), n)
    down = math.ceil(n / across)
    step_y, step_x = height + GAP, width + GAP
    canvas = np.full((down * step_y + GAP, across * step_x + GAP, *levels.shape[3:]), GAP_LEVEL, np.uint8)
    for i, picture in enumerate(levels):
        top, left = GAP + i // across * step_y, GAP + i % across * step_x
        canvas[top : top + height, left : left + width] = picture
    for i in range(n, down * across):
        top, left = GAP + i // across * step_y, GAP + i % across * step_x
        canvas[top : top + height, left : left + width] = 0
    return canvas.repeat(scale, 0).repeat(scale, 1)


def stacked(columns: int, *layers: np.ndarray) -> np.ndarray:
    """Pictures for a grid of `columns` in which each of the first layer stands over its fellows of the others.

    layers: (n, H, W) or (n, H, W, 3) each, uint8 or float in [0, 1]. Returns uint8, the last rows filled up with black.
    """
    padding = -len(layers[0]) % columns
    rows = []
    for pictures in (grey_levels(unit_pixels(layer)) for layer in layers):
        filled = np.concatenate([pictures, np.zeros((padding, *pictures.shape[1:]), np.uint8)])
        rows.append(filled.reshape(-1, columns, *pictures.shape[1:]))
    return np.stack(rows, 1).reshape(-1, *layers[0].shape[1:])


def png_bytes(picture: np.ndarray) -> bytes:
    """One uint8 picture as a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def write_pictures(
    output: str,
    chunks: Iterable[np.ndarray],
    count: int,
    *,
    columns: int | None = None,
    scale: int = 1,
    layout: Callable[[np.ndarray], np.ndarray] | None = None,
) -> None:
    """Write `count` pictures that come in chunks, in the form that the output's name asks for.

    `.png` a grid, `.gif` an animation, `.npy` and `.npz` the pictures as they come, `-` a `.npy` to standard output,
    any name without a suffix a folder with one PNG each. `.npy` and folders are written chunk by chunk, so that a
    million pictures need no more memory than one chunk.
    columns, scale: of a grid; scale of an animation too. The pictures of a folder are never scaled.
    layout: what a `.png` shows, made from all pictures; by default the pictures themselves.
    """
    suffix = output_suffix(output)
    if suffix != "-":
        require_parent(output)
    if suffix in (".npy", "-"):
        write_npy(output, chunks, count)
    elif suffix == "":
        _write_folder(output, chunks, count)
    else:
        pictures = _gathered(chunks, count)
        if suffix == ".npz":
            content = npz_bytes({"images": pictures})
        elif suffix == ".gif":
            content = gif_bytes(pictures, scale)
        else:
            content = png_bytes(tile(layout(pictures) if layout else pictures, columns=columns, scale=scale))
        write_bytes(output, content)


def write_codes(output: str, chunks: Iterable[np.ndarray], count: int) -> None:
    """Write `count` codes that come in chunks: `.npy`, `-` a `.npy` to standard output, `.npz` under the name `codes`.

    Raises InputError for any other suffix.
    """
    suffix = codes_suffix(output)
    if suffix == ".npz":
        require_parent(output)
        write_bytes(output, npz_bytes({"codes": _gathered(chunks, count)}))
    else:
        write_npy(output, chunks, count)


def write_npy(output: str, chunks: Iterable[np.ndarray], count: int) -> None:
    """Write `count` rows that come in chunks as one `.npy`, never holding more than a chunk; `-` is standard output."""
    if output == "-":
        if sys.stdout is None:
            raise InputError("standard output", found="closed", expected="a file or a pipe")
        for piece in _npy_pieces(chunks, count):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    with new_file(output) as stream:
        for piece in _npy_pieces(chunks, count):
            stream.write(piece)


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


def gif_bytes(pictures: np.ndarray, scale: int = 1, milliseconds: int = 100) -> bytes:
    """An endless animation, one picture after the other."""
    frames = [Image.fromarray(frame.repeat(scale, 0).repeat(scale, 1)) for frame in grey_levels(pictures)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=milliseconds, loop=0)
    return buffer.getvalue()


def _write_folder(output: str, chunks: Iterable[np.ndarray], count: int) -> None:
    digits = len(str(max(count - 1, 0)))
    with new_folder(output) as folder:
        i = 0
        for chunk in chunks:
            for picture in grey_levels(chunk):
                (folder / f"{i:0{digits}d}.png").write_bytes(png_bytes(picture))
                i += 1
