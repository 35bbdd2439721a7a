"""Safe readers of numpy's `.npy` and `.npz`: no pickle, and no memory for data that is not there.

An 80-byte `.npy` can announce 32 GiB, and a few kB of zip can inflate to as much. Every header is therefore compared
with the bytes that follow it before memory is allocated, and only the requested members of an archive are opened.
"""

import io
import math
import mmap
import re
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, TypeVar

import numpy as np

from .errors import ArtifactError, InputError
from .manifest import Tensor
from .startup import import_late

if TYPE_CHECKING:
    import zipfile

MAX_VALUES = 2**48
MAX_AXES = 32
MAX_AXIS_DIGITS = 18
MAX_HEADER_BYTES = 10_000
MAX_INFLATED_BYTES = 2**31  # size of a compressed array, which is inflated into memory
MAX_SPARSE_BYTES = 2**28  # size of an array that is compressed by more than SPARSE_RATIO
SPARSE_RATIO = 100
MAX_RATIO = 1032  # bytes that one byte of deflated data can inflate to
PIECE_BYTES = 2**22  # bytes read at a time
END_RECORD_BYTES = 22  # size of the record at the end of a zip archive, without its comment
MAX_COMMENT_BYTES = 65_535  # longest comment of a zip archive
STORED, DEFLATED = 0, 8  # compression methods of zip
ENCRYPTED = 1  # flag bit of an encrypted member
DTYPE_KINDS = "biufUS"  # booleans, integers, floats, and text of a fixed length
MAX_DIRECTORY_BYTES = 2**22  # size of an archive's list of members, about 100 bytes each
NPY_MAGIC = b"\x93NUMPY"
HEADER_PATTERNS = {  # the items of a header, which is a Python dict with keys in any order
    "descr": re.compile(r"""['"]descr['"]\s*:\s*['"]([<>|=]?[a-zA-Z]\d{0,9})['"]"""),
    "fortran_order": re.compile(r"""['"]fortran_order['"]\s*:\s*(True|False)"""),
    "shape": re.compile(r"""['"]shape['"]\s*:\s*\(([\d,\sL]*)\)"""),
}

Header = tuple[tuple[int, ...], bool, np.dtype]
Result = TypeVar("Result")


def read_npy(stream: IO[bytes], size: int, where: str) -> np.ndarray:
    """The array of a `.npy` stream, of any shape and plain dtype.

    size: bytes of the whole stream. where: the file's name, for error messages. Raises InputError if it is damaged.
    """
    shape, fortran, dtype = _header(stream, where)
    needed = math.prod(shape) * dtype.itemsize
    _check_size(size - stream.tell(), needed, shape, dtype, where)
    content, filled = bytearray(needed), 0  # filled in pieces, because a compressed stream copies each piece
    while filled < needed and (piece := stream.read(min(needed - filled, PIECE_BYTES))):
        content[filled : filled + len(piece)] = piece
        filled += len(piece)
    _check_size(filled, needed, shape, dtype, where)
    if dtype.kind == "U" and not _is_text(np.frombuffer(content, f"{dtype.byteorder}u4")):
        raise InputError(where, found="invalid Unicode", expected="text")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")


def map_npy(path: Path) -> np.ndarray:
    """The array of a `.npy` file as a read-only memory map, which takes no memory until it is read.

    Raises InputError if the file is damaged.
    """
    with path.open("rb") as stream:
        return map_npy_stream(stream, str(path))


def map_npy_stream(stream: BinaryIO, where: str) -> np.ndarray:
    """Map the array of a `.npy` file that is already open, as `map_npy` does. where: its name, for error messages."""
    shape, fortran, dtype = _header(stream, where)
    offset, needed = stream.tell(), math.prod(shape) * dtype.itemsize
    _check_size(stream.seek(0, io.SEEK_END) - offset, needed, shape, dtype, where)
    if needed == 0:
        return np.empty(shape, dtype)
    return np.memmap(stream, dtype, "r", offset, shape, "F" if fortran else "C")


def forget(array: np.ndarray) -> None:
    """Release the memory that a memory map of any shape has read. Its pages are read from disk again when needed.

    An array that is no memory map is left as it is.
    """
    mapping = getattr(array, "_mmap", None)
    if isinstance(mapping, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)


def npz_names(stream: BinaryIO, where: str) -> tuple[str, ...]:
    """Names of the arrays in an `.npz` stream, without inflating any. Raises InputError if it is no archive."""
    with _opened(stream, where) as archive:
        return tuple(_members(archive, where))


