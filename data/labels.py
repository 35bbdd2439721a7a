"""Labels: what looks like them is read, or refused by name; it is never left out without a word."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..images.image_files import natural_order
from ..runtime.errors import InputError
from .images import LabelledImages

LABEL_NAMES = ("labels", "label", "targets", "target", "y")  # arrays that are taken for labels, in any case
LOOKS_LIKE_LABELS = re.compile(r"label|target|annotation|(^|[^a-z])y[-_. ]?(train|test|val)|^y$|^y[-_.]", re.IGNORECASE)
TABLES = (".csv", ".tsv", ".json", ".jsonl", ".mat", ".npy", ".npz", ".parquet", ".xml", ".txt", ".pkl")
MAX_NUMBER = 9  # digits of a sub-folder's name that is read as a number
MAX_LISTED = 10  # names in one message


def looks_like_labels(name: str) -> bool:
    """Whether a file or an array of this name probably holds labels."""
    return LOOKS_LIKE_LABELS.search(name) is not None


def labelled(images: np.ndarray, labels: np.ndarray, images_name: str, labels_name: str) -> LabelledImages:
    """Images (n, ...) with their labels: whole numbers (n,) or (n, 1). Raises InputError for any others."""
    plain = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if plain.ndim != 1 or plain.dtype.kind not in "iu":
        raise InputError(labels_name, found=f"{labels.dtype} of shape {labels.shape}", expected="whole numbers (n,)")
    if len(plain) != len(images):
        expected = f"{len(images)}, as many as the images of {images_name}"
        raise InputError(labels_name, found=f"{len(plain)} labels", expected=expected)
    if plain.dtype == np.uint64 and len(plain) and plain.max() > np.iinfo(np.int64).max:
        raise InputError(labels_name, found=f"the label {plain.max()}", expected="labels below 2^63")
    return LabelledImages(images, plain.astype(np.int64))


def idx_labels(array: np.ndarray, where: str) -> np.ndarray:
    """The labels of an IDX file, whole numbers (n,), of whatever type they are stored as.

    Of an array (n, k), as QMNIST has it, the first column is the class. Raises InputError for fractions, for one-hot
    rows, and for more axes.
    """
    if array.ndim == 2 and array.shape[1] > 1 and not _is_one_hot(array):
        array = array[:, 0]
    if array.dtype.kind == "f":
        whole = np.rint(array)
        if not (np.isfinite(array).all() and np.array_equal(whole, array) and (np.abs(array) < 2**53).all()):
            raise InputError(where, found="numbers that are not whole", expected="whole numbers as labels")
        array = whole.astype(np.int64)
    if array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[1] != 1):
        found = "one-hot rows" if array.ndim == 2 else f"shape {array.shape}"
        raise InputError(where, found=found, expected="labels (n,), or (n, k) with the class in the first column")
    return array.reshape(-1)


def _is_one_hot(array: np.ndarray) -> bool:
    return len(array) > 0 and bool(((array == 0) | (array == 1)).all() and (array.sum(1) == 1).all())


def numbered(names: Sequence[str], where: str) -> tuple[dict[str, int], tuple[str, ...]]:
    """Labels of class names, and the names by label where they are more than numbers.

    Names that are all whole numbers, as the sub-folders `0` to `10`, are these numbers, and there are no names to keep.
    Any others are numbered 0, 1, ... in natural order, `class2` before `class10`, and kept. Raises InputError for names
    that differ only by case, by the way their letters are encoded, or by zeros before a number.
    """
    seen: dict[str, str] = {}
    for name in names:
        digits = re.fullmatch(r"[0-9]+", name)
        same = str(int(name)) if digits and len(name) < 1000 else unicodedata.normalize("NFC", name).casefold()
        if same in seen:
            remedy = "Put them into one, or give them names that differ."
            raise InputError(
                where, found=f"sub-folders {seen[same]} and {name}", expected="one name a class", remedy=remedy
            )
        seen[same] = name
    if all(re.fullmatch(f"[0-9]{{1,{MAX_NUMBER}}}", name) for name in names):
        return {name: int(name) for name in names}, ()
    ordered = sorted(names, key=natural_order)
    return {name: label for label, name in enumerate(ordered)}, tuple(ordered)


def not_understood(where: str, found: str, expected: str) -> InputError:
    """The error for what looks like labels and cannot be read as them."""
    remedy = "Without labels, train on a copy that holds the images alone."
    return InputError(where, found=found, expected=expected, remedy=remedy)


def label_like(folder: Path, known: Sequence[Path]) -> list[Path]:
    """What lies in a folder, looks like labels and is not among the files that are known; hidden files do not count."""
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry not in known and not entry.name.startswith(".") and looks_like_labels(entry.name)
    )


def unread_tables(folder: Path, known: Sequence[Path]) -> list[Path]:
    """Other files of a folder that may say something of its images, by their suffix; hidden files do not count."""
    found = (entry for entry in folder.iterdir() if entry.suffix.lower() in TABLES and not entry.name.startswith("."))
    return sorted(entry for entry in found if entry not in known)


def missing_classes(part: str, own: np.ndarray, every: np.ndarray, names: tuple[str, ...]) -> str | None:
    """A sentence that says which classes a part of a set has no image of, or None."""
    missing = np.setdiff1d(every, own).tolist()
    if not missing:
        return None
    named = [names[label] if 0 <= label < len(names) else str(label) for label in missing]
    more = f" and {len(named) - MAX_LISTED:,} more" if len(named) > MAX_LISTED else ""
    return f"{part} has no image of class {', '.join(named[:MAX_LISTED])}{more}"
