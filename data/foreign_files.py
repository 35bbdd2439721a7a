"""Recognise files that hold images in a format that is not read, and say how to convert them."""

import zipfile
from pathlib import Path

from ..files.paths import is_file, list_folder
from ..files.sources import read_head
from ..runtime.errors import InputError

PICKLE_SUFFIXES = (".pkl", ".pickle", ".pk", ".p", ".pt", ".pth", ".joblib")
PICKLE_HEADS = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
MATLAB_HEADS = (b"MATLAB 5.0", b"MATLAB 7.3")
HDF5_HEAD = b"\x89HDF"
CIFAR_ROW_BYTES = (3073, 3074, 27648)  # bytes of an image: in CIFAR-10 and CIFAR-100 with labels, in STL-10 without
HEAD_BYTES = 16
PAGE = "The page data.md of the documentation shows how, in five lines."
MAX_CHECKED_FILES = 100  # maximum number of files of a folder that are checked


def refuse_foreign(path: Path) -> None:
    """Raise InputError if a file is a pickle, a MATLAB, HDF5 or CIFAR file. None of these files is read as a whole."""
    if not is_file(path):
        return
    head, size = read_head(path, HEAD_BYTES), path.stat().st_size
    if _is_pickle(path, head):
        remedy = (
            "A pickle runs any program that is hidden in it, so aegen opens none. If you trust its source, convert it: "
            f"np.savez('images.npz', images=..., labels=...). {PAGE}"
        )
        raise InputError(str(path), found="a pickle", expected="images, which hold no programs", remedy=remedy)
    kind = None
    if head.startswith(MATLAB_HEADS):
        kind = "a MATLAB file"
    elif head.startswith(HDF5_HEAD):
        kind = "an HDF5 file"
    elif path.suffix.lower() == ".bin" and size and any(size % row == 0 for row in CIFAR_ROW_BYTES):
        kind = "a binary file without a header, such as CIFAR's"
    if kind is not None:
        remedy = f"Convert it: np.savez('images.npz', images=..., labels=...). {PAGE}"
        raise InputError(str(path), found=kind, expected="a format that is read", remedy=remedy)


def refuse_foreign_folder(folder: Path) -> None:
    """Raise InputError if a folder, which has no readable images, holds a file that `refuse_foreign` refuses."""
    for path in sorted(list_folder(folder))[:MAX_CHECKED_FILES]:
        refuse_foreign(path)


def _is_pickle(path: Path, head: bytes) -> bool:
    """Whether a file is a pickle, by its first bytes or the end of its name, or a torch archive, which holds one."""
    if head.startswith(PICKLE_HEADS) or path.suffix.lower() in PICKLE_SUFFIXES:
        return True
    if not head.startswith(b"PK"):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/data.pkl") for name in archive.namelist())
    except zipfile.BadZipFile:
        return False
