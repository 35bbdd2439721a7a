"""One interface for all files of arrays: it gives the arrays' names, shapes and dtypes, and ranges of their rows."""

from functools import cached_property
from typing import Protocol

import numpy as np

from ..files.paths import ALL_ROWS
from ..files.sources import FileFormat, Source
from ..runtime.arrays import map_npy_stream, npz_header, npz_names, read_npy, read_npz
from ..runtime.errors import InputError
from .names import NAMES

UNNAMED = ""  # stands for the name of the array in a format that holds one array without a name


class ArrayFile(Protocol):
    """An open file of arrays. names: the arrays' names; (UNNAMED,) in a format that holds one array without a name."""

    names: tuple[str, ...]

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and dtype of an array; no values are read. Raises InputError when the file is damaged."""

    def rows(self, name: str, window: slice = ALL_ROWS) -> np.ndarray:
        """The rows (n, ...) that `window` selects from an array. Raises InputError when the file is damaged."""


class NpyFile:
    """A `.npy` file: one array without a name, memory-mapped if the file is on a disk."""

    names: tuple[str, ...] = (UNNAMED,)

    def __init__(self, source: Source[FileFormat]) -> None:
        self._source = source

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and dtype of the array."""
        return self._array.shape, self._array.dtype

    def rows(self, name: str, window: slice = ALL_ROWS) -> np.ndarray:
        """The rows (n, ...) that `window` selects."""
        return self._array[window]

    @cached_property
    def _array(self) -> np.ndarray:
        """The whole array (n, ...)."""
        source = self._source
        if source.mappable:
            return map_npy_stream(source.stream, source.name)
        return read_npy(source.stream, source.size, source.name)


class NpzFile:
    """An `.npz` file: named arrays, which are decompressed when they are read."""

    def __init__(self, source: Source[FileFormat]) -> None:
        self._source = source
        self.names: tuple[str, ...] = npz_names(source.stream, source.name)

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and dtype of the array of this name."""
        return npz_header(self._source.stream, self._source.name, name)

    def rows(self, name: str, window: slice = ALL_ROWS) -> np.ndarray:
        """The rows (n, ...) that `window` selects from the array of this name."""
        array = read_npz(self._source.stream, self._source.name, [name])[name]
        return array[window] if array.ndim else array


def array_name(names: tuple[str, ...], preferred: str, source_name: str) -> str:
    """The name of the array to read: `preferred` if an array has this name, else the name of the only array.

    An array `names`, which holds file names, is not counted. Raises InputError if several arrays are left, or none.
    """
    if preferred in names:
        return preferred
    others = [name for name in names if name != NAMES]
    if len(others) == 1:
        return others[0]
    expected = f"one array, or one called {preferred!r}"
    raise InputError(source_name, found=f"arrays {', '.join(names)}", expected=expected)
