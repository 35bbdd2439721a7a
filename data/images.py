"""Images with labels, and a data set before it is split."""

import functools
import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..runtime.pixels import Shape, grey_levels, unit_pixels

Shuffle = Literal["always", "if needed", "never"]  # needed: a part would have no image of some class


@dataclass(frozen=True)
class LabelledImages:
    """images: uint8 (n, H, W) grey or (n, H, W, 3) colour. labels: int64 (n,), or None for images without labels."""

    images: np.ndarray
    labels: np.ndarray | None = None

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the images' bytes."""
        return hashlib.sha256(np.ascontiguousarray(self.images).data).hexdigest()

    @property
    def shape(self) -> Shape:
        """(C, H, W) of one image."""
        height, width, *channels = self.images.shape[1:]
        return (channels[0] if channels else 1, height, width)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice | np.ndarray) -> "LabelledImages":
        return LabelledImages(self.images[rows], None if self.labels is None else self.labels[rows])


@dataclass(frozen=True)
class UnsplitDataset:
    """A data set as it was read. training: split later into training and validation. test: None without a test set.

    class_names: by label, if labels are 0, 1, ... and have names; else empty. remarks: sentences for the user.
    shuffle: whether training images are shuffled before the split, because the last of them may be of one class only.
    """

    training: LabelledImages
    test: LabelledImages | None = None
    class_names: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    shuffle: Shuffle = "never"


def as_uint8(images: np.ndarray, source_name: str) -> np.ndarray:
    """Images (n, H, W) or (n, H, W, 3), uint8 or float in [0, 1], as uint8, which takes a quarter of the memory.

    Raises InputError, naming the source, for floats outside [0, 1].
    """
    return grey_levels(unit_pixels(images, source_name))
