"""IDX, the format of MNIST: a magic number, the sizes of the axes, then bytes; often compressed with gzip.

Magic number: two zero bytes, the type of the values (0x08, unsigned byte), the number of axes.
Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
"""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from .errors import InputError

UNSIGNED_BYTE = 0x08
GZIP_MAGIC = b"\x1f\x8b"


def read_idx(source: Path | BinaryIO, where: str, window: slice = slice(None)) -> np.ndarray:
    """The items of an IDX file or stream, uint8 (n, ...), only those in `window`.

    Only what the window needs is decompressed. Raises InputError for a wrong magic number, a truncated or damaged
    file, and, where the whole file was asked for, for bytes after its end.
    """
    stream = source.open("rb") if isinstance(source, Path) else source
    try:
        plain = cast(BinaryIO, gzip.GzipFile(fileobj=stream)) if _is_gzip(stream) else stream
        return _read(plain, where, window)
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{where} is damaged: {error}", remedy="Download or copy it again.") from error
    except EOFError as error:
        remedy = "Download or copy it again."
        raise InputError(where, found="a gzip file cut short", expected="a whole one", remedy=remedy) from error
    finally:
        if isinstance(source, Path):
            stream.close()


def _read(stream: BinaryIO, where: str, window: slice) -> np.ndarray:
    shape = _header(stream, where)
    count, item = shape[0], math.prod(shape[1:])
    first, last, _ = window.indices(count)
    last = max(first, last)
    for _ in _pieces(stream, first * item):
        pass
    content = bytearray().join(_pieces(stream, (last - first) * item))
    if len(content) != (last - first) * item:
        found = f"{first * item + len(content)} bytes of data"
        raise InputError(where, found=found, expected=f"{count * item} for {shape}", remedy="Copy the file again.")
    if last == count and stream.read(1):
        raise InputError(where, found="more data", expected=f"{count * item} bytes for {shape}")
    return np.frombuffer(content, np.uint8).reshape(last - first, *shape[1:])


def _pieces(stream: BinaryIO, total: int) -> Iterator[bytes]:
    """The next `total` bytes, a few MB at a time: a header that lies about its size then costs no memory."""
    while total > 0 and (piece := stream.read(min(total, 1 << 22))):
        total -= len(piece)
        yield piece


def _header(stream: BinaryIO, where: str) -> tuple[int, ...]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] != UNSIGNED_BYTE or magic[3] == 0:
        expected = "00000801 (labels) or 00000803 (pictures)"
        raise InputError(f"{where}: magic number", found=magic.hex() or "an empty file", expected=expected)
    sizes = stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise InputError(where, found=f"a header of {4 + len(sizes)} bytes", expected=f"{4 + 4 * magic[3]} bytes")
    return struct.unpack(f">{magic[3]}I", sizes)


def _is_gzip(stream: BinaryIO) -> bool:
    start = stream.tell()
    found = stream.read(2) == GZIP_MAGIC
    stream.seek(start)
    return found
