"""Read latents from `.npy` or `.npz` files or from a pipe, and write them as `.npy` or `.npz`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files.paths import split_slice
from ..files.sources import open_source
from ..runtime.errors import InputError, ShapeError
from .array_files import ArrayFile, array_name
from .array_output import write_arrays
from .formats import LATENT_FORMATS
from .names import LATENTS, NAMES
from .outputs import latents_format


@dataclass(frozen=True)
class LatentSet:
    """Latents (n, d) read from a file. names: the image file of each latent; empty if the file holds no names."""

    latents: np.ndarray
    names: tuple[str, ...] = ()


def read_latents(source: str | Path, latent_dim: int | None = None) -> LatentSet:
    """Read latents from a `.npy` or `.npz` file, whose path may end in a slice, or from standard input (`-`).

    A single latent (d,) becomes (1, d). latent_dim: the required d, checked before anything is decompressed; None
    allows any. Raises NotFoundError when there is nothing at the path, ShapeError when the array has another shape than
    latents, InputError when the file cannot be read or holds image file names but not one for each latent.
    """
    path, window = split_slice(str(source))
    with open_source(path, LATENT_FORMATS) as opened:
        file = opened.format.open(opened)
        name = array_name(file.names, LATENTS, opened.name)
        axes, _ = file.header(name)
        if len(axes) not in (1, 2) or axes[-1] != (axes[-1] if latent_dim is None else latent_dim):
            raise ShapeError(str(source), found=f"shape {axes}", expected=f"latents (n, {latent_dim or 'd'})")
        latents = np.atleast_2d(file.rows(name))
        names = _read_names(file, opened.name, len(latents))
    if len(latents[window]) == 0:
        raise InputError(str(source), found="no latents", expected="at least one")
    return LatentSet(latents[window], names[window])


def write_latents(output: str, chunks: Iterable[np.ndarray], count: int, *, names: Sequence[str] | None = None) -> None:
    """Write `count` latents, which come in chunks (n, d), as `.npy` or `.npz`, or as `.npy` to standard output (`-`).

    names: the name of the image file that each latent was encoded from; only an `.npz` stores the names.
    Raises InputError for any other suffix, OutputError when the output cannot be written.
    """
    write_arrays(output, latents_format(output), LATENTS, chunks, count, names=names)


def _read_names(file: ArrayFile, source_name: str, count: int) -> tuple[str, ...]:
    """The image file names stored beside `count` latents, or (). Raises InputError unless each latent has one."""
    if NAMES not in file.names:
        return ()
    names = file.rows(NAMES)
    if names.shape != (count,) or names.dtype.kind != "U":
        found, expected = f"{names.dtype} of shape {names.shape}", f"text of shape ({count},)"
        raise InputError(f"{source_name}: {NAMES}", found=found, expected=expected)
    return tuple(names.tolist())
