"""Safe readers of numpy's `.npy` and `.npz` files: nothing is unpickled, and no memory is allocated for missing data.

The header of an 80-byte `.npy` can announce an array of 32 GiB, and a zip archive can inflate to a thousand times its
size. The announced size is therefore compared with the bytes that follow the header, or with a limit for compressed
data, before memory is allocated. Only the requested arrays of an archive are opened.
"""

import io
import math
import mmap
import re
import struct
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, TypeVar

import numpy as np

from .errors import AegenError, ArtifactError, InputError
from .manifest import Tensor
from .startup import import_late

if TYPE_CHECKING:
    import zipfile

MAX_VALUES = 2**48
MAX_AXES = 32
MAX_AXIS_DIGITS = 18
MAX_HEADER_BYTES = 10_000
MAX_INFLATED_BYTES = 2**31  # largest array that is read from an archive, because it is read into memory
MAX_SPARSE_BYTES = 2**28  # largest array whose compression ratio is above SPARSE_RATIO
SPARSE_RATIO = 100
MAX_RATIO = 1032  # one byte of deflated data can inflate to at most this many bytes
PIECE_BYTES = 2**22  # number of bytes read at a time from a stream
END_RECORD_BYTES = 22  # size of the end-of-central-directory record of a zip archive, without a comment
MAX_COMMENT_BYTES = 65_535  # longest comment that can follow the end record of a zip archive
STORED, DEFLATED = 0, 8  # numbers of two compression methods of zip; stored is uncompressed
ENCRYPTED = 1  # flag bit that marks an encrypted entry of a zip archive
DTYPE_KINDS = "biufUS"  # letters of the accepted dtypes: booleans, integers, floats, text of fixed length
MAX_DIRECTORY_BYTES = 2**22  # largest list of files in an archive, with about 100 bytes for each file
NPY_MAGIC = b"\x93NUMPY"
# A `.npy` header is the text of a Python dict. These patterns match the items with the three keys that it must have.
HEADER_PATTERNS = {
    "descr": re.compile(r"""['"]descr['"]\s*:\s*['"]([<>|=]?[a-zA-Z]\d{0,9})['"]"""),
    "fortran_order": re.compile(r"""['"]fortran_order['"]\s*:\s*(True|False)"""),
    "shape": re.compile(r"""['"]shape['"]\s*:\s*\(([\d,\sL]*)\)"""),
}

Header = tuple[tuple[int, ...], bool, np.dtype]
Result = TypeVar("Result")


def read_npy(stream: IO[bytes], size: int, where: str) -> np.ndarray:
    """Read the array of a `.npy` stream, of any shape; its values are booleans, numbers or text.

    size: the length of the whole stream in bytes. where: the file's name, for error messages. Raises InputError if the
    stream is damaged.
    """
    return _values(stream, size, _header(stream, where), where)


def _values(stream: IO[bytes], size: int, header: Header, where: str) -> np.ndarray:
    """Read the values that follow the header of a `.npy` stream. The other parameters are those of `read_npy`."""
    shape, fortran, dtype = header
    needed = math.prod(shape) * dtype.itemsize
    _check_size(size - stream.tell(), needed, shape, dtype, where)
    # Read in small pieces, because a compressed stream makes a temporary copy of each piece.
    content, filled = bytearray(needed), 0
    while filled < needed and (piece := stream.read(min(needed - filled, PIECE_BYTES))):
        content[filled : filled + len(piece)] = piece
        filled += len(piece)
    _check_size(filled, needed, shape, dtype, where)
    if dtype.kind == "U" and not _is_text(np.frombuffer(content, f"{dtype.byteorder}u4")):
        raise InputError(where, found="invalid Unicode", expected="text")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")


def map_npy(path: Path) -> np.ndarray:
    """Open the array of a `.npy` file, of any shape, as a read-only memory map: only values that are used take memory.

    Raises InputError if the file is damaged.
    """
    with path.open("rb") as stream:
        return map_npy_stream(stream, str(path))


def map_npy_stream(stream: BinaryIO, where: str) -> np.ndarray:
    """Memory-map the array in an open `.npy` file, of any shape, as `map_npy` does.

    where: the file's name, for error messages.
    """
    shape, fortran, dtype = _header(stream, where)
    offset, needed = stream.tell(), math.prod(shape) * dtype.itemsize
    _check_size(stream.seek(0, io.SEEK_END) - offset, needed, shape, dtype, where)
    if needed == 0:
        return np.empty(shape, dtype)
    return np.memmap(stream, dtype, "r", offset, shape, "F" if fortran else "C")


