"""Write and read tensors in torch's file format. Equal content gives equal bytes; reading runs no code of the file."""

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
from typing import Any, Protocol

import torch
from torch import Generator, Tensor

from ..files.atomic import write_bytes
from ..runtime.errors import InputError

State = dict[str, Any]  # nested dictionaries and lists of tensors, numbers and strings
DAMAGED = "another or a damaged file"

# Errors that zipfile, torch.load and its restricted unpickler raise for damaged files and files of another format.
READ_ERRORS = (
    zipfile.BadZipFile, zlib.error, pickle.UnpicklingError, struct.error, EOFError, OSError,
    ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError,
)  # fmt: skip


class Stateful(Protocol):
    """An object whose state can be saved and restored: a module, an optimiser, and the like."""

    def state_dict(self) -> State:
        """Return the state of the object, as plain values and tensors."""

    def load_state_dict(self, state: State, /) -> object:
        """Restore a state that `state_dict` returned."""


def write_archive(path: Path, content: State) -> None:
    """Write tensors and plain values to a file, atomically. Raises OutputError or OSError if this fails."""
    # torch writes to memory here, because its own file writer hides the error that a full disk causes.
    buffer = io.BytesIO()
    torch.save(_canonical(content, {}), buffer)
    write_bytes(path, buffer.getvalue())


def read_archive(file: Path, format_version: int, expected: str) -> State:
    """Read a file that `write_archive` wrote, without executing anything in the file.

    format_version: the value that the file must have under the key `format`. expected: the kind of file, for errors.
    Raises InputError when the file is damaged or of another kind, OSError when it cannot be read.
    """
    stream = io.BytesIO(file.read_bytes())
    try:
        content = _load(stream)
    except READ_ERRORS as error:
        raise InputError(str(file), found=DAMAGED, expected=expected) from error
    if not isinstance(content, dict) or content.get("format") != format_version:
        raise InputError(str(file), found=DAMAGED, expected=expected)
    return content


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 hash of tensors and their names, in hexadecimal."""
    sha256 = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        sha256.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return sha256.hexdigest()


def states_of(parts: Mapping[str, Stateful]) -> State:
    """Return the states of several objects, under the names of the objects."""
    return {name: part.state_dict() for name, part in parts.items()}


def restore_states(parts: Mapping[str, Stateful], state: State) -> None:
    """Restore the states of several objects. state: what `states_of` returned for objects of the same names."""
    for name, part in parts.items():
        part.load_state_dict(state[name])


class RandomState:
    """A random generator wrapped as a `Stateful` object, so that its state can be saved and restored."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator

    def state_dict(self) -> State:
        """Return the state of the generator."""
        return {"state": self._generator.get_state()}

    def load_state_dict(self, state: State) -> None:
        """Restore a state that `state_dict` returned."""
        self._generator.set_state(state["state"])


@contextmanager
def restoring(subject: str, expected: str) -> Iterator[None]:
    """Context manager around restoring a saved state: an error that an unusable state causes becomes InputError.

    A state is unusable if it is damaged or belongs to other objects. subject, expected: for the error message.
    """
    try:
        yield
    except (LookupError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(subject, found="another or a damaged one", expected=expected) from error


def _load(stream: io.BytesIO) -> Any:
    """Read the content of an archive. Returns None if a checksum is wrong or a file in it is compressed."""
    with zipfile.ZipFile(stream) as archive:  # zipfile verifies checksums, torch does not
        compressed = any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist())
        # torch compresses no file in an archive. Compressed files are refused, because they could expand to any size.
        if compressed or archive.testzip():
            return None
    stream.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # hides torch's warning about an unknown format; an error follows it
        return torch.load(stream, map_location="cpu", weights_only=True)


def _canonical(value: Any, texts: dict[str, str]) -> Any:
    """Copy a value so that all containers and tensors are separate objects, and equal strings are one object.

    When an object occurs twice, pickle writes a reference to its first occurrence. Which objects occur twice depends on
    whether the training was resumed, so without this copy equal states would give different bytes. texts: all strings
    copied so far, by their value.
    """
    if isinstance(value, Mapping):
        return {_canonical(key, texts): _canonical(item, texts) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([_canonical(item, texts) for item in value])
    if isinstance(value, Tensor):
        return value.detach().cpu().contiguous().clone()
    return texts.setdefault(value, value) if isinstance(value, str) else value
