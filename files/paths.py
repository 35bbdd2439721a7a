"""Inspect paths that users give: the type of a file, a folder's entries, and a slice such as `path[2:5]`."""

import errno
import re
import stat
from collections.abc import Collection
from pathlib import Path

from ..runtime.errors import InputError

ALL_ROWS = slice(None)
STANDARD_INPUT = ("-", "/dev/stdin", "/dev/fd/0")
ABSENCE_ERRORS = (errno.ENOENT, errno.ENOTDIR)  # error numbers that mean that nothing exists at a path
TYPE_ERRORS = (*ABSENCE_ERRORS, errno.ELOOP)  # error numbers that mean that a path is neither a file nor a folder


def path_mode(path: str | Path, absence_errors: Collection[int] = ABSENCE_ERRORS) -> int | None:
    """The `st_mode` of a path, with symbolic links followed, or None if the path does not exist.

    absence_errors: the error numbers that mean that the path does not exist. Raises InputError for other errors: a name
    that the system rejects, a parent folder that this user may not search, or a cycle of symbolic links.
    """
    try:
        return Path(path).stat().st_mode
    except OSError as error:
        if error.errno in absence_errors:
            return None
        raise InputError(str(path), found=reason(error), expected="a path that can be read") from error
    except ValueError as error:  # the path has a NUL character, or one that the file system cannot encode
        raise InputError(repr(str(path)), found="a name that no file can have", expected="a path") from error


def is_folder(path: str | Path) -> bool:
    """Whether there is a folder at the path; False for a cycle of symbolic links.

    Raises InputError for a name that the system rejects, or a parent folder that this user may not search.
    """
    mode = path_mode(path, TYPE_ERRORS)
    return mode is not None and stat.S_ISDIR(mode)


def is_file(path: str | Path) -> bool:
    """Whether there is a regular file at the path. Raises InputError in the same cases as `is_folder`."""
    mode = path_mode(path, TYPE_ERRORS)
    return mode is not None and stat.S_ISREG(mode)


def is_pipe(path: str) -> bool:
    """Whether a path is standard input, a pipe or a device. Such an input can be read only once."""
    mode = None if path in STANDARD_INPUT else path_mode(path)
    return path in STANDARD_INPUT or (mode is not None and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode))


def list_folder(folder: Path) -> list[Path]:
    """The entries of a folder, in no particular order. Raises InputError when the folder cannot be read."""
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise InputError(str(folder), found=reason(error), expected="a folder that can be read") from error


def split_slice(source: str) -> tuple[str, slice]:
    """Split off a slice at the end: `path[2:5]` -> ("path", slice(2, 5)); `path[3]` -> ("path", slice(3, 4)).

    A name with brackets that exists as a file or folder is not split; without a slice, all rows are selected. Raises
    InputError for brackets that hold neither a slice nor an index.
    """
    match = re.fullmatch(r"(.+)\[([^\[\]]*)\]", source, re.DOTALL)
    if match is None or _exists(source):
        return source, ALL_ROWS
    path, rows = match.groups()
    if number := re.fullmatch(r"-?[0-9]{1,18}", rows):
        index = int(number[0])
        return path, slice(index, index + 1 if index != -1 else None)
    if ends := re.fullmatch(r"(-?[0-9]{1,18})?:(-?[0-9]{1,18})?", rows):
        start, stop = (int(end) if end else None for end in ends.groups())
        return path, slice(start, stop)
    raise InputError(source, found=f"the slice [{rows}]", expected="one like [3], [0:16], [:16] or [-16:]")


def reason(error: OSError) -> str:
    """The operating system's description of an error, in lower case."""
    return (error.strerror or type(error).__name__).lower()


def _exists(path: str) -> bool:
    try:
        Path(path).stat()
    except (OSError, ValueError):
        return False
    return True
