"""numpy's `.npy` and `.npz`, read without trust: no pickle, and no memory for data that is not there.

An 80-byte `.npy` can announce 32 GiB, and a few kB of zip can inflate to as much. Every header is therefore held
against the bytes that follow it before an array is made, and of an archive only the members asked for are opened.
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

if TYPE_CHECKING:
    import zipfile

MAX_VALUES = 2**48
MAX_AXES = 32
MAX_HEADER = 10_000  # bytes of a header's text
MAX_INFLATED = 2**31  # bytes of a compressed array, which is held in memory
MAX_SPARSE = 2**28  # bytes of one that is compressed beyond a hundredth
PIECE = 2**22  # bytes read at a time
END_RECORD = 22  # bytes of the record that ends an archive, without its comment
MAX_RATIO = 1032  # bytes that one byte of deflate can become
STORED, DEFLATED = 0, 8  # ways of a zip archive to hold a member
ENCRYPTED = 1  # bit of a member's flags
KINDS = "biufUS"  # truth values, whole numbers, floats, and text of a fixed length
MAX_DIRECTORY = 2**22  # bytes of an archive's list of members; one takes about a hundred
NPY_MAGIC = b"\x93NUMPY"
PARTS = {  # of a header, which is a Python dict; its keys may come in any order
    "descr": re.compile(r"""['"]descr['"]\s*:\s*['"]([<>|=]?[a-zA-Z]\d{0,9})['"]"""),
    "fortran_order": re.compile(r"""['"]fortran_order['"]\s*:\s*(True|False)"""),
    "shape": re.compile(r"""['"]shape['"]\s*:\s*\(([\d,\sL]*)\)"""),
}

Header = tuple[tuple[int, ...], bool, np.dtype]
Result = TypeVar("Result")


def read_npy(stream: IO[bytes], size: int, where: str) -> np.ndarray:
    """The array of a `.npy` stream that holds `size` bytes in all. Raises InputError when it is damaged."""
    shape, fortran, dtype = _header(stream, where)
    needed = math.prod(shape) * dtype.itemsize
    _check_size(size - stream.tell(), needed, shape, dtype, where)
    content, held = bytearray(needed), 0  # a stream that inflates would hold what is read at once a second time
    while held < needed and (piece := stream.read(min(needed - held, PIECE))):
        content[held : held + len(piece)] = piece
        held += len(piece)
    _check_size(held, needed, shape, dtype, where)
    if dtype.kind == "U" and not _is_text(np.frombuffer(content, f"{dtype.byteorder}u4")):
        raise InputError(where, found="text of letters that do not exist", expected="text")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")


def map_npy(path: Path) -> np.ndarray:
    """The array of a `.npy` file as a read-only memory map: a million images take no memory until they are used.

    Raises InputError when the file is damaged.
    """
    with path.open("rb") as stream:
        return map_npy_stream(stream, str(path))


def map_npy_stream(stream: BinaryIO, where: str) -> np.ndarray:
    """The same of a file that is open, and has a place on a disk."""
    shape, fortran, dtype = _header(stream, where)
    offset, needed = stream.tell(), math.prod(shape) * dtype.itemsize
    _check_size(stream.seek(0, io.SEEK_END) - offset, needed, shape, dtype, where)
    if needed == 0:
        return np.empty(shape, dtype)
    return np.memmap(stream, dtype, "r", offset, shape, "F" if fortran else "C")


def forget(array: np.ndarray) -> None:
    """Give back the memory that the pages of a memory map take; they are read again when they are needed again."""
    mapping = getattr(array, "_mmap", None)
    if isinstance(mapping, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)


def npz_names(stream: BinaryIO, where: str) -> tuple[str, ...]:
    """Names of the arrays in an `.npz` stream; nothing is inflated. Raises InputError when it is no archive."""
    with _opened(stream, where) as archive:
        return tuple(_members(archive, where))


