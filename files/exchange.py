"""Two folders change places in one step, and folders that a killed process left are told from those in use."""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..files.output_errors import output_error
from ..runtime.errors import OutputError

AT_FDCWD = -100  # of Linux: paths are as they are anywhere
EXCHANGE = 2  # RENAME_EXCHANGE of Linux, and RENAME_SWAP of macOS


def exchange(one: Path, other: Path) -> bool:
    """Let two paths on one file system change places in one step; False where the system has or allows no such step."""
    if os.name != "posix":
        return False
    import ctypes  # here: only a folder that is overwritten needs it

    system = ctypes.CDLL(None)
    paths, flags = (os.fsencode(one), os.fsencode(other)), ctypes.c_uint(EXCHANGE)
    if hasattr(system, "renameat2"):  # Linux, glibc from 2.28 on
        return bool(system.renameat2(AT_FDCWD, paths[0], AT_FDCWD, paths[1], flags) == 0)
    if hasattr(system, "renamex_np"):
        return bool(system.renamex_np(*paths, flags) == 0)
    return False


def hold(folder: Path, *, wait: bool) -> int | None:
    """Lock a folder, which says that a process uses it; the system unlocks it when the process ends, however it ends.

    Returns what `os.close` unlocks it by. None where there are no locks or no such folder, and, unless it waits, where
    another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    lock = None
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        if lock is not None:
            os.close(lock)
        return None
    return lock


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Within the block no other process may hold the folder, which is made, and goes again if nothing came into it.

    Raises OutputError when another process holds it, or when it cannot be made. Where a system or a disk has no locks,
    nothing is held.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise output_error(folder, error) from error
    try:
        if not _locked(lock):
            found, remedy = "another process that writes to it", "Wait until it has ended, or choose another folder."
            raise OutputError(str(folder), found=found, expected="none", remedy=remedy)
        yield
    finally:
        os.close(lock)
        with contextlib.suppress(OSError):
            folder.rmdir()


def _locked(lock: int) -> bool:
    """Lock an open folder; False where another process has, True also where there are no locks."""
    try:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        pass
    return True


def remove_left_behind(target: Path, suffix: str) -> None:
    """Remove the folders `.NAME.XXXXXXXX.suffix` beside `target` that no process holds. What cannot be read stays."""
    pattern = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.{suffix}")
    try:
        left = [one for one in target.parent.iterdir() if pattern.fullmatch(one.name)]
    except OSError:
        return
    for one in left:
        lock = hold(one, wait=False)
        if lock is not None:
            remove(one)
            os.close(lock)


def remove(path: Path) -> None:
    """Remove a folder or a file, or what can be removed of it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
