"""Arrays written a chunk at a time, as `.npy` or `.npz`, so that memory stays flat."""

import io
import math
import sys
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ..files.atomic import new_file, require_space
from ..files.output_errors import output_errors
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
    """Write `count` rows that come in chunks (n, ...) in a format of arrays.

    name: of the array, in a format with named arrays; such a format also holds `names`, one for each row.
    """
    if format.kind == "npz":
        write_npz(output, name, chunks, count, names=names)
    else:
        write_npy(output, chunks, count)


def write_npy(output: str, chunks: Iterable[np.ndarray], count: int) -> None:
    """Write `count` rows that come in chunks (n, ...) as one `.npy`; `-` is standard output.

    Raises OutputError when the output cannot be written, or when the first chunk shows that there is too little space.
    """
    if output == STANDARD_OUTPUT:
        if sys.stdout is None:
            raise InputError("standard output", found="closed", expected="a file or a pipe")
        with output_errors("standard output"):
            for piece in _npy_pieces(chunks, count):
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        return
    with new_file(output) as stream:
        for piece in _npy_pieces(_with_space(output, chunks, count), count):
            stream.write(piece)


def write_npz(
    output: str, name: str, chunks: Iterable[np.ndarray], count: int, *, names: Sequence[str] | None = None
) -> None:
    """Write `count` rows that come in chunks (n, ...) as the array `name` of an uncompressed `.npz`.

    names: of the image files, one for each row, which become an array of text. Raises OutputError as `write_npy` does.
    """
    import zipfile

    members: dict[str, tuple[Iterable[np.ndarray], int]] = {name: (_with_space(output, chunks, count), count)}
    if names:
        members[NAMES] = ([np.array(names, np.str_)], len(names))
    with new_file(output) as stream, zipfile.ZipFile(stream, "w") as archive:
        for member, (rows, row_count) in members.items():
            with archive.open(zipfile.ZipInfo(f"{member}.npy"), "w", force_zip64=True) as file:
                for piece in _npy_pieces(rows, row_count):
                    file.write(piece)


def _with_space(output: str, chunks: Iterable[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """The chunks (n, ...); the first one shows how many bytes of space `count` rows need."""
    for index, chunk in enumerate(chunks):
        if index == 0:
            require_space(output, count * math.prod(chunk.shape[1:]) * chunk.itemsize)
        yield chunk


def _npy_pieces(chunks: Iterable[np.ndarray], count: int) -> Iterator[bytes]:
    """The bytes of a `.npy` with `count` rows that come in chunks (n, ...): its header, then each chunk."""
    for index, chunk in enumerate(chunks):
        if index == 0:
            header = io.BytesIO()
            dtype = np.lib.format.dtype_to_descr(chunk.dtype)
            shape = (count, *chunk.shape[1:])
            np.lib.format.write_array_header_1_0(header, {"descr": dtype, "fortran_order": False, "shape": shape})
            yield header.getvalue()
        yield chunk.tobytes()
