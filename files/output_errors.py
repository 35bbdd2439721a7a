"""Turn OSErrors raised while writing into OutputErrors that name the output, the cause and a remedy."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..runtime.errors import AegenError, OutputError

# Errors that occur only in writing, never in reading: a description and a remedy, by error number.
WRITE_ERRORS = {
    errno.ENOSPC: ("no space left on the device", "Free some space, or write somewhere else."),
    errno.EDQUOT: ("a disk quota that is used up", "Free some space, or write somewhere else."),
    errno.EFBIG: ("a limit on the size of files", "Write less, or raise the limit on the size of files."),
    errno.EIO: ("an input/output error", "Check the device, or write somewhere else."),
    errno.EROFS: ("a read-only file system", "Write somewhere else."),
}
PERMISSION = ("no permission to write there", "Write to a folder of your own, or change its permissions.")
NAME_ERRORS = {
    errno.EACCES: PERMISSION,
    errno.EPERM: PERMISSION,
    errno.ENAMETOOLONG: ("a name that is too long", "Choose a shorter one."),
    errno.ENOENT: ("a folder that takes no new files", "Write somewhere else."),
    errno.ELOOP: ("links that lead in a circle", "Choose another name."),
}


@contextmanager
def output_errors(output: object) -> Iterator[None]:
    """Turn an OSError within the block into an OutputError that names the output.

    BrokenPipeError is raised unchanged, because it is no fault: the program that reads from the pipe has ended.
    """
    try:
        yield
    except (AegenError, BrokenPipeError):
        raise
    except OSError as error:
        raise output_error(output, error) from error


@contextmanager
def write_errors(output: object) -> Iterator[None]:
    """Turn an OSError that occurs only in writing, such as a full disk, into an OutputError that names the output.

    Other errors are raised unchanged, because they may come from reading an input.
    """
    try:
        yield
    except AegenError:
        raise
    except OSError as error:
        if error.errno not in WRITE_ERRORS:
            raise
        raise output_error(output, error) from error


def output_error(output: object, error: OSError) -> OutputError:
    """The OutputError that reports an OSError raised while writing an output."""
    known = {**WRITE_ERRORS, **NAME_ERRORS}
    found, remedy = known.get(error.errno or 0, (error.strerror or str(error), "Write somewhere else."))
    return OutputError(str(output), found=found, remedy=remedy)


def checked_output(output: str | os.PathLike[str]) -> Path:
    """Check the name of an output, and return its path. Raises OutputError for a name that no file can have."""
    name = os.fspath(output)
    if not name:
        raise OutputError("output", found="an empty name", expected="the name of a file or a folder")
    try:
        if b"\0" in os.fsencode(name):
            raise OutputError(repr(name), found="a NUL in its name", expected="a name that a file can have")
        Path(name).stat()
    except UnicodeEncodeError as error:
        found = "letters that a file's name cannot hold"
        raise OutputError(ascii(name), found=found, expected="a name that a file can have") from error
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise output_error(name, error) from error
    return Path(name)
