"""Read `.npy` and `.npz` files by one interface, which gives names, shapes, dtypes and rows of the arrays in a file."""

from functools import cached_property
from typing import Protocol

import numpy as np

from ..files.paths import ALL_ROWS
from ..files.sources import FileFormat, Source
from ..runtime.arrays import map_npy_stream, npz_header, npz_names, read_npy, read_npz
from ..runtime.errors import InputError
from .names import NAMES

UNNAMED = ""  # name used here for the array in a `.npy` file, which stores no name


class ArrayFile(Protocol):
    """An open file that holds arrays. names: the names of the arrays; (UNNAMED,) for a `.npy` file."""

    names: tuple[str, ...]

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and dtype of the array `name`; its values are not read. Raises InputError if the file is damaged."""

    def rows(self, name: str, window: slice = ALL_ROWS) -> np.ndarray:
        """The rows (n, ...) in the slice `window` of the array `name`. Raises InputError if the file is damaged."""


class NpyFile:
    """An open `.npy` file, which holds one array. The array is memory-mapped if the file is on a disk."""

    names: tuple[str, ...] = (UNNAMED,)

    def __init__(self, source: Source[FileFormat]) -> None:
        self._source = source

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and dtype of the file's only array."""
        return self._array.shape, self._array.dtype

    def rows(self, name: str, window: slice = ALL_ROWS) -> np.ndarray:
        """The rows (n, ...) in the slice `window` of the file's only array."""
        return self._array[window]

    @cached_property
    def _array(self) -> np.ndarray:
        """The file's only array (n, ...), memory-mapped or read."""
        source = self._source
        if source.mappable:
            return map_npy_stream(source.stream, source.name)
        return read_npy(source.stream, source.size, source.name)


class NpzFile:
    """An open `.npz` file, which holds named arrays. An array is decompressed as a whole when its rows are read."""

    def __init__(self, source: Source[FileFormat]) -> None:
        self._source = source
        self.names: tuple[str, ...] = npz_names(source.stream, source.name)

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and dtype of the array `name`."""
        return npz_header(self._source.stream, self._source.name, name)

    def rows(self, name: str, window: slice = ALL_ROWS) -> np.ndarray:
        """The rows (n, ...) in the slice `window` of the array `name`."""
        array = read_npz(self._source.stream, self._source.name, [name])[name]
        return array[window] if array.ndim else array


def array_name(names: tuple[str, ...], preferred: str, source_name: str) -> str:
    """Choose which array of a file to read, and return its name.

    The array called `preferred` is chosen if there is one. Otherwise the file must hold exactly one array besides the
    array called "names", which holds the file names of images. Raises InputError if the file holds no such array, or
    several. names: the names of the file's arrays. source_name: the file's name in error messages.
    """
    if preferred in names:
        return preferred
    others = [name for name in names if name != NAMES]
    if len(others) == 1:
        return others[0]
    expected = f"one array, or one called {preferred!r}"
    raise InputError(source_name, found=f"arrays {', '.join(names)}", expected=expected)
