"""The classes for images with labels, and for a data set before it is split."""

import functools
import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..runtime.arrays import forget
from ..runtime.pixels import Shape, grey_levels, unit_pixels
from .stored_images import selected

HASHED_IMAGES = 1024  # number of images hashed at a time
# When the training images are shuffled before the split. "if needed": only if training or validation images would
# otherwise lack a class; a remark then says so.
Shuffle = Literal["always", "if needed", "never"]


@dataclass(frozen=True)
class LabelledImages:
    """Images, uint8 (n, H, W) grey or (n, H, W, 3) colour, with labels, int64 (n,), or None if they have no labels.

    The images of a large file stay in the file until they are indexed.
    """

    images: np.ndarray
    labels: np.ndarray | None = None

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the images' bytes."""
        return fingerprint(self)

    @property
    def shape(self) -> Shape:
        """(C, H, W) of one image."""
        height, width, *channels = self.images.shape[1:]
        return (channels[0] if channels else 1, height, width)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice | np.ndarray) -> "LabelledImages":
        return LabelledImages(selected(self.images, rows), None if self.labels is None else self.labels[rows])


@dataclass(frozen=True)
class UnsplitDataset:
    """A data set before its `training` images are split into training and validation. test: None without a test set.

    class_names: the names of the labels 0, 1, ..., or empty if they have none. remarks: sentences for the user on how
    the set was read. shuffle: whether training images are shuffled before the split. validation: the validation images
    of a set that stores them separately; then the training images are not split.
    """

    training: LabelledImages
    test: LabelledImages | None = None
    class_names: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    shuffle: Shuffle = "never"
    validation: LabelledImages | None = None

    @property
    def parts(self) -> dict[str, LabelledImages]:
        """The parts that the set has, by their names in messages."""
        parts = {"training": self.training, "validation": self.validation, "test": self.test}
        return {name: images for name, images in parts.items() if images is not None}


def fingerprint(*parts: LabelledImages) -> str:
    """SHA-256 of the bytes of all images of all parts, in order."""
    digest = hashlib.sha256()
    for part in parts:
        for start in range(0, len(part), HASHED_IMAGES):
            digest.update(np.ascontiguousarray(part.images[start : start + HASHED_IMAGES]).data)
            forget(part.images)
    return digest.hexdigest()


def as_uint8(images: np.ndarray, source_name: str) -> np.ndarray:
    """Convert images (n, H, W) or (n, H, W, 3), uint8 or float in [0, 1], to uint8, which takes less memory.

    Raises InputError for floats outside [0, 1]. source_name: name of the file or array in its message.
    """
    return images if images.dtype == np.uint8 else grey_levels(unit_pixels(images, source_name))
