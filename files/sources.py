"""Sources that are read: files, standard input and pipes, each opened once and read like a file.

A pipe cannot be read twice, so its content is copied: into memory where it is small, else into a file without a name.
"""

import errno
import io
import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from ..runtime.errors import InputError, NotFoundError, OutputError

MAX_PIPE = 2**32  # bytes read from a pipe
MAX_PIPED_IMAGE = 2**29  # bytes of one image file read from a pipe
MAX_TEXT = 2**20  # bytes of a text, such as a recipe
IN_MEMORY = 2**23  # bytes of a pipe that are kept in memory
PIECE = 2**20  # bytes copied at a time
HEAD = 16  # bytes by which a format is told
WHOLE = slice(None)
STANDARD_INPUT = ("-", "/dev/stdin", "/dev/fd/0")

NPY, ZIP, GZIP, IDX, IMAGE = "npy", "zip", "gzip", "idx", "image"
STARTS = {
    b"\x93NUMPY": NPY,
    b"PK": ZIP,
    b"\x1f\x8b": GZIP,
    **{bytes((0, 0, kind)): IDX for kind in (0x08, 0x09, 0x0B, 0x0C, 0x0D, 0x0E)},
    b"\x89PNG": IMAGE,
    b"\xff\xd8\xff": IMAGE,
    b"BM": IMAGE,
    b"RIFF": IMAGE,
}
ARRAYS, IMAGES = (NPY, ZIP), (NPY, ZIP, GZIP, IDX, IMAGE)  # formats that a reader knows


@dataclass(frozen=True)
class Source:
    """An open source. stream: at its beginning, and seekable. form: one of the values of STARTS, or nothing.

    where: its name in errors. on_disk: whether it can be mapped. again: whether its path can be opened again.
    """

    stream: BinaryIO
    size: int
    where: str
    form: str
    on_disk: bool
    again: bool = False


def form_of(head: bytes) -> str:
    """The format that a file's first bytes tell: one of the values of STARTS, or nothing."""
    return next((form for start, form in STARTS.items() if head.startswith(start)), "")


@contextmanager
def open_source(path: str | Path, forms: tuple[str, ...] = ()) -> Iterator[Source]:
    """A file, a pipe, a device, or `-`, standard input, open for reading.

    forms: the formats that the reader knows. A pipe whose first bytes tell of none of them is refused before more is
    read; without `forms`, anything is read. Raises NotFoundError when nothing is there, InputError when it cannot be
    read, or when a pipe holds more than MAX_PIPE bytes, OutputError when the disk for temporary files is full.
    """
    raw, where = _opened(str(path))
    with raw:
        facts = os.fstat(raw.fileno())
        if stat.S_ISREG(facts.st_mode) and raw.tell() == 0:
            head = _piece(raw, HEAD, where)
            raw.seek(0)
            yield Source(raw, facts.st_size, where, form_of(head), on_disk=True, again=where == str(path))
            return
        with _copied(raw, where, forms) as source:
            yield source


def read_text(path: str | Path) -> str:
    """The text of a file or a pipe, in UTF-8.

    Raises NotFoundError when nothing is there, InputError when it is no text or has more than MAX_TEXT bytes.
    """
    raw, where = _opened(str(path))
    with raw:
        content = _piece(raw, MAX_TEXT + 1, where)
    if len(content) > MAX_TEXT:
        raise InputError(where, found=f"more than {MAX_TEXT:,} bytes", expected="a text of at most that")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(where, found="no UTF-8 text", expected=f"UTF-8, also at byte {error.start}") from error


