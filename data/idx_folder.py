"""A folder of IDX files, as MNIST and the sets that follow it are published."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..images.idx import read_idx
from ..runtime.errors import InputError, NotFoundError, ShapeError
from .downloads import IDX_FILES
from .images import Found, LabelledImages, check_images, levels
from .labels import idx_labels, label_like, labelled, not_understood

# train-images-idx3-ubyte.gz, t10k-labels.idx1-ubyte, qmnist-train-labels-idx2-int.gz, X_kannada_MNIST_test-idx3-ubyte
NAME = re.compile(r"(?P<words>.+?)[-._]idx[0-9]?([-._](ubyte|byte|short|int|float|double))?(\.gz)?", re.IGNORECASE)
TRAINING, TEST = ("train", "training"), ("t10k", "test", "testing")
IMAGES, LABELS = ("images", "image", "imgs", "img", "x"), ("labels", "label", "targets", "target", "y")
PUBLISHED = "labels in an IDX file named as MNIST's"


@dataclass(frozen=True)
class _File:
    """An IDX file by the words of its name. part: "train" or "test". what: "images" or "labels"."""

    path: Path
    of: str
    part: str
    what: str


def has_idx(folder: Path) -> bool:
    """Whether a folder holds IDX files, by their names."""
    return bool(_idx_files(folder))


def read_idx_folder(folder: Path) -> Found:
    """Training and test images of a folder of IDX files; a test set may be missing, and so may labels.

    Raises NotFoundError without training images, InputError for files of several sets, for damaged ones, and where a
    file looks like the labels of images that would have none without it.
    """
    named = _idx_files(folder)
    files: dict[tuple[str, str], Path] = {}
    for file in named:
        files.setdefault((file.part, file.what), file.path)
    sets = {file.of for file in named}
    if len(sets) > 1:
        found = f"files of several sets: {', '.join(sorted(one or IDX_FILES[0] for one in sets))}"
        raise InputError(
            str(folder), found=found, expected="those of one", remedy="Put each set in a folder of its own."
        )
    if ("train", "images") not in files:
        found = ", ".join(file.name for file in files.values())
        raise NotFoundError(str(folder), found=found, expected=f"{IDX_FILES[0]}, compressed or not")
    unread = label_like(folder, [file.path for file in named])
    for part in ("train", "test"):
        if (part, "images") in files and (part, "labels") not in files:
            _refuse_labels(unread, part)
    remarks = [f"{file} is not read, for there are labels already" for file in unread]
    training, remark = _read_pair(files, "train")
    test, test_remark = _read_pair(files, "test") if ("test", "images") in files else (None, None)
    if test is None and ("test", "labels") in files:
        test_remark = f"{files['test', 'labels']} is not read, for there are no images to it"
    remarks += [one for one in (remark, test_remark) if one]
    return Found(training, test, remarks=tuple(remarks), shuffle="if needed")


def _idx_files(folder: Path) -> list[_File]:
    found = []
    for path in sorted(folder.iterdir()):
        match = NAME.fullmatch(path.name)
        if match is None or not path.is_file():
            continue
        words = [word for word in re.split(r"[-._ ]+", match["words"].lower()) if word]
        part = "test" if any(word in TEST for word in words) else "train"
        what = next((what for what, known in (("images", IMAGES), ("labels", LABELS)) if set(words) & {*known}), None)
        if what is not None:
            rest = [word for word in words if word not in (*TRAINING, *TEST, *IMAGES, *LABELS)]
            found.append(_File(path, "-".join(rest), part, what))
    return found


def _refuse_labels(unread: list[Path], part: str) -> None:
    """Raise InputError where a file looks like the labels of a part that has none."""
    for path in unread:
        words = set(re.split(r"[-._ ]+", path.name.lower()))
        other = TEST if part == "train" else TRAINING
        if not words & {*other}:
            what = "a folder" if path.is_dir() else "a file that looks like labels and is no IDX file"
            raise not_understood(str(path), what, PUBLISHED)


def _read_pair(files: dict[tuple[str, str], Path], part: str) -> tuple[LabelledImages, str | None]:
    """Images and labels of one part, and what to say of them."""
    images_file, labels_file = files[part, "images"], files.get((part, "labels"))

    def accept(axes: tuple[int, ...], dtype: np.dtype) -> None:
        if len(axes) != 3:
            raise ShapeError(str(images_file), found=f"{len(axes)} axes", expected="3 (images, rows, columns)")
        check_images(axes, dtype, str(images_file))

    images = levels(read_idx(images_file, str(images_file), accept=accept), str(images_file))
    if images_file.name.startswith("emnist"):  # published with rows and columns exchanged
        images = np.ascontiguousarray(images.swapaxes(1, 2))
    if labels_file is None:
        return LabelledImages(images), None
    stored = read_idx(labels_file, str(labels_file))
    columns = stored.shape[1] if stored.ndim == 2 else 1
    remark = f"{labels_file}: the first of {columns} columns is taken for the class" if columns > 1 else None
    pair = labelled(images, idx_labels(stored, str(labels_file)), str(images_file), str(labels_file))
    return pair, remark