def npz_header(stream: BinaryIO, where: str, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of one array in an `.npz` stream, of which no more than its header is inflated.

    Raises InputError when there is none, or the archive is damaged.
    """
    with _opened(stream, where) as archive:
        shape, _, dtype = _from_member(archive, name, where, lambda data, size, place: _header(data, place))
        return shape, dtype


def read_npz(stream: BinaryIO, where: str, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """Arrays of an `.npz` stream by name; `names`: those to read, by default all. No other member is opened.

    Raises InputError when one is missing, or the archive or one of these arrays is damaged, compressed in another way
    than deflate, or larger than MAX_INFLATED.
    """
    with _opened(stream, where) as archive:
        chosen = _members(archive, where) if names is None else names
        return {name: _from_member(archive, name, where, read_npy) for name in chosen}


def read_declared(content: bytes, tensors: tuple[Tensor, ...], where: str) -> dict[str, np.ndarray]:
    """The arrays of an artifact's `.npz`, each of the dtype and shape that the manifest declares for it, and finite.

    Raises ArtifactError when one is missing or another, or when the archive holds more than is declared.
    """
    try:
        with _opened(io.BytesIO(content), where) as archive:
            arrays = {tensor.name: _read_tensor(archive, tensor, where) for tensor in tensors}
            extra = next((name for name in _members(archive, where) if name not in arrays), None)
    except InputError as error:
        raise error.recast(ArtifactError) from error
    if extra is not None:
        found, expected = "an array that is not declared", "those that the manifest declares"
        raise ArtifactError(f"{where}: {extra}", found=found, expected=expected)
    return arrays


def npz_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """An uncompressed `.npz`; the same arrays give the same bytes, whatever the day."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _read_tensor(archive: "zipfile.ZipFile", tensor: Tensor, where: str) -> np.ndarray:
    shape, _, dtype = _from_member(archive, tensor.name, where, lambda data, size, place: _header(data, place))
    if (dtype, shape) != (np.dtype(tensor.dtype), tensor.shape):
        expected = f"{tensor.dtype} {tensor.shape}"
        raise ArtifactError(f"{where}: {tensor.name}", found=f"{dtype} {shape}", expected=expected)
    array = _from_member(archive, tensor.name, where, read_npy)
    if not np.isfinite(array).all():
        raise ArtifactError(f"{where}: {tensor.name}", found="values that are not finite", expected="finite numbers")
    return array


def _is_text(letters: np.ndarray) -> bool:
    """Whether numbers are code points, and no halves of surrogate pairs."""
    return not ((letters > 0x10FFFF) | ((letters >= 0xD800) & (letters < 0xE000))).any()


def _directory_bytes(stream: BinaryIO) -> int:
    """Size of an archive's list of members, by its end record; 0 where there is none."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - END_RECORD - 65_535))
    end = stream.read()
    place = end.rfind(b"PK\x05\x06")
    return struct.unpack_from("<I", end, place + 12)[0] if 0 <= place <= len(end) - END_RECORD else 0


def _opened(stream: BinaryIO, where: str) -> "zipfile.ZipFile":
    import zipfile  # while a network is being opened, not before

    if (listed := _directory_bytes(stream)) > MAX_DIRECTORY:
        found, expected = f"a list of members of {listed:,} bytes", f"at most {MAX_DIRECTORY:,}"
        raise InputError(where, found=found, expected=expected, remedy="Save it with numpy.save.")
    try:
        return zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, struct.error, ValueError, OSError, NotImplementedError, EOFError) as error:
        raise InputError(f"{where} is no readable .npz file", found=error) from error


def _members(archive: "zipfile.ZipFile", where: str) -> "dict[str, zipfile.ZipInfo]":
    """The members by the names of their arrays. Raises InputError for one that comes twice."""
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
    """What `read` makes of a member: of its stream, the size that it announces, and its name for errors."""
    import zipfile
    import zlib

    place = f"{where}: {name}"
    member = _members(archive, where).get(name)
    if member is None:
        raise InputError(place, found="nothing", expected="an array of this name")
    if member.compress_type not in (STORED, DEFLATED) or member.flag_bits & ENCRYPTED:
        how = "encrypted" if member.flag_bits & ENCRYPTED else f"compressed by method {member.compress_type}"
        raise InputError(
            place, found=f"data {how}", expected="data stored or deflated", remedy="Save it with numpy.savez."
        )
    limit = MAX_INFLATED if member.file_size <= 100 * member.compress_size else MAX_SPARSE
    if member.file_size > min(limit, MAX_RATIO * (member.compress_size + 1)):
        found = f"{member.file_size:,} bytes announced in {member.compress_size:,}"
        remedy = "Save it with numpy.save: an .npy is read a part at a time."
        raise InputError(place, found=found, expected=f"at most {limit:,}", remedy=remedy)
    try:
        with archive.open(member) as data:
            return read(data, member.file_size, place)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, NotImplementedError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{place} is damaged", found=error) from error


def _check_size(present: int, needed: int, shape: tuple[int, ...], dtype: np.dtype, where: str) -> None:
    if present != needed:
        raise InputError(f"{where}: array data", found=f"{present} bytes", expected=f"{needed} for {dtype} {shape}")


def _header(stream: IO[bytes], where: str) -> Header:
    """Shape, order and dtype of a `.npy`: of plain numbers or fixed text, with MAX_AXES axes at most.

    Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
    """
    start = stream.read(8)
    if len(start) < 8 or start[:6] != NPY_MAGIC or start[6] not in (1, 2, 3):
        raise InputError(
            f"{where} is no readable .npy file", found=repr(start), expected=f"{NPY_MAGIC!r}, version 1 to 3"
        )
    width = 2 if start[6] == 1 else 4
    length = int.from_bytes(stream.read(width), "little")
    text = stream.read(min(length, MAX_HEADER + 1)).decode("latin-1")
    if length > MAX_HEADER or len(text) < length:
        found = f"a header of {length} bytes"
        raise InputError(f"{where} is no readable .npy file", found=found, expected=f"at most {MAX_HEADER}, and whole")
    found_parts: dict[str, str] = {}
    rest = text
    for key, pattern in PARTS.items():
        if match := pattern.search(rest):
            found_parts[key] = match[1]
            rest = rest[: match.start()] + rest[match.end() :]
    if len(found_parts) < len(PARTS) or rest.strip(" \t\r\n{},"):
        expected = "a header with descr, fortran_order and shape of a plain array"
        raise InputError(f"{where} is no readable .npy file", found=text.strip(), expected=expected)
    return (
        _shape(found_parts["shape"], where),
        found_parts["fortran_order"] == "True",
        _dtype(found_parts["descr"], where),
    )


def _shape(text: str, where: str) -> tuple[int, ...]:
    digits = [part.strip(" \t\r\nL") for part in text.split(",")]
    axes = [part for part in digits if part]
    if len(axes) > MAX_AXES or not all(part.isdigit() and len(part) <= 18 for part in axes):
        raise InputError(f"{where}: shape", found=f"({text})", expected=f"whole numbers, at most {MAX_AXES}")
    shape = tuple(map(int, axes))
    if math.prod(max(axis, 1) for axis in shape) > MAX_VALUES:
        raise InputError(f"{where}: shape", found=shape, expected="at most 2^48 values")
    return shape


def _dtype(text: str, where: str) -> np.dtype:
    try:
        dtype = np.dtype(text if text.lstrip("<>|=")[0] in KINDS else object)
    except TypeError:  # a size that no number has
        dtype = np.dtype(object)
    if dtype.hasobject or dtype.itemsize == 0:
        what = "Python objects" if text.endswith("O") else repr(text)
        raise InputError(f"{where}: dtype", found=what, expected="numbers", remedy="Save plain arrays.")
    return dtype
