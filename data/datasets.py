"""Images to train on: a well-known set by name, or whatever a person has in a file or a folder."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files.sources import is_folder, is_pipe
from ..runtime.errors import InputError, ShapeError
from ..runtime.manifest import DataSpec
from ..runtime.pixels import Shape
from .arrays import read_file
from .downloads import KNOWN, KnownSet, download
from .idx_folder import has_idx, read_idx_folder
from .image_folder import read_image_folder
from .images import Found, LabelledImages
from .labels import missing_classes

__all__ = ["Dataset", "LabelledImages", "load"]

MAX_VALIDATION = 10_000
FEWEST = 6  # images: one in six is held out
SHUFFLED = "the stored order would leave a class out of training or validation: images are shuffled before the split"


@dataclass(frozen=True)
class Dataset:
    """Images split for training, and what is known of them. Without a test set of its own, `test` is `validation`.

    class_names: the name of each label, where labels are 0, 1, ... and stand for names; else empty.
    remarks: sentences on how the set was read, for a user to see.
    """

    facts: DataSpec
    train: LabelledImages
    validation: LabelledImages
    test: LabelledImages
    class_names: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def shape(self) -> Shape:
        """(C, H, W) of one image."""
        return self.train.shape


def load(data: str) -> Dataset:
    """The data set `data`: one of the names in KNOWN, or a path.

    A path may be a folder with IDX files, as MNIST is published (gzip or not); an `.npz` with `images` and, if there
    are any, `labels`; an `.npy`; a folder of images whose sub-folders are classes; a folder of images; a pipe; or
    `-`, standard input.
    Validation is the last 10,000 training images, or the last sixth where that is fewer. A folder's images and an
    array's are first put in a fixed random order, for the end may hold one class only; published sets keep theirs.
    Raises NotFoundError, InputError or ShapeError, naming the file, what was found in it and what was expected.
    """
    if data in KNOWN:
        return _split(_read_known(KNOWN[data]), data, KNOWN[data])
    if not is_folder(data):
        return _split(read_file(data), data)
    folder = Path(data)
    return _split(read_idx_folder(folder) if has_idx(folder) else read_image_folder(folder), data)


def _read_known(known: KnownSet) -> Found:
    folder = download(known)
    found = read_idx_folder(folder)
    if known.images is not None and known.images != found.training.fingerprint:
        remedy = "Delete the folder, and it is downloaded again."
        raise InputError(str(folder), found="other images", expected=f"those of {known.name}", remedy=remedy)
    return found


def _split(found: Found, data: str, known: KnownSet | None = None) -> Dataset:
    training, test, remarks = found.training, found.test, list(found.remarks)
    known = known or _recognised(training)
    if len(training) < FEWEST:
        raise InputError(data, found=f"{len(training)} images", expected=f"at least {FEWEST}")
    if test is not None and test.images.shape[1:] != training.images.shape[1:]:
        shape = f"test images of shape {test.images.shape[1:]}"
        raise ShapeError(data, found=shape, expected=f"{training.images.shape[1:]}, as the training images have")
    fingerprint = training.fingerprint  # of the images as they are stored
    held_out = min(MAX_VALIDATION, len(training) // FEWEST)
    cut = len(training) - held_out
    needed = found.shuffle == "if needed" and bool(_missing(training, cut, found.class_names))
    shuffled = known is None and (needed or found.shuffle == "always")
    if shuffled:
        training = training[np.random.default_rng(0).permutation(len(training))]
        remarks += [f"{data}: {SHUFFLED}"] * needed
    remarks += [f"{data}: {remark}" for remark in _missing(training, cut, found.class_names)]
    facts = DataSpec(
        name=known.name if known else _name(data),
        licence=known.licence if known else "not stated",
        source=known.source if known else "the user's own images",
        training_images=cut,
        validation_images=held_out,
        labelled=training.labels is not None,
        sha256=fingerprint,
        test_images=0 if test is None else len(test),
        shuffled=shuffled,
    )
    validation = training[cut:]
    tested = validation if test is None else test
    return Dataset(facts, training[:cut], validation, tested, found.class_names, tuple(remarks))


def _name(data: str) -> str:
    """A set's name, that of its file or folder, in letters that a model hub takes."""
    if is_pipe(data):
        return "standard-input"
    return re.sub(r"[^\w.-]+", "-", Path(data).resolve().name)


def _missing(training: LabelledImages, cut: int, class_names: tuple[str, ...]) -> list[str]:
    """Sentences on the classes that training or validation have no image of."""
    if training.labels is None:
        return []
    every = np.unique(training.labels)
    parts = {"training": training.labels[:cut], "validation": training.labels[cut:]}
    sentences = (missing_classes(part, np.unique(labels), every, class_names) for part, labels in parts.items())
    return [sentence for sentence in sentences if sentence]


def _recognised(training: LabelledImages) -> KnownSet | None:
    """The well-known set that these images are, so that its name and licence go on with what is trained on them."""
    return next((known for known in KNOWN.values() if known.images == training.fingerprint), None)
