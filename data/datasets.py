"""Pictures to train on: a well-known set by name, or whatever a person has in a file or a folder."""

import functools
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..runtime.arrays import read_npz
from ..runtime.errors import InputError, NotFoundError, ShapeError
from ..runtime.idx import read_idx
from ..runtime.manifest import DataSpec
from ..runtime.pictures import IMAGE_SUFFIXES, images_in, read_image_files, read_pictures
from ..runtime.pixels import Shape, grey_levels, unit_pixels
from .downloads import IDX_FILES, KNOWN, KnownSet, download

LARGEST_VALIDATION = 10_000
FEWEST = 6  # pictures: one in six is held out


@dataclass(frozen=True)
class Pictures:
    """images: uint8 (n, H, W) grey or (n, H, W, 3) colour. labels: int64 (n,), or None where there are none."""

    images: np.ndarray
    labels: np.ndarray | None = None

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the pictures' bytes."""
        return hashlib.sha256(np.ascontiguousarray(self.images).data).hexdigest()

    @property
    def shape(self) -> Shape:
        """(C, H, W) of one picture."""
        height, width, *channels = self.images.shape[1:]
        return (channels[0] if channels else 1, height, width)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice) -> "Pictures":
        return Pictures(self.images[rows], None if self.labels is None else self.labels[rows])


@dataclass(frozen=True)
class Dataset:
    """Pictures split for training, and what is known of them. Without a test set of its own, `test` is `validation`."""

    facts: DataSpec
    train: Pictures
    validation: Pictures
    test: Pictures

    @property
    def shape(self) -> Shape:
        """(C, H, W) of one picture."""
        return self.train.shape


def load(data: str) -> Dataset:
    """The data set `data`: one of the names in KNOWN, or a path.

    A path may be a folder with IDX files, as MNIST is published (gzip or not); an `.npz` with `images` and, if there
    are any, `labels`; an `.npy`; a folder of pictures whose sub-folders are labels; or a folder of pictures.
    Validation is the last 10,000 training pictures, or the last sixth where that is fewer; a
    folder's pictures are first put in a fixed random order, for its end would hold one label only.
    Raises NotFoundError, InputError or ShapeError, naming the file, what was found in it and what was expected.
    """
    path = Path(data)
    if data in KNOWN:
        return _split(*_read_known(KNOWN[data]), data, KNOWN[data])
    if path.is_dir() and _has_idx(path):
        return _split(*_read_idx_folder(path), data)
    if path.is_dir():
        return _split(_read_picture_folder(path), None, data)
    if path.suffix.lower() == ".npz":
        return _split(_read_arrays(path), None, data)
    return _split(Pictures(_levels(_read_file(data), data)), None, data)


def _read_known(known: KnownSet) -> tuple[Pictures, Pictures | None]:
    folder = download(known)
    training, test = _read_idx_folder(folder)
    if known.pictures is not None and known.pictures != training.fingerprint:
        remedy = "Delete the folder, and it is downloaded again."
        raise InputError(str(folder), found="other pictures", expected=f"those of {known.name}", remedy=remedy)
    return training, test


