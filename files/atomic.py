"""Files that appear whole or not at all: written under a temporary name beside the target, then renamed."""

import contextlib
import errno
import io
import os
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ..files.output_errors import WRITE_ERRORS, checked_output, output_error
from ..runtime.errors import AegenError, NotFoundError, OutputError
from .exchange import exchange, hold, remove, remove_left_behind

TAKEN_ERRORS = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)
unfinished: set[Path] = set()  # temporary files and folders that are being written


class _Output(io.FileIO):
    """A file whose errors name the output that it is for."""

    def __init__(self, path: Path, mode: str, shown: str) -> None:
        self._shown = shown
        try:
            super().__init__(path, mode)
        except OSError as error:
            raise output_error(shown, error) from error

    def write(self, data: Any, /) -> int:
        with named(self._shown):
            return super().write(data)

    def close(self) -> None:
        with named(self._shown):
            super().close()

    def synchronise(self) -> None:
        """Have the system write all of it to the device."""
        with named(self._shown):
            os.fsync(self.fileno())


@contextmanager
def named(shown: object) -> Iterator[None]:
    """Errors of the system become OutputErrors that name the output `shown`. A reader of a pipe that has gone stays."""
    try:
        yield
    except (AegenError, BrokenPipeError):
        raise
    except OSError as error:
        raise output_error(shown, error) from error


@contextmanager
def new_file(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file that becomes `path` when the block ends well and vanishes when it does not.

    A device or pipe (`/dev/stdout`) is written in place: renaming over it would replace it by a plain file.
    Raises NotFoundError when the folder to hold it does not exist, OutputError when `path` is a folder or cannot be
    written: what the system says of a write, too, with the path.
    """
    given = checked_output(path)
    if given.is_dir():
        raise OutputError(str(path), found="a folder", expected="a file's name")
    if given.exists() and not given.is_file():
        with io.BufferedWriter(_Output(given, "wb", str(path))) as stream:
            yield stream
        return
    target = require_parent(path)
    partial = _partial_name(target)
    unfinished.add(partial)
    try:
        raw = _Output(partial, "xb", str(path))
        with io.BufferedWriter(raw) as stream:
            yield stream
            stream.flush()
            raw.synchronise()
        with named(path):
            partial.replace(target)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        unfinished.discard(partial)


def require_space(path: str | Path, needed: int) -> None:
    """Raise OutputError where the file system of `path` has fewer than `needed` bytes free.

    Devices, pipes, and systems that do not tell how much is free are not asked. A file that is overwritten counts for
    nothing: it stays until the new one is whole.
    """
    target = checked_output(path)
    if target.exists() and not (target.is_file() or target.is_dir()):
        return
    try:
        total, _, free = shutil.disk_usage(require_parent(path).parent)
    except OSError:
        return
    if total and needed > free:
        found, remedy = f"{free:,} bytes free", "Free some space, write less, or write somewhere else."
        raise OutputError(str(path), found=found, expected=f"{needed:,}, which it takes", remedy=remedy)


@contextmanager
def new_folder(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """An empty temporary folder that becomes `path` when the block ends well and vanishes when it does not.

    Raises OutputError when `path` is taken (an empty folder is not) and overwrite is off. With overwrite on, the new
    folder and the old one change places in one step where the system has such a step, and the old one is deleted.
    Temporary folders that a killed process left beside `path` are removed; those that a living one holds are not, so
    several may be made at once, of which the last to end stays.
    """
    target = require_parent(path)
    if not overwrite and taken(target):
        raise _is_taken(path)
    partial, lock = _partial_name(target), None
    try:
        while lock is None:
            unfinished.add(partial)
            with named(path):
                partial.mkdir()  # in here, for a signal may come the moment that it is there
            lock = hold(partial, wait=True)
            if lock is None and partial.is_dir():  # a system without locks, where nobody removes it either
                break
            if not partial.is_dir():  # taken for one that was left, in the moment before it was held
                _released(lock)
                partial, lock = _partial_name(target), None
        remove_left_behind(target, "partial")
        with named_writes(path):
            yield partial
        if overwrite and taken(target):
            with named(path):
                _replace(partial, target)
        else:
            try:
                partial.replace(target)
            except OSError as error:
                if error.errno in TAKEN_ERRORS:  # somebody has put something there meanwhile
                    raise _is_taken(path) from error
                raise output_error(path, error) from error
        remove_left_behind(target, "replaced")
    finally:
        remove(partial)
        unfinished.discard(partial)
        _released(lock)


@contextmanager
def named_writes(shown: object) -> Iterator[None]:
    """Errors that only writing raises become OutputErrors that name `shown`; all others pass."""
    try:
        yield
    except AegenError:
        raise
    except OSError as error:
        if error.errno not in WRITE_ERRORS:
            raise
        raise output_error(shown, error) from error


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a whole file atomically."""
    with new_file(path) as stream:
        stream.write(content)


def taken(path: Path) -> bool:
    """Whether `path` is a file or a folder with something in it."""
    return path.exists() and not (path.is_dir() and not any(path.iterdir()))


def clear_partial_files(
    folder: Path, names: Collection[str], *, resumed: bool = False, remedy: str = "Choose another."
) -> None:
    """Remove the partial files that killed work, which writes files of these names, left in its folder.

    Raises OutputError, with the remedy, when the work is not resumed and anything else lies in the folder.
    """
    entries = set(folder.iterdir()) if folder.is_dir() else set()
    patterns = [re.compile(rf"\.{re.escape(name)}\.[0-9a-f]{{8}}\.partial") for name in names]
    left = {one for one in entries if any(pattern.fullmatch(one.name) for pattern in patterns)}
    if not resumed and taken(folder) and not (left and left == entries):
        raise OutputError(str(folder), found="something there already", expected="a new folder", remedy=remedy)
    with named(folder):
        for one in left:
            one.unlink(missing_ok=True)


def require_parent(path: str | Path) -> Path:
    """The path that a file or folder will have, links followed. Raises NotFoundError when its parent is not there."""
    checked_output(path)
    try:
        target = Path(os.path.realpath(path))
    except FileNotFoundError as error:
        found = "that the current folder is not there any more"
        raise NotFoundError(str(path), found=found, remedy="Change to one that is, or give a full path.") from error
    if not target.parent.is_dir():
        raise NotFoundError(str(target.parent), found="no such folder", remedy="Create it, or write somewhere else.")
    return target


def _replace(partial: Path, target: Path) -> None:
    """Let a folder change places with what is at `target`; where no one step does, that is moved aside for a moment."""
    if exchange(partial, target):
        return
    aside = target.with_name(f".{target.name}.{os.urandom(4).hex()}.replaced")
    target.replace(aside)
    try:
        partial.replace(target)
    except BaseException:
        aside.replace(target)
        raise
    remove(aside)


def _released(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def _is_taken(path: str | Path) -> OutputError:
    return OutputError(str(path), found="something there already", expected="a free name", remedy="Choose another.")


def _partial_name(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.urandom(4).hex()}.partial")
