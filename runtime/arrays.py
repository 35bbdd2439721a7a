"""numpy's `.npy` and `.npz`, read without trust: no pickle, and no memory for data that is not there.

An 80-byte `.npy` can announce 32 GiB. Every header is therefore held against the bytes that follow it before an array
is made.
"""

import io
import math
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np

from .errors import ArtifactError, InputError
from .manifest import Tensor

LARGEST_ARRAY = 2**48
NPY_MAGIC = b"\x93NUMPY"


def read_npy(stream: IO[bytes], size: int, where: str) -> np.ndarray:
    """The array of a `.npy` stream that holds `size` bytes in all. Raises InputError when it is damaged."""
    shape, fortran, dtype = _header(stream, where)
    needed = math.prod(shape) * dtype.itemsize
    present = size - stream.tell()
    if needed != present:
        raise InputError(f"{where}: array data", found=f"{present} bytes", expected=f"{needed} for {dtype} {shape}")
    array = np.frombuffer(stream.read(needed), dtype)
    return array.reshape(shape, order="F" if fortran else "C")


def map_npy(path: Path) -> np.ndarray:
    """The array of a `.npy` file as a read-only memory map: a million pictures take no memory until they are used."""
    with path.open("rb") as stream:
        shape, fortran, dtype = _header(stream, str(path))
        offset = stream.tell()
    needed, present = math.prod(shape) * dtype.itemsize, path.stat().st_size - offset
    if needed != present:
        raise InputError(f"{path}: array data", found=f"{present} bytes", expected=f"{needed} for {dtype} {shape}")
    if needed == 0:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")


def forget(array: np.ndarray) -> None:
    """Give back the memory that the pages of a memory map take; they are read again when they are needed again."""
    mapping = getattr(array, "_mmap", None)
    if isinstance(mapping, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)


def read_npz(stream: BinaryIO, where: str) -> dict[str, np.ndarray]:
    """Every array of an `.npz` stream by name. Raises InputError when the archive or one of its arrays is damaged."""
    import zipfile  # while a network is being opened, not before

    try:
        with zipfile.ZipFile(stream) as archive:
            arrays = {}
            for member in archive.infolist():
                with archive.open(member) as data:
                    name = member.filename.removesuffix(".npy")
                    arrays[name] = read_npy(data, member.file_size, f"{where}: {name}")
            return arrays
    except (InputError, MemoryError):
        raise
    except Exception as error:  # zipfile lets much through: zlib's errors, struct's, its own
        raise InputError(f"{where} is no readable .npz file: {error}") from error


def read_declared(content: bytes, tensors: tuple[Tensor, ...], where: str) -> dict[str, np.ndarray]:
    """The arrays of an artifact's `.npz`, each of the dtype and shape that the manifest declares for it."""
    try:
        arrays = read_npz(io.BytesIO(content), where)
    except InputError as error:
        raise ArtifactError(str(error)) from error
    for tensor in tensors:
        found = arrays.get(tensor.name)
        if found is None or (found.dtype, found.shape) != (np.dtype(tensor.dtype), tensor.shape):
            described = "nothing" if found is None else f"{found.dtype} {found.shape}"
            raise ArtifactError(f"{where}: {tensor.name}", found=described, expected=f"{tensor.dtype} {tensor.shape}")
        if not np.isfinite(found).all():
            raise ArtifactError(
                f"{where}: {tensor.name}", found="values that are not finite", expected="finite numbers"
            )
    return {tensor.name: arrays[tensor.name] for tensor in tensors}


def npz_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """An uncompressed `.npz`; the same arrays give the same bytes, whatever the day."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _header(stream: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except Exception as error:  # numpy parses the header as Python, and lets the tokenizer's errors through
        raise InputError(f"{where} is no readable .npy file: {error}") from error
    if any(axis < 0 for axis in shape) or math.prod(max(axis, 1) for axis in shape) > LARGEST_ARRAY:
        raise InputError(f"{where}: shape", found=shape, expected="axes from 0, and at most 2^48 values")
    if dtype.hasobject:
        raise InputError(f"{where}: dtype", found="Python objects", expected="numbers", remedy="Save plain arrays.")
    return shape, fortran, dtype
