"""Open inputs, which may be files, standard input or pipes, as binary streams that support `seek`.

A pipe does not support `seek`, so its content is copied: into memory if it is small, else into a temporary file.
"""

import errno
import io
import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar, cast

from ..runtime.errors import InputError, NotFoundError, OutputError
from .paths import STANDARD_INPUT, path_mode, reason

MAX_PIPE_BYTES = 2**32
MAX_MEMORY_BYTES = 2**23  # a pipe with at most this many bytes is copied into memory, a larger one into a file
MAX_TEXT_BYTES = 2**20  # largest size of a text file, such as a recipe
SAVE_REMEDY = "Save it as a file, and give its path."
CHUNK_BYTES = 2**20  # number of bytes read at a time when a pipe is copied
SIGNATURE_BYTES = 512  # number of bytes at the start of a file from which its format is recognised


@dataclass(frozen=True)
class FileFormat:
    """A file format. name: the format's name in error messages.

    signatures: a file has this format if its bytes from `offset` on begin with one of these. max_pipe_bytes: the
    largest size of a file of this format that may be read from a pipe.
    """

    name: str
    signatures: tuple[bytes, ...]
    max_pipe_bytes: int = MAX_PIPE_BYTES
    offset: int = 0

    def matches(self, start: bytes) -> bool:
        """Whether a file that begins with the bytes `start` has this format."""
        return start[self.offset :].startswith(self.signatures)


FormatT = TypeVar("FormatT", bound=FileFormat)
FormatT_co = TypeVar("FormatT_co", bound=FileFormat, covariant=True)


@dataclass(frozen=True)
class Source(Generic[FormatT_co]):
    """An open input. stream: a binary stream that supports `seek`, at its start. size: number of bytes.

    name: the input's name in error messages. mappable: whether the stream is a file on a disk, which can be
    memory-mapped.
    """

    stream: BinaryIO
    size: int
    name: str
    format: FormatT_co
    mappable: bool


@contextmanager
def open_source(
    path: str | Path, formats: Sequence[FormatT], refused: Sequence[FileFormat] = ()
) -> Iterator[Source[FormatT]]:
    """Open a file, a pipe, a device or standard input (`-`) in one of `formats`.

    refused: formats that a file may have, but not a pipe, so that the message says to save the content. The format is
    recognised from the first bytes, before more is read. Raises NotFoundError when there is no file at the path,
    InputError when the input cannot be read, is empty, is in another format, or is a pipe with too many bytes, and
    OutputError when a pipe cannot be copied to a temporary file.
    """
    raw, name = _open_binary(str(path))
    with raw:
        status = os.fstat(raw.fileno())
        is_file = stat.S_ISREG(status.st_mode) and raw.tell() == 0
        start = _read(raw, SIGNATURE_BYTES, name)
        for other in refused:
            if other.matches(start):
                raise InputError(name, found=other.name, expected=format_names(formats), remedy=SAVE_REMEDY)
        format = _recognised(start, formats, name)
        if is_file:
            raw.seek(0)
            yield Source(raw, status.st_size, name, format, mappable=True)
        else:
            with _copied(raw, start, format, name) as source:
                yield source


def read_head(path: str | Path, size: int) -> bytes:
    """The first `size` bytes of a file, or fewer if it is shorter. Raises InputError when it cannot be read."""
    try:
        with Path(path).open("rb") as stream:
            return stream.read(size)
    except OSError as error:
        raise InputError(str(path), found=reason(error), expected="a file that can be read") from error


def format_names(formats: Sequence[FileFormat]) -> str:
    """The names of formats as a phrase for messages, such as `PNG, JPEG or BMP`."""
    *first, last = [format.name for format in formats]
    return f"{', '.join(first)} or {last}" if first else last


def read_text(path: str | Path) -> str:
    """Read a text in UTF-8 from a file, a pipe or standard input.

    Raises NotFoundError when there is no file at the path, InputError when the file cannot be read, is not UTF-8, or
    has more than MAX_TEXT_BYTES bytes.
    """
    raw, name = _open_binary(str(path))
    with raw:
        content = _read(raw, MAX_TEXT_BYTES + 1, name)
    if len(content) > MAX_TEXT_BYTES:
        raise InputError(name, found=f"more than {MAX_TEXT_BYTES:,} bytes", expected="a shorter text")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        found = f"no UTF-8 text: byte {error.start} is wrong"
        raise InputError(name, found=found, expected="a text in UTF-8") from error


def _open_binary(path: str) -> tuple[BinaryIO, str]:
    """Open a path, or standard input. Returns the binary stream, and its name for error messages."""
    if path in STANDARD_INPUT:
        return _standard_input(), "standard input"
    mode = path_mode(path)
    if mode is None:
        raise NotFoundError(path, found="no such file", expected="a file")
    if stat.S_ISDIR(mode):
        raise NotFoundError(path, found="a folder", expected="a file")
    try:
        return Path(path).open("rb"), path
    except OSError as error:
        raise InputError(path, found=reason(error), expected="a file that can be read") from error


def _standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise InputError("standard input", found="closed", expected="images or arrays")
    try:
        return os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    except OSError as error:
        raise InputError("standard input", found=reason(error), expected="images or arrays") from error


def _recognised(start: bytes, formats: Sequence[FormatT], name: str) -> FormatT:
    """The format whose signature the first bytes of a file match. Raises InputError when they match none."""
    for format in formats:
        if format.matches(start):
            return format
    found = "no format that can be read" if start else "an empty file"
    raise InputError(name, found=found, expected=format_names(formats))


@contextmanager
def _copied(raw: BinaryIO, start: bytes, format: FormatT, name: str) -> Iterator[Source[FormatT]]:
    """Copy a pipe to a stream that supports `seek`. start: the bytes that have already been read from the pipe."""
    content = start + _read(raw, MAX_MEMORY_BYTES - len(start), name)
    if len(content) < MAX_MEMORY_BYTES:
        yield Source(io.BytesIO(content), len(content), name, format, mappable=False)
        return
    limit = min(format.max_pipe_bytes, MAX_PIPE_BYTES)
    with _temporary_file() as copy:
        size = 0
        while content:
            size += len(content)
            if size > limit:
                found = f"more than {limit:,} bytes"
                raise InputError(name, found=found, expected="at most that", remedy=SAVE_REMEDY)
            _append(copy, content)
            content = _read(raw, CHUNK_BYTES, name)
        copy.seek(0)
        yield Source(copy, size, name, format, mappable=True)


def _temporary_file() -> BinaryIO:
    try:
        return cast(BinaryIO, tempfile.TemporaryFile())
    except OSError as error:
        raise OutputError("folder for temporary files", found=reason(error), expected="one to write to") from error


def _append(copy: BinaryIO, content: bytes) -> None:
    try:
        copy.write(content)
        copy.flush()
    except OSError as error:
        found = "no space left" if error.errno == errno.ENOSPC else reason(error)
        remedy = "Set TMPDIR to a folder on a disk with more space."
        expected = "space for a copy of what a pipe holds"
        raise OutputError(tempfile.gettempdir(), found=found, expected=expected, remedy=remedy) from error


def _read(raw: BinaryIO, size: int, name: str) -> bytes:
    try:
        return raw.read(size)
    except OSError as error:
        raise InputError(name, found=reason(error), expected="images or arrays") from error
