"""Write files and folders atomically: under a temporary name first, which is then renamed to the final name."""

import contextlib
import errno
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ..runtime.errors import NotFoundError, OutputError
from .exchange import exchange
from .locks import FolderLock
from .output_errors import checked_output, output_error, output_errors, write_errors
from .temporary import exists_nonempty, remove, remove_abandoned_folders, temporary_path, unfinished_paths

WRITEBACK_BYTES = 1 << 24  # after this many new bytes, the system is asked to write them to the disk
# Renaming a folder fails with one of these error numbers if something exists under the new name.
OCCUPIED_ERRORS = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file atomically. Raises the same NotFoundError and OutputError as `new_file`."""
    with new_file(path) as stream:
        stream.write(content)


@contextmanager
def new_file(path: str | Path) -> Iterator[BinaryIO]:
    """Open a temporary binary file that is renamed to `path` when the block ends, and removed when the block raises.

    A device or pipe, such as `/dev/stdout`, is written directly, because a rename would replace it by a plain file.
    Raises NotFoundError when the parent folder does not exist, OutputError when `path` is a folder or cannot be
    written. An OSError while the file is written becomes an OutputError that names the path.
    """
    checked = checked_output(path)
    if checked.is_dir():
        raise OutputError(str(path), found="a folder", expected="a file's name")
    if checked.exists() and not checked.is_file():
        with io.BufferedWriter(_OutputFile(checked, "wb", str(path))) as stream:
            yield stream
        return
    target = require_parent(path)
    partial = temporary_path(target)
    unfinished_paths.add(partial)
    try:
        raw = _OutputFile(partial, "xb", str(path))
        with io.BufferedWriter(raw) as stream:
            yield stream
            stream.flush()
            raw.synchronise()
        with output_errors(path):
            partial.replace(target)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        unfinished_paths.discard(partial)


@contextmanager
def new_folder(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Make a temporary folder that is renamed to `path` when the block ends, and removed when the block raises.

    Raises OutputError when `path` exists and is not an empty folder, unless `overwrite` is on. With `overwrite` the new
    folder replaces whatever is at `path`, atomically where the system can do that. If several processes overwrite the
    same `path` at once, the folder of the last to finish stays. Temporary folders that a killed process left beside
    `path` are removed.
    """
    target = require_parent(path)
    if not overwrite and exists_nonempty(target):
        raise _occupied_error(path)
    partial: Path = temporary_path(target)
    lock: FolderLock | None = None
    try:
        while lock is None:
            unfinished_paths.add(partial)
            with output_errors(path):
                partial.mkdir()  # inside `try`, so that the folder is removed even after a signal
                with contextlib.suppress(FileNotFoundError):
                    lock = FolderLock(partial, wait=True)
            if not partial.is_dir():  # another process removed the folder as abandoned before this process locked it
                _release(lock)
                unfinished_paths.discard(partial)
                partial, lock = temporary_path(target), None
        remove_abandoned_folders(target, "partial")
        with write_errors(path):
            yield partial
        _move_folder(partial, target, path, overwrite)
        remove_abandoned_folders(target, "replaced")
    finally:
        remove(partial)
        unfinished_paths.discard(partial)
        _release(lock)


def require_space(path: str | Path, needed: int) -> None:
    """Raise OutputError when the file system of `path` has fewer than `needed` bytes free.

    Nothing is checked for devices and pipes, or where the system does not report the free space. The size of a file
    that will be overwritten does not count as free, because the old file is kept until the new file is complete.
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
        raise OutputError(str(path), found=found, expected=f"{needed:,} for the output", remedy=remedy)


def require_parent(path: str | Path) -> Path:
    """The absolute path of an output, with symbolic links resolved.

    Raises NotFoundError when its parent folder is missing, OutputError for a name that no file can have.
    """
    checked_output(path)
    try:
        target = Path(os.path.realpath(path))
    except FileNotFoundError as error:
        found = "that the current folder is not there any more"
        raise NotFoundError(str(path), found=found, remedy="Change to one that exists, or give a full path.") from error
    if not target.parent.is_dir():
        raise NotFoundError(str(target.parent), found="no such folder", remedy="Create it, or write somewhere else.")
    return target


class _OutputFile(io.FileIO):
    """A file that raises OutputErrors instead of OSErrors. The errors name the final output, not the temporary file."""

    def __init__(self, path: Path, mode: str, output: str) -> None:
        self._output, self._waiting_bytes = output, 0
        with output_errors(output):
            super().__init__(path, mode)

    def write(self, data: Any, /) -> int:
        with output_errors(self._output):
            written = super().write(data)
        self._waiting_bytes += written
        if self._waiting_bytes >= WRITEBACK_BYTES:
            self._begin_writeback()
        return written

    def close(self) -> None:
        with output_errors(self._output):
            super().close()

    def _begin_writeback(self) -> None:
        """Ask the system to begin to write the latest bytes to the disk, without waiting until that is done.

        Otherwise the system may keep gigabytes in memory until `synchronise`, which then waits for the disk while the
        processor is idle.
        """
        if hasattr(os, "posix_fadvise"):  # some systems lack it
            with contextlib.suppress(OSError):  # raised if the output is a pipe or a device
                start = self.tell() - self._waiting_bytes
                os.posix_fadvise(self.fileno(), start, self._waiting_bytes, os.POSIX_FADV_DONTNEED)
        self._waiting_bytes = 0

    def synchronise(self) -> None:
        """Flush the file to the disk, and wait until that is done."""
        with output_errors(self._output):
            os.fsync(self.fileno())


def _move_folder(partial: Path, target: Path, path: str | Path, overwrite: bool) -> None:
    """Rename a finished folder to its target. path: the target as the user wrote it, for error messages."""
    if overwrite and exists_nonempty(target):
        with output_errors(path):
            _replace(partial, target)
        return
    try:
        partial.replace(target)
    except OSError as error:
        if error.errno in OCCUPIED_ERRORS:  # another process has created the target since it was checked
            raise _occupied_error(path) from error
        raise output_error(path, error) from error


def _replace(partial: Path, target: Path) -> None:
    """Replace an existing target by a finished folder.

    The two are exchanged atomically. If the system cannot do that, the target is renamed first, and removed at the end.
    """
    if exchange(partial, target):
        return
    aside = temporary_path(target, "replaced")
    target.replace(aside)
    try:
        partial.replace(target)
    except BaseException:
        aside.replace(target)
        raise
    remove(aside)


def _release(lock: FolderLock | None) -> None:
    if lock is not None:
        lock.release()


def _occupied_error(path: str | Path) -> OutputError:
    return OutputError(str(path), found="something there already", expected="a free name", remedy="Choose another.")
