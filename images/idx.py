"""IDX, the format of MNIST: a magic number, the sizes of the axes, then numbers; often compressed with gzip.

Magic number: two zero bytes, the type of the values, the number of axes. All numbers are big-endian.
Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
"""

import gzip
import io
import math
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from ..runtime.errors import InputError

TYPES: dict[int, np.dtype] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
GZIP_MAGIC = b"\x1f\x8b"
MAX_RATIO = 1032  # bytes that one byte of deflate can become
COUNTED = 2**26  # bytes from which a compressed file is first inflated without keeping anything
PIECE = 2**22  # bytes inflated at a time
AGAIN = "Download or copy it again."
Accept = Callable[[tuple[int, ...], np.dtype], None]


def read_idx(
    source: Path | BinaryIO, where: str, window: slice = slice(None), accept: Accept | None = None
) -> np.ndarray:
    """The items of an IDX file or stream, (n, ...) of the type that it states, only those in `window`.

    Only what the window needs is decompressed. accept: is given the shape and the dtype of the whole before any of it
    is read, and may refuse them. Raises InputError for a wrong magic number, a truncated or damaged file, and, where
    the window reaches the end, for bytes after it.
    """
    stream = source.open("rb") if isinstance(source, Path) else source
    try:
        return _read(stream, where, window, accept)
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{where} is damaged: {error}", remedy=AGAIN) from error
    except EOFError as error:
        raise InputError(where, found="a gzip file cut short", expected="a whole one", remedy=AGAIN) from error
    finally:
        if isinstance(source, Path):
            stream.close()


def _read(stream: BinaryIO, where: str, window: slice, accept: Accept | None) -> np.ndarray:
    packed = _is_gzip(stream)
    size = stream.seek(0, io.SEEK_END)
    plain = _from_start(stream, packed)
    shape, dtype, start = _header(plain, where)
    if accept is not None:
        accept(shape, dtype)
    item = math.prod(shape[1:]) * dtype.itemsize
    total = shape[0] * item
    first, last, _ = window.indices(shape[0])
    last = max(first, last)
    if total > (MAX_RATIO * (size + 1) if packed else size - start):
        found = f"{size if packed else size - start} bytes of {'compressed ' if packed else ''}data"
        raise InputError(where, found=found, expected=f"{total} for {shape}", remedy="Copy the file again.")
    if packed and (last - first) * item > COUNTED:  # a header that lies would otherwise cost what it announces
        _require(_count(plain, last * item), last * item, total, shape, where)
        plain = _from_start(stream, packed)
        plain.read(start)
    _count(plain, first * item)
    content = bytearray().join(_pieces(plain, (last - first) * item))
    _require(first * item + len(content), last * item, total, shape, where)
    if last == shape[0] and plain.read(1):
        raise InputError(where, found="more data", expected=f"{total} bytes for {shape}")
    return np.frombuffer(content, dtype).reshape(last - first, *shape[1:]).astype(dtype.newbyteorder("="), copy=False)


def _require(present: int, needed: int, total: int, shape: tuple[int, ...], where: str) -> None:
    if present < needed:
        expected = f"{total} for {shape}"
        raise InputError(where, found=f"{present} bytes of data", expected=expected, remedy="Copy the file again.")


def _from_start(stream: BinaryIO, packed: bool) -> BinaryIO:
    stream.seek(0)
    return cast(BinaryIO, gzip.GzipFile(fileobj=stream)) if packed else stream


def _count(stream: BinaryIO, total: int) -> int:
    """How many of the next `total` bytes are there; none of them is kept."""
    return sum(map(len, _pieces(stream, total)))


def _pieces(stream: BinaryIO, total: int) -> Iterator[bytes]:
    """The next `total` bytes, a few MB at a time."""
    while total > 0 and (piece := stream.read(min(total, PIECE))):
        total -= len(piece)
        yield piece


def _header(stream: BinaryIO, where: str) -> tuple[tuple[int, ...], np.dtype, int]:
    """Shape, dtype and length of the header."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or magic[3] == 0:
        expected = "00000801 (labels) or 00000803 (images), or for 08 another type of 09, 0b, 0c, 0d, 0e"
        raise InputError(f"{where}: magic number", found=magic.hex() or "an empty file", expected=expected)
    sizes = stream.read(4 * magic[3])
    length = 4 + 4 * magic[3]
    if len(sizes) < 4 * magic[3]:
        raise InputError(where, found=f"a header of {4 + len(sizes)} bytes", expected=f"{length} bytes")
    shape = tuple(map(int, struct.unpack(f">{magic[3]}I", sizes)))
    if len(shape) > 4:
        raise InputError(where, found=f"{len(shape)} axes", expected="at most 4")
    return shape, TYPES[magic[2]], length


def _is_gzip(stream: BinaryIO) -> bool:
    stream.seek(0)
    return stream.read(2) == GZIP_MAGIC