def forget(array: np.ndarray) -> None:
    """Release the memory of all pages that a memory map has read. The pages are read from disk again when needed.

    array: a memory map of any shape; an array in memory is left as it is.
    """
    mapping = getattr(array, "_mmap", None)
    if isinstance(mapping, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)


def npz_names(stream: BinaryIO, where: str) -> tuple[str, ...]:
    """Names of the arrays in an `.npz` stream, without decompressing any. Raises InputError if it is no archive."""
    with _opened(stream, where) as archive:
        return tuple(_members(archive, where))


def npz_header(stream: BinaryIO, where: str, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of one array in an `.npz` stream. Only the header of the array is decompressed.

    Raises InputError if there is no such array, or the archive is damaged.
    """
    with _opened(stream, where) as archive:
        members = _members(archive, where)
        shape, _, dtype = _from_member(archive, members, name, where, lambda data, _, source: _header(data, source))
        return shape, dtype


def read_npz(stream: BinaryIO, where: str, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """Read arrays of any shapes from an `.npz` stream, and return them by name. names: by default all of them.

    Raises InputError if an array is missing, damaged, compressed by another method than deflate, or larger than
    MAX_INFLATED_BYTES. For arrays that are compressed by more than SPARSE_RATIO, the limit is MAX_SPARSE_BYTES.
    """
    with _opened(stream, where) as archive:
        members = _members(archive, where)
        chosen = members if names is None else names
        return {name: _from_member(archive, members, name, where, read_npy) for name in chosen}


def read_declared(
    content: bytes, tensors: tuple[Tensor, ...], where: str, names: Collection[str] | None = None
) -> dict[str, np.ndarray]:
    """Read arrays of an artifact's `.npz`, by name, and check them against the manifest.

    tensors: the names, dtypes and shapes that the manifest declares. where: the file's name, for error messages. names:
    which of the declared arrays to read, by default all. Raises ArtifactError if any array of the file is not declared,
    or if one of those to read is missing, damaged, not finite, or of another dtype or shape than declared.
    """
    try:
        with _opened(io.BytesIO(content), where) as archive:
            members = _members(archive, where)
            chosen = tensors if names is None else [tensor for tensor in tensors if tensor.name in names]
            arrays = {tensor.name: _read_tensor(archive, members, tensor, where) for tensor in chosen}
            extra = next(iter(members.keys() - {tensor.name for tensor in tensors}), None)
    except InputError as error:
        raise error.recast(ArtifactError) from error
    if extra is not None:
        found, expected = "an array that is not declared", "only arrays of the manifest"
        raise ArtifactError(f"{where}: {extra}", found=found, expected=expected)
    return arrays


def npy_header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """The header of a `.npy` file that holds an array of this dtype and shape in C order."""
    header = io.BytesIO()
    facts = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, facts)
    return header.getvalue()


def npz_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of an uncompressed `.npz` of arrays of any shapes. Equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _read_tensor(
    archive: "zipfile.ZipFile", members: "dict[str, zipfile.ZipInfo]", tensor: Tensor, where: str
) -> np.ndarray:
    """Read the array that `tensor` declares. Raises ArtifactError if it is not finite or has another dtype or shape."""

    def read(stream: IO[bytes], size: int, source: str) -> np.ndarray:
        header = shape, _, dtype = _header(stream, source)
        if (dtype, shape) != (np.dtype(tensor.dtype), tensor.shape):
            raise ArtifactError(source, found=f"{dtype} {shape}", expected=f"{tensor.dtype} {tensor.shape}")
        return _values(stream, size, header, source)

    array = _from_member(archive, members, tensor.name, where, read)
    if not np.isfinite(array).all():
        raise ArtifactError(f"{where}: {tensor.name}", found="values that are not finite", expected="finite numbers")
    return array


def _is_text(code_points: np.ndarray) -> bool:
    """Whether all integers in an array of any shape are valid Unicode code points, none of them a surrogate."""
    return not ((code_points > 0x10FFFF) | ((code_points >= 0xD800) & (code_points < 0xE000))).any()


def _directory_bytes(stream: BinaryIO) -> int:
    """The size in bytes of a zip archive's list of files, as its end record states; 0 if there is no such record."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - END_RECORD_BYTES - MAX_COMMENT_BYTES))
    end = stream.read()
    record = end.rfind(b"PK\x05\x06")
    return struct.unpack_from("<I", end, record + 12)[0] if 0 <= record <= len(end) - END_RECORD_BYTES else 0


def _opened(stream: BinaryIO, where: str) -> "zipfile.ZipFile":
    """Open a zip archive. Raises InputError if the stream is no zip archive, or if its list of files is too long."""
    module = import_late("zipfile")
    # zipfile needs the module cp437 to decode names. While `import_late` imports it, other threads cannot fork.
    import_late("encodings.cp437")
    if (listed := _directory_bytes(stream)) > MAX_DIRECTORY_BYTES:
        found, expected = f"a list of members of {listed:,} bytes", f"at most {MAX_DIRECTORY_BYTES:,}"
        raise InputError(where, found=found, expected=expected, remedy="Save it with numpy.save.")
    try:
        archive: zipfile.ZipFile = module.ZipFile(stream)
    except (module.BadZipFile, struct.error, ValueError, OSError, NotImplementedError, EOFError) as error:
        raise InputError(f"{where} is no readable .npz file", found=error) from error
    return archive


def _members(archive: "zipfile.ZipFile", where: str) -> "dict[str, zipfile.ZipInfo]":
    """The entries of a zip archive, by the names of their arrays. Raises InputError if a name occurs twice."""
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name in found:
            raise InputError(where, found=f"two arrays {name}", expected="one of each name")
        found[name] = member
    return found


def _from_member(
    archive: "zipfile.ZipFile",
    members: "dict[str, zipfile.ZipInfo]",
    name: str,
    where: str,
    read: Callable[[IO[bytes], int, str], Result],
) -> Result:
    """Open one array in a zip archive, and return what the function `read(stream, size, source)` makes of it.

    members: the entries of the archive, from `_members`. name: the array's name. read: a function of the decompressed
    stream, of the size in bytes that the archive states for it, and of a name for error messages. Raises InputError if
    the array is missing, damaged, encrypted, compressed by another method than deflate, or too large.
    """
    zipfile, zlib = import_late("zipfile"), import_late("zlib")
    source = f"{where}: {name}"
    member = members.get(name)
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
        if isinstance(error, AegenError):
            raise
        raise InputError(f"{source} is damaged", found=error) from error


def _check_size(present: int, needed: int, shape: tuple[int, ...], dtype: np.dtype, where: str) -> None:
    """Raise InputError unless `present` bytes of data are exactly the `needed` bytes of this shape and dtype."""
    if present != needed:
        raise InputError(f"{where}: array data", found=f"{present} bytes", expected=f"{needed} for {dtype} {shape}")


def _header(stream: IO[bytes], where: str) -> Header:
    """Read a `.npy` header: the shape, whether the array is in Fortran order, and the dtype.

    Raises InputError if the header is damaged, or if the values are not booleans, numbers or text of a fixed length.
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
    rest = text  # the part of the header's text that no pattern has matched yet
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
    """The shape from its text in a header, such as "3, 28, 28". Raises InputError if it is no shape or too large."""
    digits = [part.strip(" \t\r\nL") for part in text.split(",")]
    axes = [part for part in digits if part]
    if len(axes) > MAX_AXES or not all(part.isdigit() and len(part) <= MAX_AXIS_DIGITS for part in axes):
        raise InputError(f"{where}: shape", found=f"({text})", expected=f"whole numbers, at most {MAX_AXES}")
    shape = tuple(map(int, axes))
    if math.prod(max(axis, 1) for axis in shape) > MAX_VALUES:
        raise InputError(f"{where}: shape", found=shape, expected="at most 2^48 values")
    return shape


def _dtype(text: str, where: str) -> np.dtype:
    """The dtype from its text in a header, such as "<f4". Raises InputError unless it is boolean, numeric or text."""
    try:
        dtype = np.dtype(text if text.lstrip("<>|=")[0] in DTYPE_KINDS else object)
    except TypeError:  # numpy has no dtype of the stated size, for example <f3
        dtype = np.dtype(object)
    if dtype.hasobject or dtype.itemsize == 0:
        what = "Python objects" if text.endswith("O") else repr(text)
        raise InputError(f"{where}: dtype", found=what, expected="numbers", remedy="Save plain arrays.")
    return dtype
