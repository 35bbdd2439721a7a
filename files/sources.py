"""Sources of input: files, standard input and pipes, each opened once and read like a file.

A pipe cannot be read twice, so its content is copied: into memory if it is small, else into a temporary file.
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
MAX_MEMORY_BYTES = 2**23  # of a pipe that is kept in memory
MAX_TEXT_BYTES = 2**20  # of a text, such as a recipe
CHUNK_BYTES = 2**20  # copied at a time
SIGNATURE_BYTES = 16  # read from the start of a source to recognise its format


@dataclass(frozen=True)
class FileFormat:
    """A file format. name: as messages show it. signatures: first bytes of such files, by which they are recognised.

    max_pipe_bytes: the largest file of the format that is read from a pipe.
    """

    name: str
    signatures: tuple[bytes, ...]
    max_pipe_bytes: int = MAX_PIPE_BYTES


FormatT = TypeVar("FormatT", bound=FileFormat)
FormatT_co = TypeVar("FormatT_co", bound=FileFormat, covariant=True)


@dataclass(frozen=True)
class Source(Generic[FormatT_co]):
    """An open source. stream: at its start, and seekable. size: in bytes. name: the source in messages.

    mappable: whether the stream is a file on a disk, which can be mapped into memory.
    """

    stream: BinaryIO
    size: int
    name: str
    format: FormatT_co
    mappable: bool


@contextmanager
def open_source(path: str | Path, formats: Sequence[FormatT]) -> Iterator[Source[FormatT]]:
    """Open a file, a pipe, a device or standard input (`-`) in one of `formats`.

    The format is recognised before more than the first bytes are read. Raises NotFoundError when there is nothing at
    the path, InputError when the source cannot be read, is empty, is in another format, or is a pipe with too many
    bytes, OutputError when the disk for temporary files is full.
    """
    raw, name = _open_binary(str(path))
    with raw:
        status = os.fstat(raw.fileno())
        is_file = stat.S_ISREG(status.st_mode) and raw.tell() == 0
        start = _read(raw, SIGNATURE_BYTES, name)
        format = _recognised(start, formats, name)
        if is_file:
            raw.seek(0)
            yield Source(raw, status.st_size, name, format, mappable=True)
        else:
            with _copied(raw, start, format, name) as source:
                yield source


def format_names(formats: Sequence[FileFormat]) -> str:
    """`PNG, JPEG or BMP`."""
    *first, last = [format.name for format in formats]
    return f"{', '.join(first)} or {last}" if first else last


def read_text(path: str | Path) -> str:
    """The text of a file or a pipe, in UTF-8.

    Raises NotFoundError when there is nothing at the path, InputError when the content is not UTF-8 or has more than
    MAX_TEXT_BYTES bytes.
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
    """A binary stream and its name in messages."""
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
    """The format whose signature the first bytes of a source have. Raises InputError when there is none."""
    for format in formats:
        if start.startswith(format.signatures):
            return format
    found = "no format that can be read" if start else "an empty file"
    raise InputError(name, found=found, expected=format_names(formats))


@contextmanager
def _copied(raw: BinaryIO, start: bytes, format: FormatT, name: str) -> Iterator[Source[FormatT]]:
    """A seekable copy of a pipe. start: the bytes that have already been read from it."""
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
                remedy = "Save it as a file, and give its path."
                raise InputError(name, found=f"more than {limit:,} bytes", expected="at most that", remedy=remedy)
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
