"""Read IDX, the file format of MNIST, which is often compressed with gzip.

A file holds a magic number of four bytes, then the size of each axis as a 32-bit number, then the values. The magic
number is two zero bytes, one byte for the type of the values, and one for the number of axes. Numbers are big-endian.
Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
"""

import gzip
import io
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from ..files.paths import ALL_ROWS, reason
from ..files.sources import FileFormat, Source
from ..runtime.errors import InputError
from .array_files import UNNAMED

TYPES: dict[int, np.dtype] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
GZIP_SIGNATURE = b"\x1f\x8b"
IDX_SIGNATURES = tuple(bytes((0, 0, number)) for number in TYPES)
MAX_AXES = 4
MAX_RATIO = 1032  # highest ratio of decompressed to compressed bytes that deflate, the algorithm of gzip, can reach
# The header of a compressed IDX file can announce more values than the file holds. If the selected rows have more than
# MAX_TRUSTED_BYTES, the file is decompressed twice: first to count its bytes, then to store them in memory.
MAX_TRUSTED_BYTES = 2**26
CHUNK_BYTES = 2**22  # number of bytes read at a time
REMEDY = "Download or copy it again."


class IdxFile:
    """An IDX file as an `ArrayFile`, the interface to all files of arrays. It holds one array without a name."""

    names: tuple[str, ...] = (UNNAMED,)

    def __init__(self, source: Source[FileFormat]) -> None:
        self._source = source

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and dtype of the file's only array."""
        return idx_header(self._source.stream, self._source.name)

    def rows(self, name: str, window: slice = ALL_ROWS) -> np.ndarray:
        """Read the rows (n, ...) that the slice `window` selects. Nothing after these rows is decompressed."""
        return read_idx(self._source.stream, self._source.name, window)


@contextmanager
def open_idx(path: Path) -> Iterator[BinaryIO]:
    """Open an IDX file as a stream for `idx_header` or `read_idx`. Raises InputError when it cannot be opened."""
    try:
        stream = path.open("rb")
    except OSError as error:
        raise InputError(str(path), found=reason(error), expected="a file that can be read") from error
    with stream:
        yield stream


def idx_header(stream: BinaryIO, source_name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of the array in an IDX stream, without reading its values.

    Raises InputError for a wrong or incomplete header.
    """
    with _damage_errors(source_name):
        header = _header(_from_start(stream, _is_gzip(stream)), source_name)
        return header.shape, header.dtype.newbyteorder("=")


def read_idx(stream: BinaryIO, source_name: str, window: slice = ALL_ROWS) -> np.ndarray:
    """Read the rows (n, ...) that the slice `window` selects from the array in an IDX stream.

    The values keep their type, but get the byte order of this machine. Nothing after the selected rows is decompressed.
    Raises InputError for a wrong magic number, for a truncated or damaged file, and, if `window` includes the last row,
    for extra bytes after it.
    """
    with _damage_errors(source_name):
        return _read(stream, source_name, window)


def _read(stream: BinaryIO, source_name: str, window: slice) -> np.ndarray:
    """Read the rows (n, ...) that `window` selects. Errors that gzip raises for damaged data are not caught."""
    compressed = _is_gzip(stream)
    file_size = stream.seek(0, io.SEEK_END)
    plain = _from_start(stream, compressed)
    header = _header(plain, source_name)
    shape, row_bytes = header.shape, header.row_bytes
    first, last, _ = window.indices(shape[0])
    last = max(first, last)
    stored = file_size if compressed else file_size - header.size
    if header.total_bytes > (MAX_RATIO * (file_size + 1) if compressed else stored):
        found = f"{stored} bytes of {'compressed ' if compressed else ''}data"
        expected = f"{header.total_bytes} for {shape}"
        raise InputError(source_name, found=found, expected=expected, remedy=REMEDY)
    # The header may announce more values than the file has. If it announces many, count the values before allocating
    # memory.
    if compressed and (last - first) * row_bytes > MAX_TRUSTED_BYTES:
        _require_values(_skip(plain, last * row_bytes), last, header, source_name)
        plain = _from_start(stream, compressed)
        plain.read(header.size)
    _skip(plain, first * row_bytes)
    content = bytearray().join(_chunks(plain, (last - first) * row_bytes))
    _require_values(first * row_bytes + len(content), last, header, source_name)
    if last == shape[0] and plain.read(1):
        raise InputError(source_name, found="more data", expected=f"{header.total_bytes} bytes for {shape}")
    rows = np.frombuffer(content, header.dtype).reshape(last - first, *shape[1:])
    return rows.astype(header.dtype.newbyteorder("="), copy=False)


@dataclass(frozen=True)
class _Header:
    """The header of an IDX file. shape, dtype: the array's shape and dtype. size: length of the header in bytes."""

    shape: tuple[int, ...]
    dtype: np.dtype
    size: int

    @property
    def row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def total_bytes(self) -> int:
        return self.shape[0] * self.row_bytes


def _header(stream: BinaryIO, source_name: str) -> _Header:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or magic[3] == 0:
        expected = "00000801 (labels) or 00000803 (images), or for 08 another type of 09, 0b, 0c, 0d, 0e"
        raise InputError(f"{source_name}: magic number", found=magic.hex() or "an empty file", expected=expected)
    sizes = stream.read(4 * magic[3])
    length = 4 + 4 * magic[3]
    if len(sizes) < 4 * magic[3]:
        raise InputError(source_name, found=f"a header of {4 + len(sizes)} bytes", expected=f"{length} bytes")
    shape = tuple(map(int, struct.unpack(f">{magic[3]}I", sizes)))
    if len(shape) > MAX_AXES:
        raise InputError(source_name, found=f"{len(shape)} axes", expected=f"at most {MAX_AXES}")
    return _Header(shape, TYPES[magic[2]], length)


def _require_values(present: int, rows: int, header: _Header, source_name: str) -> None:
    """Raise InputError if the `present` bytes of values that the file has are too few for `rows` rows."""
    if present < rows * header.row_bytes:
        expected = f"{header.total_bytes} for {header.shape}"
        raise InputError(source_name, found=f"{present} bytes of data", expected=expected, remedy=REMEDY)


@contextmanager
def _damage_errors(source_name: str) -> Iterator[None]:
    """Turn the errors that gzip raises for a damaged file into InputErrors that name the file."""
    try:
        yield
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{source_name} is damaged: {error}", remedy=REMEDY) from error
    except EOFError as error:
        raise InputError(source_name, found="a gzip file cut short", expected="a whole one", remedy=REMEDY) from error


def _is_gzip(stream: BinaryIO) -> bool:
    stream.seek(0)
    return stream.read(len(GZIP_SIGNATURE)) == GZIP_SIGNATURE


def _from_start(stream: BinaryIO, compressed: bool) -> BinaryIO:
    stream.seek(0)
    return cast(BinaryIO, gzip.GzipFile(fileobj=stream)) if compressed else stream


def _skip(stream: BinaryIO, total: int) -> int:
    """Read the next `total` bytes and discard them. Returns how many were read: fewer if the stream ends early."""
    return sum(map(len, _chunks(stream, total)))


def _chunks(stream: BinaryIO, total: int) -> Iterator[bytes]:
    """Read the next `total` bytes, or all until the stream ends, in chunks of at most CHUNK_BYTES."""
    while total > 0 and (chunk := stream.read(min(total, CHUNK_BYTES))):
        total -= len(chunk)
        yield chunk
