"""What is said of an output that the system refuses to write."""

import errno
import os
from pathlib import Path

from ..runtime.errors import OutputError

# What the system says when a write fails: what is the matter, and what to do.
WRITE_ERRORS = {
    errno.ENOSPC: ("no space left on the device", "Free some, or write somewhere else."),
    errno.EDQUOT: ("a disk quota that is used up", "Free some space, or write somewhere else."),
    errno.EFBIG: ("that the file may not become so large", "Write less, or raise the limit on the size of files."),
    errno.EIO: ("an input/output error", "Check the device, or write somewhere else."),
    errno.EROFS: ("a read-only file system", "Write somewhere else."),
}
PERMISSION = ("no permission to write there", "Choose a place of your own, or change its permissions.")
NAME_ERRORS = {
    errno.EACCES: PERMISSION,
    errno.EPERM: PERMISSION,
    errno.ENAMETOOLONG: ("a name that is too long", "Choose a shorter one."),
    errno.ENOENT: ("a folder that takes no new files", "Write somewhere else."),
    errno.ELOOP: ("links that lead in a circle", "Choose another name."),
}


def output_error(path: object, error: OSError) -> OutputError:
    """The error for an output that the system refused to write: the path, what was found, and what to do."""
    known = {**WRITE_ERRORS, **NAME_ERRORS}
    found, remedy = known.get(error.errno or 0, (error.strerror or str(error), "Write somewhere else."))
    return OutputError(str(path), found=found, remedy=remedy)


def checked_output(output: str | os.PathLike[str]) -> Path:
    """The path of an output, where its name is one that a file can have. Raises OutputError."""
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
