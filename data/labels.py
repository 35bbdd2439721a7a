"""Labels of images. A file or array that looks like labels is read, mentioned in a remark, or refused with an error."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..files.paths import list_folder
from ..images.folders import natural_order
from ..runtime.errors import InputError
from .images import LabelledImages

LABEL_PATTERN = re.compile(r"label|target|annotation|(^|[^a-z])y[-_. ]?(train|test|val)|^y$|^y[-_.]", re.IGNORECASE)
TABLE_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".mat", ".npy", ".npz", ".parquet", ".xml", ".txt", ".pkl")
MAX_DIGITS = 9  # sub-folder names with more digits are not read as numbers
MAX_COMPARED_DIGITS = 1000  # names with fewer digits are compared as integers, so that 1 and 01 are duplicates
MAX_LISTED = 10  # maximum number of class names in one message


def looks_like_labels(name: str) -> bool:
    """Whether the name of a file or an array suggests that it holds labels."""
    return LABEL_PATTERN.search(name) is not None


def matched(images: np.ndarray, labels: np.ndarray, images_name: str, labels_name: str) -> LabelledImages:
    """Combine images (n, ...) with their labels, int64 (n,).

    images_name, labels_name: the names of the arrays in messages. Raises InputError for another number of labels.
    """
    if len(labels) != len(images):
        expected = f"{len(images)}, as many as the images of {images_name}"
        raise InputError(labels_name, found=f"{len(labels)} labels", expected=expected)
    return LabelledImages(images, labels)


def encoded_labels(
    arrays: Mapping[str, np.ndarray], remarks: list[str]
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Turn the labels of the parts of one set into class indices, int64 (n,), and find the names of the classes.

    arrays: the stored labels of each part, by their name in messages. They may be whole numbers or floats with such
    values, (n,) or (n, 1); booleans; texts (n,), which are class names, or all whole numbers; or one-hot rows
    (n, classes). remarks: gets a sentence when one-hot rows are read. Returns the labels by the same names, and the
    class names, which are empty unless labels are texts. Raises InputError for other labels.
    """
    flat = {name: _flattened(array, name, remarks) for name, array in arrays.items()}
    is_text = [array.dtype.kind in "US" for array in flat.values()]
    if any(is_text) and not all(is_text):
        found = "texts in one part, and numbers in another"
        raise InputError(", ".join(flat), found=found, expected="labels of one kind")
    if not any(is_text):
        return {name: whole_numbers(array, name) for name, array in flat.items()}, ()
    texts = {name: _as_texts(array, name) for name, array in flat.items()}
    class_texts = [str(text) for text in np.unique(np.concatenate(list(texts.values())))]
    label_of, class_names = numbered_classes(class_texts, ", ".join(texts))
    stored = np.array([label_of[text] for text in class_texts], np.int64)
    return {name: stored[np.searchsorted(class_texts, array)] for name, array in texts.items()}, class_names


def _as_texts(array: np.ndarray, name: str) -> np.ndarray:
    """Texts (n,), from texts or ASCII bytes. Raises InputError for other bytes."""
    try:
        return array.astype(np.str_)
    except UnicodeDecodeError as error:
        raise InputError(name, found="bytes that are no text", expected="class names or whole numbers") from error


def _flattened(array: np.ndarray, name: str, remarks: list[str]) -> np.ndarray:
    """Labels (n,) from (n,), (n, 1) or one-hot rows. `remarks` gets a sentence for one-hot rows."""
    if array.ndim == 2 and array.shape[1] > 1 and array.dtype.kind in "biuf" and is_one_hot(array):
        remarks.append(f"{name}: one-hot rows of {array.shape[1]} columns are read as class indices")
        indices: np.ndarray = array.argmax(1)
        return indices
    flat = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if flat.ndim != 1 or flat.dtype.kind not in "biufUS":
        raise InputError(name, found=f"{array.dtype} of shape {array.shape}", expected="whole numbers (n,)")
    return flat


def whole_numbers(array: np.ndarray, name: str) -> np.ndarray:
    """Convert numbers (n,) of any type to int64. Raises InputError unless all are whole and below 2^63."""
    if array.dtype.kind == "f":
        rounded = np.rint(array)
        if not (np.isfinite(array).all() and np.array_equal(rounded, array) and (np.abs(array) < 2**53).all()):
            raise InputError(name, found="numbers that are not whole", expected="whole numbers as labels")
    if array.dtype == np.uint64 and len(array) and array.max() > np.iinfo(np.int64).max:
        raise InputError(name, found=f"the label {array.max()}", expected="labels below 2^63")
    return array.astype(np.int64)


