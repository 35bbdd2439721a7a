"""Read a folder of IDX files, the file format in which MNIST and data sets modelled on it are published."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ..files.paths import is_file, is_folder, list_folder
from ..images.array_checks import check_images
from ..images.array_layouts import grey_numbers
from ..images.idx import idx_header, open_idx, read_idx
from ..runtime.errors import InputError, NotFoundError, ShapeError
from .downloads import IDX_FILES
from .images import LabelledImages, UnsplitDataset, as_uint8
from .labels import idx_labels, is_one_hot, label_like_paths, matched, unreadable_labels
from .part_names import CONTENT_WORDS, PART_WORDS, SEPARATORS, Content

# Pattern of the names of IDX files, such as train-images-idx3-ubyte.gz, t10k-labels.idx1-ubyte,
# qmnist-train-labels-idx2-int.gz and X_kannada_MNIST_test-idx3-ubyte.
FILE_NAME = re.compile(r"(?P<words>.+?)[-._]idx[0-9]?([-._](ubyte|byte|short|int|float|double))?(\.gz)?", re.IGNORECASE)
TRAINING_WORDS, TEST_WORDS = PART_WORDS["train"], PART_WORDS["test"]
IMAGE_WORDS, LABEL_WORDS = CONTENT_WORDS["images"], CONTENT_WORDS["labels"]
ALL_WORDS = (*TRAINING_WORDS, *TEST_WORDS, *IMAGE_WORDS, *LABEL_WORDS)

Part = Literal["train", "test"]
PartFiles = dict[tuple[Part, Content], Path]


@dataclass(frozen=True)
class _NamedFile:
    """An IDX file, classified by the words in its name.

    part: "test" if the name has a word such as `test`, else "train". content: given by a word such as `images` or
    `labels`. set_name: the other words.
    """

    path: Path
    set_name: str
    part: Part
    content: Content


def has_idx(folder: Path) -> bool:
    """Whether a folder holds files named like IDX files. Raises InputError when the folder cannot be read."""
    return bool(_named_files(folder))


def read_idx_folder(folder: Path) -> UnsplitDataset:
    """Read the training and test images in a folder of IDX files; a test set and labels are optional.

    Raises NotFoundError without training images; InputError for files of several sets, for damaged files, and for
    images without labels beside a file that looks like their labels.
    """
    named = _named_files(folder)
    files: PartFiles = {}
    for file in named:
        files.setdefault((file.part, file.content), file.path)
    set_names = {file.set_name for file in named}
    if len(set_names) > 1:
        found = f"files of several sets: {', '.join(sorted(name or IDX_FILES[0] for name in set_names))}"
        remedy = "Put each set in a folder of its own."
        raise InputError(str(folder), found=found, expected="those of one", remedy=remedy)
    if ("train", "images") not in files:
        found = ", ".join(path.name for path in files.values())
        raise NotFoundError(str(folder), found=found, expected=f"{IDX_FILES[0]}, compressed or not")
    unread = label_like_paths(folder, [file.path for file in named])
    if ("train", "labels") not in files:
        _refuse_labels(unread, other_part=TEST_WORDS)
    if ("test", "images") in files and ("test", "labels") not in files:
        _refuse_labels(unread, other_part=TRAINING_WORDS)
    remarks = [f"{path} is not read, because there are labels already" for path in unread]
    training = _read_part(files, "train", remarks)
    test = _read_part(files, "test", remarks) if ("test", "images") in files else None
    if test is None and ("test", "labels") in files:
        remarks.append(f"{files['test', 'labels']} is not read, because there are no images for it")
    return UnsplitDataset(training, test, remarks=tuple(remarks), shuffle="if needed")


def _named_files(folder: Path) -> list[_NamedFile]:
    """The IDX files in a folder, found and classified by their names."""
    files = []
    for path in sorted(list_folder(folder)):
        match = FILE_NAME.fullmatch(path.name)
        if match is None or (found := _file_at(path)) is None:
            continue
        path = found  # noqa: PLW2901
        words = [word for word in SEPARATORS.split(match["words"].lower()) if word]
        part: Part = "test" if any(word in TEST_WORDS for word in words) else "train"
        set_name = "-".join(word for word in words if word not in ALL_WORDS)
        if set(words) & {*IMAGE_WORDS}:
            files.append(_NamedFile(path, set_name, part, "images"))
        elif set(words) & {*LABEL_WORDS}:
            files.append(_NamedFile(path, set_name, part, "labels"))
    return files


def _file_at(path: Path) -> Path | None:
    """The file at a path, or in a folder of this name the file of the same name; Kaggle publishes MNIST in this way.

    None if neither file exists.
    """
    inner = path / path.name
    return path if is_file(path) else inner if is_folder(path) and is_file(inner) else None


def _refuse_labels(unread: list[Path], other_part: tuple[str, ...]) -> None:
    """Raise InputError if an unread file may hold the missing labels of the training images or of the test images.

    unread: paths of files that look like labels and are not read. other_part: words that
    mark a test file if training labels are missing, or a training file if test labels are missing. A file with one of
    these words in its name causes no error.
    """
    for path in unread:
        if not {*SEPARATORS.split(path.name.lower())} & {*other_part}:
            found = "a folder" if is_folder(path) else "a file that looks like labels and is no IDX file"
            raise unreadable_labels(str(path), found, "labels in an IDX file named as MNIST's")


def _read_part(files: PartFiles, part: Part, remarks: list[str]) -> LabelledImages:
    """Read the training or test images and their labels. `remarks` gets a sentence if labels have several columns."""
    images_path, labels_path = files[part, "images"], files.get((part, "labels"))
    with open_idx(images_path) as stream:
        axes, dtype = idx_header(stream, str(images_path))
        if len(axes) != 3:
            raise ShapeError(str(images_path), found=f"{len(axes)} axes", expected="3 (images, rows, columns)")
        check_images(axes, dtype, str(images_path))
        images = grey_numbers(read_idx(stream, str(images_path)), str(images_path), remarks.append)
        images = as_uint8(images, str(images_path))
    if images_path.name.startswith("emnist"):  # EMNIST is published with the rows and columns of images exchanged
        images = np.ascontiguousarray(images.swapaxes(1, 2))
    if labels_path is None:
        return LabelledImages(images)
    with open_idx(labels_path) as stream:
        stored = read_idx(stream, str(labels_path))
    columns = stored.shape[1] if stored.ndim == 2 else 1
    if columns > 1:
        read_as = "the first of {} columns is taken for the class"
        if is_one_hot(stored):
            read_as = "one-hot rows of {} columns are read as class indices"
        remarks.append(f"{labels_path}: {read_as.format(columns)}")
    return matched(images, idx_labels(stored, str(labels_path)), str(images_path), str(labels_path))
