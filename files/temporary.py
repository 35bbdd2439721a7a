"""Name temporary files and folders, which lie beside their output, and remove those that a killed process left."""

import contextlib
import os
import re
import shutil
from collections.abc import Collection
from pathlib import Path

from ..runtime.errors import OutputError
from .locks import FolderLock
from .output_errors import output_errors

unfinished_paths: set[Path] = set()  # paths of the temporary files and folders that this process is writing now


def temporary_path(target: Path, suffix: str = "partial") -> Path:
    """A new path in the target's folder with the hidden name `.NAME.XXXXXXXX.suffix`; XXXXXXXX is random."""
    return target.with_name(f".{target.name}.{os.urandom(4).hex()}.{suffix}")


def remove_abandoned_folders(target: Path, suffix: str) -> None:
    """Remove the temporary folders of `target` that no process has locked: the processes that made them were killed.

    suffix: the last part of the folders' names. Folders that cannot be opened are kept. Where locks are not supported,
    all folders are kept.
    """
    pattern = _pattern(target.name, suffix)
    try:
        abandoned = [entry for entry in target.parent.iterdir() if pattern.fullmatch(entry.name)]
    except OSError:
        return
    for folder in abandoned:
        if folder.is_symlink():
            continue
        try:
            lock = FolderLock(folder)
        except OSError:  # another process has locked the folder, or the folder cannot be opened
            continue
        if lock.enforced:
            remove(folder)
        lock.release()


def clear_partial_files(
    folder: Path, names: Collection[str], *, resumed: bool = False, remedy: str = "Choose another."
) -> None:
    """Remove the temporary files that a killed process left in a folder.

    names: the final names of these files, without the temporary parts. Raises OutputError with `remedy` if the folder
    holds anything but such temporary files, unless `resumed` is true.
    """
    with output_errors(folder):
        entries = set(folder.iterdir()) if folder.is_dir() else set()
    patterns = [_pattern(name, "partial") for name in names]
    partial = {entry for entry in entries if any(pattern.fullmatch(entry.name) for pattern in patterns)}
    if not resumed and exists_nonempty(folder) and not (partial and partial == entries):
        raise OutputError(str(folder), found="something there already", expected="a new folder", remedy=remedy)
    with output_errors(folder):
        for file in partial:
            file.unlink(missing_ok=True)


def exists_nonempty(path: Path) -> bool:
    """Whether there is a file, or a folder with entries, at `path`. Raises OutputError when a folder cannot be read."""
    with output_errors(path):
        return path.exists() and not (path.is_dir() and not any(path.iterdir()))


def remove(path: Path) -> None:
    """Remove a file, or a folder with all its content. Errors are ignored."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _pattern(name: str, suffix: str) -> re.Pattern[str]:
    """A regular expression for the names that `temporary_path` makes for a file or folder `name`."""
    return re.compile(rf"\.{re.escape(name)}\.[0-9a-f]{{8}}\.{suffix}")