def idx_labels(array: np.ndarray, source_name: str) -> np.ndarray:
    """Convert the array of an IDX file, (n,) or (n, columns), of any number type, to labels, int64 (n,).

    One-hot rows become class indices. If the rows are not one-hot and have several columns, the first column holds the
    class, as in QMNIST. Raises InputError for numbers that are not integers, and for other shapes.
    """
    if array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[1] == 0):
        expected = "labels (n,), or (n, k) with the class in the first column"
        raise InputError(source_name, found=f"shape {array.shape}", expected=expected)
    if array.ndim == 2:
        array = array.argmax(1) if array.shape[1] > 1 and is_one_hot(array) else array[:, 0]
    return whole_numbers(array, source_name)


def is_one_hot(array: np.ndarray) -> bool:
    """Whether every row of an array (n, k) holds a single 1 and otherwise zeros."""
    return len(array) > 0 and bool(((array == 0) | (array == 1)).all() and (array.sum(1) == 1).all())


def numbered_classes(names: Sequence[str], source_name: str) -> tuple[dict[str, int], tuple[str, ...]]:
    """Give each class a label. Returns the label of each name, and the class names in the order of their labels.

    If all names are integers, such as the sub-folders `0` to `10`, they are used as labels, and there are no class
    names. Otherwise all are numbered 0, 1, ... in natural order: `class2` before `class10`. Raises InputError for names
    that differ only in case, in Unicode normalization, or in leading zeros.
    """
    originals: dict[str, str] = {}  # maps the normalised form of a name to the name as it was written
    for name in names:
        is_number = re.fullmatch(r"[0-9]+", name) and len(name) < MAX_COMPARED_DIGITS
        normalised = str(int(name)) if is_number else unicodedata.normalize("NFC", name).casefold()
        if normalised in originals:
            found = f"classes {originals[normalised]} and {name}"
            remedy = "Merge them into one, or give them names that differ."
            raise InputError(source_name, found=found, expected="one name a class", remedy=remedy)
        originals[normalised] = name
    if all(re.fullmatch(f"[0-9]{{1,{MAX_DIGITS}}}", name) for name in names):
        return {name: int(name) for name in names}, ()
    ordered = sorted(names, key=natural_order)
    return {name: label for label, name in enumerate(ordered)}, tuple(ordered)


def unreadable_labels(source_name: str, found: str, expected: str) -> InputError:
    """The error for a file or array that looks like labels but cannot be read as labels."""
    remedy = "Without labels, train on a copy that holds the images alone."
    return InputError(source_name, found=found, expected=expected, remedy=remedy)


def label_like_paths(folder: Path, known: Sequence[Path]) -> list[Path]:
    """The files and sub-folders whose names suggest labels, except hidden ones and those in `known`."""
    return sorted(
        path
        for path in list_folder(folder)
        if path not in known and not path.name.startswith(".") and looks_like_labels(path.name)
    )


def unread_tables(folder: Path, known: Sequence[Path]) -> list[Path]:
    """The files with a suffix such as .csv that may describe images, except hidden files and those in `known`."""
    tables = (path for path in list_folder(folder) if path.suffix.lower() in TABLE_SUFFIXES)
    return sorted(path for path in tables if path not in known and not path.name.startswith("."))


def missing_classes(part: str, labels: np.ndarray, all_labels: np.ndarray, names: tuple[str, ...]) -> str | None:
    """A sentence that names the classes without images in a subset of a data set, or None if no class is missing.

    part: name of the subset in the sentence, such as "validation". labels: labels of the subset, int64 (n,).
    all_labels: the distinct labels of the whole data set, int64 (classes,). names: class names by label, or empty.
    """
    missing = np.setdiff1d(all_labels, labels).tolist()
    if not missing:
        return None
    missing_names = [names[label] if 0 <= label < len(names) else str(label) for label in missing]
    more = f" and {len(missing_names) - MAX_LISTED:,} more" if len(missing_names) > MAX_LISTED else ""
    return f"{part} has no image of class {', '.join(missing_names[:MAX_LISTED])}{more}"
