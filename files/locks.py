"""Locks on folders, with which only one process at a time writes to a folder."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ..runtime.errors import OutputError
from .output_errors import output_error


class FolderLock:
    """An exclusive lock on a folder. The system releases it when the process ends, even if it is killed.

    wait: if another process holds the lock, wait until it releases the lock, instead of raising BlockingIOError. Raises
    OSError when the folder cannot be opened. If the operating system or the file system does not support locks, nothing
    is locked and the attribute `enforced` is False.
    """

    def __init__(self, folder: Path, *, wait: bool = False) -> None:
        self.enforced = False
        self._descriptor: int | None = None
        try:
            import fcntl
        except ImportError:  # Windows has no module fcntl, so nothing is locked
            return
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            self.enforced = True
        except BlockingIOError:
            self.release()
            raise
        except OSError:  # the file system does not support locks
            pass

    def release(self) -> None:
        """Release the lock if this object holds it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold a folder's lock during the block. The folder is created if it is missing, and removed if empty at the end.

    Raises OutputError when another process holds the lock, or when the folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FolderLock(folder)
    except BlockingIOError as error:
        found, remedy = "another process that writes to it", "Wait until it has ended, or choose another folder."
        raise OutputError(str(folder), found=found, expected="none", remedy=remedy) from error
    except OSError as error:
        raise output_error(folder, error) from error
    try:
        yield
    finally:
        lock.release()
        with contextlib.suppress(OSError):
            folder.rmdir()
