"""Write an array to a `.npy` or `.npz` file in chunks of rows, so that the whole array is never in memory."""

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO

import numpy as np

from ..files.atomic import new_file, require_space
from ..files.output_errors import output_errors
from ..runtime.arrays import npy_header
from ..runtime.errors import InputError
from .names import NAMES
from .outputs import STANDARD_OUTPUT, OutputFormat


def write_arrays(
    output: str,
    format: OutputFormat,
    name: str,
    chunks: Iterable[np.ndarray],
    count: int,
    *,
    names: Sequence[str] | None = None,
) -> None:
    """Write an array of `count` rows, given in chunks (n, ...), to a `.npy` or `.npz` file.

    name: the array's name in an `.npz` file. names: an image file name for each row, which only an `.npz` file stores.
    """
    if format.kind == "npz":
        write_npz(output, name, chunks, count, names=names)
    else:
        write_npy(output, chunks, count)


def write_npy(output: str, chunks: Iterable[np.ndarray], count: int) -> None:
    """Write an array of `count` rows, given in chunks (n, ...), to a `.npy` file, or to standard output if it is `-`.

    Raises OutputError when the output cannot be written or the disk has too little space for the whole array;
    InputError when standard output is closed. The space is checked before the first chunk is written.
    """
    if output == STANDARD_OUTPUT:
        with output_errors("standard output"):
            stream = _standard_output()
            for piece in _npy_pieces(chunks, count):
                stream.write(piece)
            stream.flush()
        return
    with new_file(output) as stream:
        for piece in _npy_pieces(_with_space(output, chunks, count), count):
            stream.write(piece)


def write_npz(
    output: str,
    name: str,
    chunks: Iterable[np.ndarray],
    count: int,
    *,
    names: Sequence[str] | None = None,
    others: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write an array of `count` rows, given in chunks (n, ...), to an uncompressed `.npz` file, with the name `name`.

    output: a path, or `-` for standard output. names: an image file name for each row, stored as a second array.
    others: further arrays of any shapes, by name. Raises OutputError when the output cannot be written or the disk has
    too little space for the array; InputError when standard output is closed.
    """
    members: dict[str, tuple[Iterable[np.ndarray], int]] = {}
    for other, array in (others or {}).items():
        members[other] = ([array], len(array))
    if names:
        members[NAMES] = ([np.array(names, np.str_)], len(names))
    if output == STANDARD_OUTPUT:
        with output_errors("standard output"):
            stream = _standard_output()
            _write_members(stream, {name: (chunks, count), **members})
            stream.flush()
        return
    with new_file(output) as stream:
        _write_members(stream, {name: (_with_space(output, chunks, count), count), **members})


def _write_members(stream: BinaryIO, members: Mapping[str, tuple[Iterable[np.ndarray], int]]) -> None:
    """Write an `.npz`. members: for each name, chunks (n, ...) of the array, and the number of all rows."""
    import zipfile

    with zipfile.ZipFile(stream, "w") as archive:
        for member, (rows, row_count) in members.items():
            with archive.open(zipfile.ZipInfo(f"{member}.npy"), "w", force_zip64=True) as file:
                for piece in _npy_pieces(rows, row_count):
                    file.write(piece)


def _standard_output() -> BinaryIO:
    if sys.stdout is None:
        raise InputError("standard output", found="closed", expected="a file or a pipe")
    return sys.stdout.buffer


def _with_space(output: str, chunks: Iterable[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Yield the chunks (n, ...) unchanged. Before the first chunk, check that the disk has space for `count` rows."""
    for index, chunk in enumerate(chunks):
        if index == 0:
            require_space(output, count * math.prod(chunk.shape[1:]) * chunk.itemsize)
        yield chunk


def _npy_pieces(chunks: Iterable[np.ndarray], count: int) -> Iterator[bytes]:
    """Yield the bytes of a `.npy` file of `count` rows, given in chunks (n, ...): the header, then each chunk."""
    for index, chunk in enumerate(chunks):
        if index == 0:
            yield npy_header(chunk.dtype, (count, *chunk.shape[1:]))
        yield chunk.tobytes()
