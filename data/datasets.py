"""Load a data set: a published set by name, or whatever images a user has in a file or a folder."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ..files.paths import is_pipe, split_slice
from ..images.read_options import DEFAULT_OPTIONS, ReadOptions
from ..runtime.errors import InputError, ShapeError
from ..runtime.metadata import DataSpec
from ..runtime.pixels import Shape, as_array
from .conversion import converted
from .downloads import KNOWN, KnownSet, download
from .idx_folder import read_idx_folder
from .images import LabelledImages, UnsplitDataset, fingerprint
from .named_arrays import NamedArray, read_named_arrays
from .readers import read
from .splitting import SHUFFLED, missing_sentences, split_order, validation_count

MIN_IMAGES = 6
UNKNOWN_LICENCE = "not stated"  # recorded as the licence of a data set that is not published
OWN_IMAGES = "the user's own images"  # recorded as the source of a data set that is not published
CHECKED_ROWS = 1024  # number of images compared at a time


@dataclass(frozen=True)
class Dataset:
    """Images split into training, validation and test. Without a test set, `test` is `validation`.

    facts: metadata of the data set, such as its name, licence and hash. class_names: names of the labels 0, 1, ..., or
    empty if they have none. remarks: sentences for the user on how the set was read. reading: the options
    that it was read with.
    """

    facts: DataSpec
    train: LabelledImages
    validation: LabelledImages
    test: LabelledImages
    class_names: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    reading: ReadOptions = DEFAULT_OPTIONS

    @property
    def shape(self) -> Shape:
        """(C, H, W) of one image."""
        return self.train.shape


# The sets that have been loaded in a block of `loaded_once`, by path and options
_loaded: ContextVar[dict[tuple[str, ReadOptions], Dataset] | None] = ContextVar("loaded", default=None)


def load(data: str, options: ReadOptions = DEFAULT_OPTIONS) -> Dataset:
    """Load the data set `data`: one of the names in KNOWN, or a path.

    A path may be a folder with IDX files, as MNIST is published; arrays, in the forms that `read_named_arrays`
    describes; a folder of images whose sub-folders are classes, or train and test with classes below; a folder of
    images; a CSV or Parquet table; a zip or tar archive of any of these; a pipe; or `-` for standard input.
    Unless the validation images are stored separately, they are the last sixth of the training images, at most 10,000.
    Image files and arrays are first put in a fixed random order, because the last sixth may be of one class only.
    Published sets keep their order. Other folders of IDX files keep it too, unless training or validation would then
    lack a class. options: the size, background and channels of the images.
    Raises NotFoundError, InputError or ShapeError, which name the file, what was found in it and what was expected.
    """
    loaded = _loaded.get()
    key = (data if data in KNOWN or is_pipe(data) else str(Path(data).resolve()), options)
    if loaded is None or key not in loaded:
        dataset = _load(data, options)
        if loaded is None:
            return dataset
        loaded[key] = dataset
    return loaded[key]


def from_arrays(
    images: ArrayLike, labels: ArrayLike | None = None, class_names: Sequence[str] = (), name: str = "images"
) -> Dataset:
    """Make a data set of arrays, split into training and validation as `load` splits those of a file.

    images: uint8 (n, H, W) or (n, H, W, 3), or another layout or number type that `load` reads. labels: whole numbers
    or class names (n,), or one-hot rows. class_names: names of the labels 0, 1, ... name: the name of the set.
    Raises InputError or ShapeError for arrays that cannot be used.
    """
    values = {"images": images} if labels is None else {"images": images, "labels": labels}
    arrays = {key: as_array(key, array) for key, array in values.items()}
    named = [NamedArray(key, key, array.shape, array.dtype, array.view) for key, array in arrays.items()]
    unsplit = read_named_arrays(named, name)
    if class_names:
        unsplit = replace(unsplit, class_names=_fitting_names(class_names, unsplit))
    return _split(unsplit, name, _recognised(unsplit.training))


def _fitting_names(class_names: Sequence[str], unsplit: UnsplitDataset) -> tuple[str, ...]:
    """The class names, as a tuple. Raises InputError unless there is one for each label that a set has."""
    labels = unsplit.training.labels
    if labels is None or unsplit.class_names:
        found = "no labels" if labels is None else "labels that are class names already"
        raise InputError("class_names", found=found, expected="labels 0, 1, ... to name")
    smallest, largest = int(np.min(labels)), int(np.max(labels))
    if smallest < 0 or largest >= len(class_names):
        expected = f"a name for each label from 0 on; the labels go from {smallest} to {largest}"
        raise InputError("class_names", found=f"{len(class_names)} names", expected=expected)
    return tuple(map(str, class_names))


@contextmanager
def loaded_once() -> Iterator[None]:
    """Within the block, `load` reads each data set once and keeps it in memory, for stages that share it."""
    token = _loaded.set({})
    try:
        yield
    finally:
        _loaded.reset(token)


def _load(data: str, options: ReadOptions) -> Dataset:
    """Load a data set as `load` describes, but from its files even within a block of `loaded_once`."""
    known = KNOWN.get(data)
    unsplit = read(data, options) if known is None else _read_known(known)
    known = known or _recognised(unsplit.training)
    return replace(_split(converted(unsplit, data, options), data, known), reading=options)


def _read_known(known: KnownSet) -> UnsplitDataset:
    folder = download(known)
    unsplit = read_idx_folder(folder)
    if known.fingerprint is not None and known.fingerprint != unsplit.training.fingerprint:
        remedy = "Delete the folder, and it is downloaded again."
        raise InputError(str(folder), found="other images", expected=f"those of {known.name}", remedy=remedy)
    return unsplit


def _split(unsplit: UnsplitDataset, data: str, known: KnownSet | None) -> Dataset:
    """Split the training images into training and validation. data: the name or path of the set, shown in messages."""
    _check(unsplit, data)
    training, validation, test, remarks = unsplit.training, unsplit.validation, unsplit.test, list(unsplit.remarks)
    # The hash is computed before shuffling, so that it identifies the stored images.
    sha256 = training.fingerprint if validation is None else fingerprint(training, validation)
    order = None
    if validation is None:
        if known is None:
            order, incomplete = split_order(training, unsplit.shuffle)
            remarks += [f"{data}: {SHUFFLED}"] if incomplete and unsplit.shuffle != "never" else []
        training = training if order is None else training[order]
        start = len(training) - validation_count(len(training))
        training, validation = training[:start], training[start:]
    remarks += [f"{data}: {remark}" for remark in missing_sentences(training, validation, unsplit.class_names)]
    facts = DataSpec(
        name=known.name if known else _set_name(data),
        licence=known.licence if known else UNKNOWN_LICENCE,
        source=known.source if known else OWN_IMAGES,
        training_images=len(training),
        validation_images=len(validation),
        labelled=training.labels is not None,
        sha256=sha256,
        test_images=0 if test is None else len(test),
        shuffled=order is not None,
    )
    test = validation if test is None else test
    return Dataset(facts, training, validation, test, unsplit.class_names, tuple(remarks))


def _check(unsplit: UnsplitDataset, data: str) -> None:
    """Raise InputError or ShapeError if the images of a set cannot be used. data: its name in messages."""
    training = unsplit.training
    if len(training) < MIN_IMAGES:
        raise InputError(data, found=f"{len(training)} images", expected=f"at least {MIN_IMAGES}")
    for name, part in unsplit.parts.items():
        if part.images.shape[1:] != training.images.shape[1:]:
            found = f"{name} images of shape {part.images.shape[1:]}"
            raise ShapeError(data, found=found, expected=f"{training.images.shape[1:]}, as the training images have")
        if len(part) == 0:
            raise InputError(data, found=f"no {name} images", expected="at least one")
    if unsplit.validation is not None and (unsplit.validation.labels is None) != (training.labels is None):
        found = "labels of training images alone, or of validation images alone"
        raise InputError(data, found=found, expected="labels of both, or of none")
    chunks = (training.images[i : i + CHECKED_ROWS] for i in range(0, len(training), CHECKED_ROWS))
    if all((chunk == training.images[0]).all() for chunk in chunks):
        found = f"{len(training):,} training images that are all equal"
        raise InputError(data, found=found, expected="images that differ: a model of one image has nothing to learn")


def _set_name(data: str) -> str:
    """A name for a data set: the name of its file or folder, with - for characters that a model hub refuses."""
    path, _ = split_slice(data)
    name = "standard-input" if is_pipe(path) else Path(path).resolve().name
    return re.sub(r"[^\w.-]+", "-", name + data[len(path) :])


def _recognised(images: LabelledImages) -> KnownSet | None:
    """The published set that has exactly these training images, or None."""
    return next((known for known in KNOWN.values() if known.fingerprint == images.fingerprint), None)