def _split(training: Pictures, test: Pictures | None, data: str, known: KnownSet | None = None) -> Dataset:
    known = known or _recognised(training)
    if len(training) < FEWEST:
        raise InputError(data, found=f"{len(training)} pictures", expected=f"at least {FEWEST}")
    if test is not None and test.images.shape[1:] != training.images.shape[1:]:
        found = f"test pictures of shape {test.images.shape[1:]}"
        raise ShapeError(data, found=found, expected=f"{training.images.shape[1:]}, as the training pictures have")
    held_out = min(LARGEST_VALIDATION, len(training) // FEWEST)
    cut = len(training) - held_out
    facts = DataSpec(
        name=known.name if known else re.sub(r"[^\w.-]+", "-", Path(data).resolve().name),
        licence=known.licence if known else "not stated",
        source=known.source if known else "the user's own pictures",
        training_pictures=cut,
        validation_pictures=held_out,
        labelled=training.labels is not None,
        sha256=training.fingerprint,
    )
    validation = training[cut:]
    return Dataset(facts, training[:cut], validation, validation if test is None else test)


def _recognised(training: Pictures) -> KnownSet | None:
    """The well-known set that these pictures are, so that its name and licence go on with what is trained on them."""
    return next((known for known in KNOWN.values() if known.pictures == training.fingerprint), None)


IDX_NAME = re.compile(r"(?P<set>.*)(?P<part>train|t10k|test)-(?P<what>images|labels)[.-]idx[13]-ubyte(\.gz)?")


def _has_idx(folder: Path) -> bool:
    return any(IDX_NAME.fullmatch(file.name) for file in folder.iterdir())


def _read_idx_folder(folder: Path) -> tuple[Pictures, Pictures | None]:
    """Training and test pictures of a folder of IDX files; a test set may be missing, and so may labels."""
    files: dict[tuple[bool, str], Path] = {}
    sets = set()
    for file in sorted(folder.iterdir()):
        if match := IDX_NAME.fullmatch(file.name):
            sets.add(match["set"])
            files.setdefault((match["part"] == "train", match["what"]), file)
    if len(sets) > 1:
        found = f"files of several sets: {', '.join(sorted(one or IDX_FILES[0] for one in sets))}"
        raise InputError(
            str(folder), found=found, expected="those of one", remedy="Put each set in a folder of its own."
        )
    if (True, "images") not in files:
        found = ", ".join(file.name for file in files.values())
        raise NotFoundError(str(folder), found=found, expected=f"{IDX_FILES[0]}, compressed or not")
    training = _read_idx_pair(files[True, "images"], files.get((True, "labels")))
    if (False, "images") not in files:
        return training, None
    return training, _read_idx_pair(files[False, "images"], files.get((False, "labels")))


def _read_idx_pair(images_file: Path, labels_file: Path | None) -> Pictures:
    images = read_idx(images_file, str(images_file))
    if images.ndim != 3:
        expected = "3 (pictures, rows, columns)"
        raise ShapeError(str(images_file), found=f"{images.ndim} axes", expected=expected)
    if images_file.name.startswith("emnist"):  # published with rows and columns exchanged
        images = np.ascontiguousarray(images.swapaxes(1, 2))
    if labels_file is None:
        return Pictures(images)
    return _labelled(images, read_idx(labels_file, str(labels_file)), str(images_file), str(labels_file))


def _read_arrays(path: Path) -> Pictures:
    if not path.is_file():
        raise NotFoundError(str(path), found="no such file", expected="an .npz file")
    with path.open("rb") as stream:
        arrays = read_npz(stream, str(path))
    if "images" not in arrays:
        raise InputError(str(path), found=f"arrays {', '.join(arrays)}", expected="'images' and, optionally, 'labels'")
    images = _levels(arrays["images"], str(path))
    if "labels" not in arrays:
        return Pictures(images)
    return _labelled(images, arrays["labels"], f"{path}: images", f"{path}: labels")


def _read_file(data: str) -> np.ndarray:
    try:
        return read_pictures(data)
    except NotFoundError as error:
        expected = f"a file, a folder, or one of {', '.join(KNOWN)}"
        raise NotFoundError(f"data {data!r}", found="no such name or path", expected=expected) from error


def _read_picture_folder(folder: Path) -> Pictures:
    """Pictures in sub-folders, labelled 0, 1, ... by the order of their names; or, without sub-folders, unlabelled."""
    groups = [group for one in _sub_folders(folder) if (group := images_in(one))]
    loose = images_in(folder)
    if groups and loose:
        found = f"pictures in sub-folders, and {loose[0].name} beside them"
        raise InputError(str(folder), found=found, expected="either", remedy="Put every picture under its label.")
    files = [file for group in groups for file in group] or loose
    if not files:
        expected = f"IDX files as MNIST has, files ending in {', '.join(IMAGE_SUFFIXES)}, or sub-folders of such files"
        raise InputError(str(folder), found="no pictures", expected=expected)
    order = np.random.default_rng(0).permutation(len(files))
    images = read_image_files([files[i] for i in order])
    if not groups:
        return Pictures(images)
    labels = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    return Pictures(images, labels[order])


def _sub_folders(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))


def _labelled(images: np.ndarray, labels: np.ndarray, images_name: str, labels_name: str) -> Pictures:
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise InputError(labels_name, found=f"{labels.dtype} of shape {labels.shape}", expected="whole numbers (n,)")
    if len(labels) != len(images):
        expected = f"{len(images)}, as many as the pictures of {images_name}"
        raise InputError(labels_name, found=f"{len(labels)} labels", expected=expected)
    return Pictures(images, labels.astype(np.int64))


def _levels(images: np.ndarray, where: str) -> np.ndarray:
    """Pictures as they are kept in memory: uint8, a quarter of what floats would take."""
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise InputError(where, found=f"dtype {images.dtype}", expected="uint8, or float in [0, 1]")
    if images.ndim != 3 and not (images.ndim == 4 and images.shape[-1] == 3):
        raise ShapeError(where, found=f"shape {images.shape}", expected="(n, H, W) grey or (n, H, W, 3) colour")
    return grey_levels(unit_pixels(images, where))