def npz_header(stream: BinaryIO, where: str, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of one array in an `.npz` stream. Only the header of the array is inflated.

    Raises InputError if there is no such array, or the archive is damaged.
    """
    with _opened(stream, where) as archive:
        shape, _, dtype = _from_member(archive, name, where, lambda data, size, source: _header(data, source))
        return shape, dtype


def read_npz(stream: BinaryIO, where: str, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """Arrays of an `.npz` stream by name, of any shapes. names: the arrays to read, by default all.

    Raises InputError if an array is missing, damaged, compressed by another method than deflate, or larger than
    MAX_INFLATED_BYTES when compressed.
    """
    with _opened(stream, where) as archive:
        chosen = _members(archive, where) if names is None else names
        return {name: _from_member(archive, name, where, read_npy) for name in chosen}


def read_declared(content: bytes, tensors: tuple[Tensor, ...], where: str) -> dict[str, np.ndarray]:
    """The arrays of an artifact's `.npz`, by name. They are finite and have the declared dtypes and shapes.

    tensors: the arrays that the manifest declares. where: the file's name, for error messages. Raises ArtifactError if
    an array is missing, is not declared, or differs from its declaration.
    """
    try:
        with _opened(io.BytesIO(content), where) as archive:
            arrays = {tensor.name: _read_tensor(archive, tensor, where) for tensor in tensors}
            extra = next((name for name in _members(archive, where) if name not in arrays), None)
    except InputError as error:
        raise error.recast(ArtifactError) from error
    if extra is not None:
        found, expected = "an array that is not declared", "only arrays of the manifest"
        raise ArtifactError(f"{where}: {extra}", found=found, expected=expected)
    return arrays


def npz_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of an uncompressed `.npz` of arrays of any shapes. They hold no date: equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _read_tensor(archive: "zipfile.ZipFile", tensor: Tensor, where: str) -> np.ndarray:
    """The finite array that `tensor` declares, of its dtype and shape."""
    shape, _, dtype = _from_member(archive, tensor.name, where, lambda data, size, source: _header(data, source))
    if (dtype, shape) != (np.dtype(tensor.dtype), tensor.shape):
        expected = f"{tensor.dtype} {tensor.shape}"
        raise ArtifactError(f"{where}: {tensor.name}", found=f"{dtype} {shape}", expected=expected)
    array = _from_member(archive, tensor.name, where, read_npy)
    if not np.isfinite(array).all():
        raise ArtifactError(f"{where}: {tensor.name}", found="values that are not finite", expected="finite numbers")
    return array


def _is_text(code_points: np.ndarray) -> bool:
    """Whether integers of any shape are Unicode code points other than surrogates."""
    return not ((code_points > 0x10FFFF) | ((code_points >= 0xD800) & (code_points < 0xE000))).any()


def _directory_bytes(stream: BinaryIO) -> int:
    """Size of an archive's list of members according to its end record, or 0 without such a record."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - END_RECORD_BYTES - MAX_COMMENT_BYTES))
    end = stream.read()
    record = end.rfind(b"PK\x05\x06")
    return struct.unpack_from("<I", end, record + 12)[0] if 0 <= record <= len(end) - END_RECORD_BYTES else 0


def _opened(stream: BinaryIO, where: str) -> "zipfile.ZipFile":
    """An open archive. Raises InputError if the stream is no archive, or if its list of members is too long."""
    module = import_late("zipfile")
    if (listed := _directory_bytes(stream)) > MAX_DIRECTORY_BYTES:
        found, expected = f"a list of members of {listed:,} bytes", f"at most {MAX_DIRECTORY_BYTES:,}"
        raise InputError(where, found=found, expected=expected, remedy="Save it with numpy.save.")
    try:
        archive: zipfile.ZipFile = module.ZipFile(stream)
    except (module.BadZipFile, struct.error, ValueError, OSError, NotImplementedError, EOFError) as error:
        raise InputError(f"{where} is no readable .npz file", found=error) from error
    return archive


def _members(archive: "zipfile.ZipFile", where: str) -> "dict[str, zipfile.ZipInfo]":
    """The members of an archive, by the names of their arrays. Raises InputError if a name occurs twice."""
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name in found:
            raise InputError(where, found=f"two arrays {name}", expected="one of each name")
        found[name] = member
    return found


def _from_member(
    archive: "zipfile.ZipFile", name: str, where: str, read: Callable[[IO[bytes], int, str], Result]
) -> Result:
    """The result of `read(stream, size, source)` for one member of an archive.

    size: the size in bytes that the member announces. source: the name of the member, for error messages. Raises
    InputError if the member is missing, damaged, encrypted, compressed by an unknown method, or too large.
    """
    zipfile, zlib = import_late("zipfile"), import_late("zlib")
    source = f"{where}: {name}"
    member = _members(archive, where).get(name)
    if member is None:
        raise InputError(source, found="nothing", expected="an array of this name")
    if member.compress_type not in (STORED, DEFLATED) or member.flag_bits & ENCRYPTED:
        how = "encrypted" if member.flag_bits & ENCRYPTED else f"compressed by method {member.compress_type}"
        raise InputError(
            source, found=f"data {how}", expected="data stored or deflated", remedy="Save it with numpy.savez."
        )
    limit = MAX_INFLATED_BYTES if member.file_size <= SPARSE_RATIO * member.compress_size else MAX_SPARSE_BYTES
    if member.file_size > min(limit, MAX_RATIO * (member.compress_size + 1)):
        found = f"{member.file_size:,} bytes announced in {member.compress_size:,}"
        remedy = "Save it with numpy.save: an .npy is read a part at a time."
        raise InputError(source, found=found, expected=f"at most {limit:,}", remedy=remedy)
    try:
        with archive.open(member) as data:
            return read(data, member.file_size, source)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, NotImplementedError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{source} is damaged", found=error) from error


def _check_size(present: int, needed: int, shape: tuple[int, ...], dtype: np.dtype, where: str) -> None:
    """Raise InputError unless as many bytes of data are present as an array of this shape and dtype needs."""
    if present != needed:
        raise InputError(f"{where}: array data", found=f"{present} bytes", expected=f"{needed} for {dtype} {shape}")


def _header(stream: IO[bytes], where: str) -> Header:
    """Read a `.npy` header: the shape, whether the array is in Fortran order, and the dtype.

    The dtype is one of numbers, or of text of a fixed length.
    Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
    """
    start = stream.read(8)
    if len(start) < 8 or start[:6] != NPY_MAGIC or start[6] not in (1, 2, 3):
        raise InputError(
            f"{where} is no readable .npy file", found=repr(start), expected=f"{NPY_MAGIC!r}, version 1 to 3"
        )
    width = 2 if start[6] == 1 else 4
    length = int.from_bytes(stream.read(width), "little")
    text = stream.read(min(length, MAX_HEADER_BYTES + 1)).decode("latin-1")
    if length > MAX_HEADER_BYTES or len(text) < length:
        found = f"a header of {length} bytes"
        raise InputError(f"{where} is no readable .npy file", found=found, expected=f"at most {MAX_HEADER_BYTES}")
    values: dict[str, str] = {}
    rest = text  # the part of the header that no pattern has matched
    for key, pattern in HEADER_PATTERNS.items():
        if match := pattern.search(rest):
            values[key] = match[1]
            rest = rest[: match.start()] + rest[match.end() :]
    if len(values) < len(HEADER_PATTERNS) or rest.strip(" \t\r\n{},"):
        expected = "a header with descr, fortran_order and shape of a plain array"
        raise InputError(f"{where} is no readable .npy file", found=text.strip(), expected=expected)
    return (
        _shape(values["shape"], where),
        values["fortran_order"] == "True",
        _dtype(values["descr"], where),
    )


def _shape(text: str, where: str) -> tuple[int, ...]:
    """The shape from a header's text, such as "3, 28, 28". Raises InputError if the text is no shape, or too large."""
    digits = [part.strip(" \t\r\nL") for part in text.split(",")]
    axes = [part for part in digits if part]
    if len(axes) > MAX_AXES or not all(part.isdigit() and len(part) <= MAX_AXIS_DIGITS for part in axes):
        raise InputError(f"{where}: shape", found=f"({text})", expected=f"whole numbers, at most {MAX_AXES}")
    shape = tuple(map(int, axes))
    if math.prod(max(axis, 1) for axis in shape) > MAX_VALUES:
        raise InputError(f"{where}: shape", found=shape, expected="at most 2^48 values")
    return shape


def _dtype(text: str, where: str) -> np.dtype:
    """The dtype from a header's text, such as "<f4". Raises InputError unless it is one of numbers or text."""
    try:
        dtype = np.dtype(text if text.lstrip("<>|=")[0] in DTYPE_KINDS else object)
    except TypeError:  # numpy has no numbers of this size
        dtype = np.dtype(object)
    if dtype.hasobject or dtype.itemsize == 0:
        what = "Python objects" if text.endswith("O") else repr(text)
        raise InputError(f"{where}: dtype", found=what, expected="numbers", remedy="Save plain arrays.")
    return dtype