def path_mode(path: str | Path) -> int | None:
    """The `st_mode` of what is at a path, links followed, or None when nothing is there.

    Raises InputError for a name that the system does not take and for a folder that it does not let in.
    """
    try:
        return Path(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(str(path), found=_reason(error), expected="a path that can be read") from error
    except ValueError as error:  # NUL, or a letter that the file system has no bytes for
        raise InputError(repr(str(path)), found="a name that no file can have", expected="a path") from error


def is_folder(path: str | Path) -> bool:
    """Whether a folder is at the path. Raises InputError as `path_mode` does."""
    mode = path_mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def is_pipe(path: str) -> bool:
    """Whether a path is standard input, a pipe or a device: what is read there once cannot be read again."""
    mode = None if path in STANDARD_INPUT else path_mode(path)
    return path in STANDARD_INPUT or (mode is not None and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode))


def split_window(source: str) -> tuple[str, slice]:
    """`path[2:5]` -> ("path", slice(2, 5)); `path[3]` -> ("path", slice(3, 4)). A path that exists is never split.

    Raises InputError for brackets that hold anything else.
    """
    match = re.fullmatch(r"(.+)\[([^\[\]]*)\]", source, re.DOTALL)
    if match is None or _exists(source):
        return source, WHOLE
    path, window = match.groups()
    if number := re.fullmatch(r"-?[0-9]{1,18}", window):
        index = int(number[0])
        return path, slice(index, index + 1 if index != -1 else None)
    if ends := re.fullmatch(r"(-?[0-9]{1,18})?:(-?[0-9]{1,18})?", window):
        start, stop = (int(end) if end else None for end in ends.groups())
        return path, slice(start, stop)
    raise InputError(source, found=f"the slice [{window}]", expected="one like [3], [0:16], [:16] or [-16:]")


def _exists(path: str) -> bool:
    try:
        Path(path).stat()
    except (OSError, ValueError):
        return False
    return True


def _opened(path: str) -> tuple[BinaryIO, str]:
    """A binary stream and its name in errors."""
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
        raise InputError(path, found=_reason(error), expected="a file that can be read") from error


def _standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise InputError("standard input", found="closed", expected="images or arrays")
    try:
        return os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    except OSError as error:
        raise InputError("standard input", found=_reason(error), expected="images or arrays") from error


@contextmanager
def _copied(raw: BinaryIO, where: str, forms: tuple[str, ...]) -> Iterator[Source]:
    head = _piece(raw, HEAD, where)
    form = form_of(head)
    if head and forms and form not in forms:
        expected = "PNG, JPEG, BMP, WebP, .npy, .npz or IDX" if IMAGE in forms else ".npy or .npz"
        raise InputError(where, found="no format that can be read", expected=expected)
    limit = MAX_PIPED_IMAGE if form == IMAGE else MAX_PIPE
    content = head + _piece(raw, IN_MEMORY - len(head), where)
    if len(content) < IN_MEMORY:
        yield Source(io.BytesIO(content), len(content), where, form, on_disk=False)
        return
    with _temporary_file() as copy:
        size = 0
        while content:
            size += len(content)
            if size > limit:
                remedy = "Save it as a file, and give its path."
                raise InputError(where, found=f"more than {limit:,} bytes", expected="at most that", remedy=remedy)
            _keep(copy, content)
            content = _piece(raw, PIECE, where)
        copy.seek(0)
        yield Source(copy, size, where, form, on_disk=True)


def _temporary_file() -> BinaryIO:
    try:
        return cast(BinaryIO, tempfile.TemporaryFile())
    except OSError as error:
        raise OutputError("folder for temporary files", found=_reason(error), expected="one to write to") from error


def _keep(copy: BinaryIO, content: bytes) -> None:
    try:
        copy.write(content)
        copy.flush()
    except OSError as error:
        found = "no space left" if error.errno == errno.ENOSPC else _reason(error)
        remedy = "Set TMPDIR to a folder on a disk with more space."
        expected = "space for a copy of what a pipe holds"
        raise OutputError(tempfile.gettempdir(), found=found, expected=expected, remedy=remedy) from error


def _piece(raw: BinaryIO, size: int, where: str) -> bytes:
    try:
        return raw.read(size)
    except OSError as error:
        raise InputError(where, found=_reason(error), expected="images or arrays") from error


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
