"""Unpack zip and tar archives into a temporary folder, with limits on what an archive may hold."""

import lzma
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..runtime.errors import AegenError, InputError, OutputError
from .paths import is_file, reason
from .sources import read_head

MAX_UNPACKED_BYTES = 2**35  # limit on the bytes of all files of an archive together
MAX_MEMBERS = 5_000_000  # limit on the number of files of an archive
HEAD_BYTES = 262  # bytes at the start of a file from which a zip or tar archive is recognised
IGNORED_FOLDERS = ("__MACOSX",)  # folders that macOS adds to archives
TAR_SUFFIXES = (".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")
DAMAGE_ERRORS = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, NotImplementedError)


@dataclass(frozen=True)
class Limits:
    """Limits on an archive: the number of its files, and their total size in bytes."""

    members: int = MAX_MEMBERS
    bytes: int = MAX_UNPACKED_BYTES

    def check(self, members: int, total: int, source_name: str) -> None:
        """Raise InputError if an archive exceeds a limit.

        members: the number of its files. total: their size in bytes. source_name: the archive's name.
        """
        if members > self.members or total > self.bytes:
            found = f"more than {self.members:,} files" if members > self.members else f"more than {self.bytes:,} bytes"
            remedy = "Unpack it, and give its folder."
            raise InputError(source_name, found=found, expected="at most that", remedy=remedy)


DEFAULT_LIMITS = Limits()


def is_archive(path: str | Path) -> bool:
    """Whether there is a zip or tar file at the path, compressed or not. A zip of arrays (`.npz`) does not count."""
    if not is_file(path):
        return False
    head = read_head(path, HEAD_BYTES)
    if head.startswith(b"PK"):
        return zipfile.is_zipfile(path) and not _is_npz(path)
    compressed = head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ"))
    if head[257:] != b"ustar" and not compressed and not str(path).lower().endswith(TAR_SUFFIXES):
        return False
    try:
        return tarfile.is_tarfile(path)
    except (OSError, *DAMAGE_ERRORS):  # the file holds something else, or is damaged
        return str(path).lower().endswith(TAR_SUFFIXES)


def _is_npz(path: str | Path) -> bool:
    """Whether a zip archive holds arrays as numpy stores them: only `.npy` files, or a name that ends in `.npz`."""
    if str(path).lower().endswith(".npz"):
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except DAMAGE_ERRORS:
        return False
    return all(name.endswith(".npy") and "/" not in name for name in names)


@contextmanager
def unpacked(path: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[Path]:
    """Unpack an archive into a temporary folder, which is deleted when the block ends. Yields the folder.

    Only regular files are unpacked; links, hidden files, and files whose name leads out of the folder are left out.
    Errors that are raised while the folder is in use name the archive in place of the folder. Raises InputError when
    the archive is damaged, is encrypted or holds more than `limits`, and OutputError when there is no space for it.
    """
    with tempfile.TemporaryDirectory(prefix="aegen-") as name:
        try:
            _unpack(path, Path(name), limits)
        except DAMAGE_ERRORS as error:
            raise InputError(f"{path} is damaged", found=error, expected="a whole archive") from error
        except RuntimeError as error:  # zipfile raises RuntimeError for encrypted files
            raise InputError(str(path), found=error, expected="an archive without a password") from error
        except OSError as error:
            remedy = "Set TMPDIR to a folder on a disk with more space."
            raise OutputError(tempfile.gettempdir(), found=reason(error), expected="space", remedy=remedy) from error
        try:
            yield Path(name)
        except AegenError as error:
            raise error.renamed(name, str(path)) from error


def _unpack(path: Path, folder: Path, limits: Limits) -> None:
    """Unpack an archive into an existing folder. Before files are written, the sizes that it states are checked."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir() and _is_wanted(entry.filename)]
            # zipfile never writes more bytes than an entry states, so the stated sizes are enough for the check.
            limits.check(len(entries), sum(entry.file_size for entry in entries), str(path))
            for entry in entries:
                archive.extract(entry, folder)
        return
    members = total = 0
    with tarfile.open(path) as tar:
        for member in tar:
            members, total = members + 1, total + member.size
            limits.check(members, total, str(path))
            if member.isreg() and _is_wanted(member.name):
                tar.extract(member, folder, set_attrs=False, filter="data")


def _is_wanted(name: str) -> bool:
    """Whether a file of an archive is unpacked. name: its name within the archive."""
    path = PurePosixPath(name)
    if path.is_absolute() or any(letter in name for letter in "\\:\0"):
        return False
    return not any(part.startswith(".") or part in IGNORED_FOLDERS for part in path.parts)
