"""Files that appear whole or not at all: written under a temporary name beside the target, then renamed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .errors import NotFoundError, OutputError


@contextmanager
def new_file(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file that becomes `path` when the block ends well and vanishes when it does not.

    A device or pipe (`/dev/stdout`) is written in place: renaming over it would replace it by a plain file.
    Raises NotFoundError when the folder to hold it does not exist, OutputError when `path` is a folder.
    """
    if Path(path).is_dir():
        raise OutputError(str(path), found="a folder", expected="a file's name")
    if Path(path).exists() and not Path(path).is_file():
        with Path(path).open("wb") as stream:
            yield stream
        return
    target = require_parent(path)
    partial = _partial_name(target)
    try:
        with partial.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def new_folder(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """An empty temporary folder that becomes `path` when the block ends well and vanishes when it does not.

    Raises OutputError when `path` is taken (an empty folder is not) and overwrite is off. With overwrite on, the old
    folder is moved aside, the new one renamed into its place, and the old one deleted: at no moment is there a mixture.
    """
    target = require_parent(path)
    if not overwrite and taken(target):
        raise _is_taken(path)
    partial = _partial_name(target)
    try:
        partial.mkdir()  # in here, for a signal may come the moment that it is there
        yield partial
        if overwrite and taken(target):
            _exchange(partial, target)
        else:
            try:
                partial.replace(target)
            except OSError as error:  # somebody has put something there meanwhile
                raise _is_taken(path) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a whole file atomically."""
    with new_file(path) as stream:
        stream.write(content)


def taken(path: Path) -> bool:
    """Whether `path` is a file or a folder with something in it."""
    return path.exists() and not (path.is_dir() and not any(path.iterdir()))


def require_parent(path: str | Path) -> Path:
    """The path that a file or folder will have, links followed. Raises NotFoundError when its parent is not there."""
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise NotFoundError(str(target.parent), found="no such folder", remedy="Create it, or write somewhere else.")
    return target


def _exchange(partial: Path, target: Path) -> None:
    aside = _partial_name(target)
    target.replace(aside)
    try:
        partial.replace(target)
    except BaseException:
        aside.replace(target)
        raise
    shutil.rmtree(aside) if aside.is_dir() else aside.unlink()


def _is_taken(path: str | Path) -> OutputError:
    return OutputError(str(path), found="something there already", expected="a free name", remedy="Choose another.")


def _partial_name(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.urandom(4).hex()}.partial")
