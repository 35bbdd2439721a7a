"""Read latents from `.npy` or `.npz` files or from a pipe, and write them as `.npy` or `.npz`.

Quantised latents are stored in an `.npz` of four arrays: `quantised_latents`, uint8 (n, ceil(d * bits / 8)), `bits`,
uint8 (1,), and `scale` and `offset`, float32 (d,). A latent is offset + scale * integer; `quantisation.py` says how the
integers are packed.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files.paths import split_slice
from ..files.sources import open_source
from ..runtime.arrays import MAX_INFLATED_BYTES
from ..runtime.errors import InputError, ShapeError
from .array_files import ArrayFile, array_name
from .array_output import write_arrays, write_npz
from .formats import LATENT_FORMATS
from .names import LATENTS, NAMES
from .outputs import latents_format
from .quantisation import MAX_BITS, MIN_BITS, Quantisation, packed_bytes

QUANTISED, BITS, SCALE, OFFSET = "quantised_latents", "bits", "scale", "offset"  # array names
PART_ROWS = 2**14  # number of latents unpacked at a time, which limits memory


@dataclass(frozen=True)
class LatentSet:
    """Latents (n, d) read from a file. names: the image file of each latent; empty if the file holds no names."""

    latents: np.ndarray
    names: tuple[str, ...] = ()


def read_latents(source: str | Path, latent_dim: int | None = None) -> LatentSet:
    """Read latents from a `.npy` or `.npz` file, whose path may end in a slice, or from standard input (`-`).

    A single latent (d,) becomes (1, d). Quantised latents are returned as float32. latent_dim: the required d, checked
    before anything is decompressed; None allows any. Raises NotFoundError when there is nothing at the path, ShapeError
    when the array has another shape than latents, InputError when the file cannot be read or holds image file names but
    not one for each latent.
    """
    path, window = split_slice(str(source))
    with open_source(path, LATENT_FORMATS) as opened:
        file = opened.format.open(opened)
        if QUANTISED in file.names and LATENTS not in file.names:
            latents = _read_quantised(file, opened.name, latent_dim)
            return _latent_set(file, latents, window, str(source))
        name = array_name(file.names, LATENTS, opened.name)
        axes, _ = file.header(name)
        if len(axes) not in (1, 2) or axes[-1] != (axes[-1] if latent_dim is None else latent_dim):
            raise ShapeError(str(source), found=f"shape {axes}", expected=f"latents (n, {latent_dim or 'd'})")
        return _latent_set(file, np.atleast_2d(file.rows(name)), window, str(source))


def write_latents(output: str, chunks: Iterable[np.ndarray], count: int, *, names: Sequence[str] | None = None) -> None:
    """Write `count` latents, which come in chunks (n, d), as `.npy` or `.npz`, or as `.npy` to standard output (`-`).

    names: the name of the image file that each latent was encoded from; only an `.npz` stores the names.
    Raises InputError for any other suffix, OutputError when the output cannot be written.
    """
    write_arrays(output, latents_format(output), LATENTS, chunks, count, names=names)


def write_quantised_latents(
    output: str,
    chunks: Iterable[np.ndarray],
    count: int,
    quantisation: Quantisation,
    *,
    names: Sequence[str] | None = None,
) -> None:
    """Write `count` quantised latents, which come in chunks, as `.npz`, or as `.npz` to standard output (`-`).

    chunks: packed integers, uint8 (n, row_bytes), that `quantisation` made. names: the name of the image file that each
    latent was encoded from. Raises OutputError when the output cannot be written.
    """
    others = {
        BITS: np.array([quantisation.bits], np.uint8),
        SCALE: quantisation.scale,
        OFFSET: quantisation.offset,
    }
    write_npz(output, QUANTISED, chunks, count, names=names, others=others)


def _latent_set(file: ArrayFile, latents: np.ndarray, window: slice, source: str) -> LatentSet:
    """The latents (n, d) and the names that the slice `window` selects. Raises InputError when it selects none."""
    names = _read_names(file, source, len(latents))
    if len(latents[window]) == 0:
        raise InputError(source, found="no latents", expected="at least one")
    return LatentSet(latents[window], names[window])


def _read_quantised(file: ArrayFile, where: str, latent_dim: int | None) -> np.ndarray:
    """Read quantised latents, as float32 (n, d). where: the file's name for error messages.

    Raises ShapeError or InputError when the arrays do not fit together, or when a latent is not finite. The shapes are
    checked before the integers are read.
    """
    shapes = {name: file.header(name)[0] for name in (QUANTISED, BITS, SCALE, OFFSET)}
    dtypes = {name: file.header(name)[1] for name in shapes}
    expected_dtypes = {QUANTISED: np.uint8, BITS: np.uint8, SCALE: np.float32, OFFSET: np.float32}
    for name, dtype in expected_dtypes.items():
        if dtypes[name] != dtype:
            raise InputError(f"{where}: {name}", found=f"dtype {dtypes[name]}", expected=np.dtype(dtype))
    if shapes[BITS] != (1,):
        raise ShapeError(f"{where}: {BITS}", found=f"shape {shapes[BITS]}", expected="one number of bits (1,)")
    bits, d = int(file.rows(BITS)[0]), math.prod(shapes[SCALE])
    if not MIN_BITS <= bits <= MAX_BITS:
        raise InputError(f"{where}: {BITS}", found=bits, expected=f"{MIN_BITS} to {MAX_BITS}")
    if d == 0 or shapes[SCALE] != (d,) or shapes[OFFSET] != (d,) or d != (d if latent_dim is None else latent_dim):
        found, expected = f"shapes {shapes[SCALE]} and {shapes[OFFSET]}", f"({latent_dim or 'd'},) for both"
        raise ShapeError(f"{where}: {SCALE} and {OFFSET}", found=found, expected=expected)
    width = packed_bytes(d, bits)
    if len(shapes[QUANTISED]) != 2 or shapes[QUANTISED][1] != width:
        expected = f"(n, {width}) for {d} integers of {bits} bits"
        raise ShapeError(f"{where}: {QUANTISED}", found=f"shape {shapes[QUANTISED]}", expected=expected)
    if (needed := 4 * d * shapes[QUANTISED][0]) > MAX_INFLATED_BYTES:
        found = f"latents of {needed:,} bytes"
        raise InputError(f"{where}: {QUANTISED}", found=found, expected=f"at most {MAX_INFLATED_BYTES:,}")
    scale, offset = file.rows(SCALE), file.rows(OFFSET)
    if not (np.isfinite(scale).all() and np.isfinite(offset).all() and (scale >= 0).all()):
        raise InputError(f"{where}: {SCALE} and {OFFSET}", found="other numbers", expected="finite, and scales >= 0")
    packed, quantisation = file.rows(QUANTISED), Quantisation(bits, offset, scale)
    latents = np.empty((len(packed), d), np.float32)
    for start in range(0, len(packed), PART_ROWS):
        latents[start : start + PART_ROWS] = quantisation.latents(packed[start : start + PART_ROWS])
    if not np.isfinite(latents).all():
        raise InputError(f"{where}: {SCALE}", found="latents that are not finite", expected="smaller scales")
    return latents


def _read_names(file: ArrayFile, source_name: str, count: int) -> tuple[str, ...]:
    """The image file names stored beside `count` latents, or (). Raises InputError unless each latent has one."""
    if NAMES not in file.names:
        return ()
    names = file.rows(NAMES)
    if names.shape != (count,) or names.dtype.kind != "U":
        found, expected = f"{names.dtype} of shape {names.shape}", f"text of shape ({count},)"
        raise InputError(f"{source_name}: {NAMES}", found=found, expected=expected)
    return tuple(names.tolist())
