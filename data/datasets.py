"""Load a data set: a published set by name, or whatever images a user has in a file or a folder."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files.paths import is_folder, is_pipe
from ..runtime.errors import InputError, ShapeError
from ..runtime.metadata import DataSpec
from ..runtime.pixels import Shape
from .arrays import read_file
from .downloads import KNOWN, KnownSet, download
from .idx_folder import has_idx, read_idx_folder
from .image_folder import read_image_folder
from .images import LabelledImages, UnsplitDataset
from .labels import missing_classes

MAX_VALIDATION_IMAGES = 10_000
VALIDATION_DIVISOR = 6  # one training image in six is for validation
MIN_IMAGES = 6
SHUFFLED = "the stored order would leave a class out of training or validation: images are shuffled before the split"


@dataclass(frozen=True)
class Dataset:
    """Images split into training, validation and test. Without a test set, `test` is `validation`.

    facts: metadata of the data set, such as its name, licence and hash. class_names: names of the labels 0, 1, ..., or
    empty if they have none. remarks: sentences for the user on how the set was read.
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
    """Load the data set `data`: one of the names in KNOWN, or a path.

    A path may be a folder with IDX files, as MNIST is published, compressed or not; an `.npz` with `images` and,
    optionally, `labels`; a `.npy`; a folder of images whose sub-folders are classes; a folder of images; a pipe; or
    `-` for standard input.
    The last sixth of the training images, at most 10,000, is for validation. Image files and arrays are first put in a
    fixed random order, because the last sixth may be of one class only. Published sets keep their order. Other folders
    of IDX files keep it too, unless training or validation would then lack a class.
    Raises NotFoundError, InputError or ShapeError, which name the file, what was found in it and what was expected.
    """
    if data in KNOWN:
        return _split(_read_known(KNOWN[data]), data, KNOWN[data])
    if not is_folder(data):
        return _split(read_file(data), data)
    folder = Path(data)
    return _split(read_idx_folder(folder) if has_idx(folder) else read_image_folder(folder), data)


def _read_known(known: KnownSet) -> UnsplitDataset:
    folder = download(known)
    unsplit = read_idx_folder(folder)
    if known.fingerprint is not None and known.fingerprint != unsplit.training.fingerprint:
        remedy = "Delete the folder, and it is downloaded again."
        raise InputError(str(folder), found="other images", expected=f"those of {known.name}", remedy=remedy)
    return unsplit


def _split(unsplit: UnsplitDataset, data: str, known: KnownSet | None = None) -> Dataset:
    """Split the training images into training and validation. data: the name or path of the set, shown in messages."""
    training, test, remarks = unsplit.training, unsplit.test, list(unsplit.remarks)
    known = known or _recognised(training)
    if len(training) < MIN_IMAGES:
        raise InputError(data, found=f"{len(training)} images", expected=f"at least {MIN_IMAGES}")
    if test is not None and test.images.shape[1:] != training.images.shape[1:]:
        found = f"test images of shape {test.images.shape[1:]}"
        raise ShapeError(data, found=found, expected=f"{training.images.shape[1:]}, as the training images have")
    fingerprint = training.fingerprint  # computed before shuffling, so that it identifies the stored images
    validation_images = min(MAX_VALIDATION_IMAGES, len(training) // VALIDATION_DIVISOR)
    training_images = len(training) - validation_images
    incomplete = unsplit.shuffle == "if needed" and _missing_classes(training, training_images, unsplit.class_names)
    shuffled = known is None and (bool(incomplete) or unsplit.shuffle == "always")
    if shuffled:
        training = training[np.random.default_rng(0).permutation(len(training))]
        if incomplete:
            remarks.append(f"{data}: {SHUFFLED}")
    remarks += [f"{data}: {remark}" for remark in _missing_classes(training, training_images, unsplit.class_names)]
    facts = DataSpec(
        name=known.name if known else _set_name(data),
        licence=known.licence if known else "not stated",
        source=known.source if known else "the user's own images",
        training_images=training_images,
        validation_images=validation_images,
        labelled=training.labels is not None,
        sha256=fingerprint,
        test_images=0 if test is None else len(test),
        shuffled=shuffled,
    )
    validation = training[training_images:]
    return Dataset(
        facts,
        training[:training_images],
        validation,
        validation if test is None else test,
        unsplit.class_names,
        tuple(remarks),
    )


def _set_name(data: str) -> str:
    """A name for a data set: the name of its file or folder, with - for characters that a model hub refuses."""
    if is_pipe(data):
        return "standard-input"
    return re.sub(r"[^\w.-]+", "-", Path(data).resolve().name)


def _missing_classes(images: LabelledImages, training_images: int, class_names: tuple[str, ...]) -> list[str]:
    """Sentences that name classes without images in training (the first `training_images`) or validation (the rest)."""
    if images.labels is None:
        return []
    parts = {"training": images.labels[:training_images], "validation": images.labels[training_images:]}
    all_labels = np.unique(images.labels)
    sentences = (missing_classes(part, labels, all_labels, class_names) for part, labels in parts.items())
    return [sentence for sentence in sentences if sentence]


def _recognised(images: LabelledImages) -> KnownSet | None:
    """The published set that has exactly these training images, or None."""
    return next((known for known in KNOWN.values() if known.fingerprint == images.fingerprint), None)
