"""Files of tensors and values in torch's format: equal content gives equal bytes, and reading executes nothing."""

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
from torch import Tensor

from ..files.atomic import write_bytes
from ..runtime.errors import InputError

State = dict[str, Any]  # tensors, numbers, texts and containers of them
DAMAGED = "another or a damaged file"

# What zipfile, torch's reader and its restricted unpickler raise for damaged or foreign files.
READ_ERRORS = (
    zipfile.BadZipFile, zlib.error, pickle.UnpicklingError, struct.error, EOFError, OSError,
    ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError,
)  # fmt: skip


class Stateful(Protocol):
    """An object whose state can be saved and restored: a module, an optimiser, and the like."""

    def state_dict(self) -> State:
        """The state, in plain values and tensors."""

    def load_state_dict(self, state: State, /) -> object:
        """Restore a state."""


def write_archive(path: Path, content: State) -> None:
    """Write a file atomically. Raises OutputError or OSError when it cannot be written."""
    buffer = io.BytesIO()  # torch hides the system's error for a full disk; a plain write shows it
    torch.save(_canonical(content, {}), buffer)
    write_bytes(path, buffer.getvalue())


def read_archive(file: Path, format_version: int, expected: str) -> State:
    """The content of a file of `write_archive`, read without executing anything.

    format_version: the value of its key `format`. expected: what the file should be, for the error.
    Raises InputError when it is damaged or something else, OSError when it cannot be read.
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
    """SHA-256 of tensors and their names, in hexadecimal."""
    sha256 = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        sha256.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return sha256.hexdigest()


def states_of(parts: Mapping[str, Stateful]) -> State:
    """The states of objects, by name."""
    return {name: part.state_dict() for name, part in parts.items()}


def restore_states(parts: Mapping[str, Stateful], state: State) -> None:
    """Restore the states of objects from what `states_of` returned."""
    for name, part in parts.items():
        part.load_state_dict(state[name])


@contextmanager
def restoring(subject: str, expected: str) -> Iterator[None]:
    """Raise InputError when a state that is restored in the block does not fit its object."""
    try:
        yield
    except (LookupError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(subject, found="another or a damaged one", expected=expected) from error


def _load(stream: io.BytesIO) -> Any:
    """The content of a file, or None when its checksums are wrong or it is compressed."""
    with zipfile.ZipFile(stream) as archive:  # torch does not verify checksums
        compressed = any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist())
        if compressed or archive.testzip():  # torch writes no compressed members; one could expand to any size
            return None
    stream.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of foreign files before it refuses them
        return torch.load(stream, map_location="cpu", weights_only=True)


def _canonical(value: Any, texts: dict[str, str]) -> Any:
    """An equal value in which no two containers or tensors are the same object, and equal texts always are.

    pickle writes a repeated object as a reference. Which objects are repeated depends on whether a training was
    resumed, so without this step equal states would give different bytes.
    """
    if isinstance(value, Mapping):
        return {_canonical(key, texts): _canonical(item, texts) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([_canonical(item, texts) for item in value])
    if isinstance(value, Tensor):
        return value.detach().cpu().contiguous().clone()
    return texts.setdefault(value, value) if isinstance(value, str) else value
