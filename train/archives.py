"""Files of tensors and plain values as torch saves them: equal content gives equal bytes, and nothing is executed."""

import hashlib
import io
import pickle
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..files.atomic import write_bytes
from ..runtime.errors import InputError

# What zipfile, torch's reader and its restricted unpickler raise for files that are damaged or written by others.
DAMAGE = (
    zipfile.BadZipFile, zlib.error, pickle.UnpicklingError, struct.error, EOFError, OSError,
    ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError,
)  # fmt: skip


def write_archive(path: Path, content: dict[str, Any]) -> None:
    """Save with torch, whole or not at all. Raises OutputError or OSError when it cannot be written."""
    buffer = io.BytesIO()  # torch reports a full disk in words of its own; a plain write in the system's
    torch.save(_plain(content, {}), buffer)
    write_bytes(path, buffer.getvalue())


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of tensors and their names."""
    found = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        found.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def read_archive(file: Path, form: int, expected: str) -> dict[str, Any]:
    """What torch saved in a file, read without executing anything.

    form: the value of its `format`. expected: what the file should be, for the error.
    Raises InputError when it is damaged or another, OSError when it cannot be read.
    """
    stream = io.BytesIO(file.read_bytes())
    try:
        content = _load(stream)
    except DAMAGE as error:
        raise InputError(str(file), found="another or a damaged file", expected=expected) from error
    if not isinstance(content, dict) or content.get("format") != form:
        raise InputError(str(file), found="another or a damaged file", expected=expected)
    return content


@contextmanager
def restoring(subject: str, expected: str) -> Iterator[None]:
    """What torch raises in the block, for a state that is another than what it is put into, becomes an InputError."""
    try:
        yield
    except (LookupError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(subject, found="another or a damaged one", expected=expected) from error


def _load(stream: io.BytesIO) -> Any:
    with zipfile.ZipFile(stream) as archive:  # torch itself checks no checksum
        packed = any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist())
        if packed or archive.testzip():  # torch stores what it writes; a packed member could be of any size
            return None
    stream.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of other files before it refuses them
        return torch.load(stream, map_location="cpu", weights_only=True)


def _plain(value: Any, texts: dict[str, str]) -> Any:
    """The same value in plain containers, where nothing is the same object as anything else, but equal texts are.

    pickle writes an object that it meets again as a reference. Which objects are the same depends on whether a training
    was resumed, so without this the same state would give other bytes.
    """
    if isinstance(value, Mapping):
        return {_plain(key, texts): _plain(one, texts) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([_plain(one, texts) for one in value])
    if isinstance(value, Tensor):
        return value.detach().cpu().contiguous().clone()
    return texts.setdefault(value, value) if isinstance(value, str) else value
