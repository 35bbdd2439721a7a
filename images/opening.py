"""Open files and pipes of images, and refuse an archive or a table that comes through a pipe."""

import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..files.paths import is_pipe
from ..files.sources import SAVE_REMEDY, FileFormat, Source, format_names, open_source
from ..files.unpacking import DAMAGE_ERRORS
from ..runtime.errors import InputError
from .formats import IDX, NPZ, READABLE_FORMATS

# What is read from a file, but not from a pipe. The first bytes of a tar file are the name of a file in it.
PACKED_FORMATS = (
    FileFormat("an archive", (b"ustar",), offset=257),
    FileFormat("an archive", (b"BZh", b"\xfd7zXZ")),
    FileFormat("a Parquet table", (b"PAR1",)),
)


@contextmanager
def open_images(path: str | Path) -> Iterator[Source[FileFormat]]:
    """Open a file, a pipe or standard input (`-`) in one of READABLE_FORMATS.

    Raises the errors of `open_source`, and InputError for an archive or a Parquet table in a pipe.
    """
    in_pipe = is_pipe(str(path))
    with open_source(path, READABLE_FORMATS, refused=PACKED_FORMATS if in_pipe else ()) as source:
        if in_pipe and _is_archive(source):
            raise InputError(
                source.name, found="an archive", expected=format_names(READABLE_FORMATS), remedy=SAVE_REMEDY
            )
        yield source


def _is_archive(source: Source[FileFormat]) -> bool:
    """Whether a zip holds no arrays, or a gzip holds a tar archive."""
    archive = False
    try:
        if source.format is NPZ and zipfile.is_zipfile(source.stream):
            with zipfile.ZipFile(source.stream) as file:
                archive = not any(name.endswith(".npy") for name in file.namelist())
        elif source.format is IDX:
            archive = tarfile.is_tarfile(source.stream)
    except (OSError, *DAMAGE_ERRORS):  # a damaged file, whose reader reports the damage
        archive = False
    source.stream.seek(0)
    return archive
