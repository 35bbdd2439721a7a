"""Read a folder with one `.npy` file for each class, as QuickDraw is published: the file names are the class names."""

import itertools
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..files.paths import is_file, list_folder
from ..files.sources import open_source
from ..images.array_files import UNNAMED
from ..images.folders import natural_order
from ..images.formats import NPY
from ..images.names import IMAGES
from ..runtime.errors import InputError
from .images import UnsplitDataset
from .labels import looks_like_labels
from .named_arrays import NamedArray, read_named_arrays
from .part_names import name_parts

MAX_LISTED = 10  # maximum number of names in one message
TRAIN = "train"  # a class of QuickDraw, and elsewhere the name of the training part


def holds_class_arrays(folder: Path) -> bool:
    """Whether a folder holds several `.npy` files and no `.npz` file, so that each file may be a class."""
    return len(_npy_paths(folder)) > 1 and not any(path.suffix.lower() == ".npz" for path in list_folder(folder))


def read_class_arrays(folder: Path) -> UnsplitDataset:
    """Read the `.npy` files of a folder as one labelled set. Each file is a class, and its name is the class name.

    Words that all names begin with, such as `full_numpy_bitmap_`, are removed. Raises InputError if the names state a
    part or the content, such as `train.npy`; if they differ only in a number, because the files may then be pieces of
    one set; and if the files differ in the size of the images or in the number type.
    """
    paths = _npy_paths(folder)
    names = _class_names(folder, paths)
    headers = [_header(path) for path in paths]
    first_axes, dtype = headers[0]
    for path, (axes, other) in zip(paths, headers, strict=True):
        if not axes or (axes[1:], other) != (first_axes[1:], dtype):
            found = f"{dtype} of shape {first_axes} in {paths[0].name}, and {other} of shape {axes} in {path.name}"
            raise InputError(str(folder), found=found, expected="images of one size and number type in all classes")
    labels = np.repeat(names, [axes[0] for axes, _ in headers])
    shape = (len(labels), *first_axes[1:])
    images = NamedArray(IMAGES, str(folder), shape, dtype, lambda: _joined(paths, shape, dtype))
    classes = NamedArray("labels", f"{folder}: file names", labels.shape, labels.dtype, lambda: labels)
    unsplit = read_named_arrays([images, classes], str(folder))
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    remark = f"{folder}: each .npy file is a class: {', '.join(names[:MAX_LISTED])}{more}"
    return replace(unsplit, remarks=(remark, *unsplit.remarks))


def _npy_paths(folder: Path) -> list[Path]:
    """The `.npy` files in a folder in natural order, without hidden ones."""
    paths = [path for path in list_folder(folder) if path.suffix.lower() == ".npy" and is_file(path)]
    return sorted((path for path in paths if not path.name.startswith(".")), key=lambda path: natural_order(path.stem))


def _class_names(folder: Path, paths: list[Path]) -> list[str]:
    """The class name of each file: its name without what all names begin with. Raises InputError for unclear names."""
    stems = [path.stem for path in paths]
    same = itertools.takewhile(lambda letters: len({*letters}) == 1, zip(*stems, strict=False))
    prefix = re.sub(r"[^-_.]*$", "", "".join(letters[0] for letters in same))
    names = [stem.removeprefix(prefix) for stem in stems]
    names = names if all(names) else stems
    listed = f"files {', '.join(path.name for path in paths[:MAX_LISTED])}"
    parts = [name for name in names if name_parts(name).part is not None]
    if any(name_parts(stem).content is not None or looks_like_labels(stem) for stem in stems) or not (
        not parts or (parts == [TRAIN] and len(names) > 2)
    ):
        expected = "names with part and content, such as train-images.npy, or a file for each class, named after it"
        raise InputError(str(folder), found=listed, expected=expected)
    if len({re.sub("[0-9]+", "", name) for name in names}) == 1:
        remedy = (
            "Name each file after its class, or join the pieces: "
            "np.save('images.npy', np.concatenate([np.load(file) for file in files]))."
        )
        found = f"{listed}, which may be classes, or pieces of one set"
        raise InputError(str(folder), found=found, expected="names that show which", remedy=remedy)
    return names


def _header(path: Path) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of the array of a `.npy` file."""
    with open_source(path, (NPY,)) as source:
        return source.format.open(source).header(UNNAMED)


def _joined(paths: list[Path], shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """The rows of the arrays of all files, one after the other, in an array of this shape and dtype."""
    joined, start = np.empty(shape, dtype), 0
    for path in paths:
        with open_source(path, (NPY,)) as source:
            rows = source.format.open(source).rows(UNNAMED)
            joined[start : start + len(rows)] = rows
        start += len(rows)
    return joined
