"""Temporary files and folders beside an output, and the removal of those that a killed process left behind."""

import contextlib
import os
import re
import shutil
from collections.abc import Collection
from pathlib import Path

from ..runtime.errors import OutputError
from .locks import FolderLock
from .output_errors import output_errors

unfinished_paths: set[Path] = set()  # temporary files and folders that this process is writing


def temporary_path(target: Path, suffix: str = "partial") -> Path:
    """A new hidden name beside the target: `.NAME.XXXXXXXX.suffix`."""
    return target.with_name(f".{target.name}.{os.urandom(4).hex()}.{suffix}")


def remove_abandoned_folders(target: Path, suffix: str) -> None:
    """Remove the temporary folders of `target` that no process has locked. Folders that cannot be opened are kept."""
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
        except OSError:  # another process has locked it, or it cannot be opened
            continue
        if lock.enforced:
            remove(folder)
        lock.release()


def clear_partial_files(
    folder: Path, names: Collection[str], *, resumed: bool = False, remedy: str = "Choose another."
) -> None:
    """Remove temporary files that a killed process left in a folder. names: the names of the finished files.

    Raises OutputError with `remedy` if the folder holds anything else, unless `resumed` is on.
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
    """Whether `path` is a file or a folder that is not empty. Raises OutputError when the folder cannot be read."""
    with output_errors(path):
        return path.exists() and not (path.is_dir() and not any(path.iterdir()))


def remove(path: Path) -> None:
    """Remove a folder or a file. Errors of the system are ignored."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _pattern(name: str, suffix: str) -> re.Pattern[str]:
    """The pattern that matches the names made by `temporary_path`."""
    return re.compile(rf"\.{re.escape(name)}\.[0-9a-f]{{8}}\.{suffix}")
