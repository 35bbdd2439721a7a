"""Images with labels, and a data set before it is split."""

import functools
import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..runtime.pixels import Shape, grey_levels, unit_pixels

Shuffle = Literal["always", "if needed", "never"]  # "if needed": only if training or validation would lack a class


@dataclass(frozen=True)
class LabelledImages:
    """Images, uint8 (n, H, W) grey or (n, H, W, 3) colour, with labels, int64 (n,), or None if they have no labels."""

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
    """A data set before its `training` images are split into training and validation. test: None without a test set.

    class_names: the names of the labels 0, 1, ..., or empty if they have none. remarks: sentences for the user on how
    the set was read. shuffle: when training images are shuffled before the split: "always", "if needed" (if training or
    validation would otherwise lack a class), or "never".
    """

    training: LabelledImages
    test: LabelledImages | None = None
    class_names: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    shuffle: Shuffle = "never"


def as_uint8(images: np.ndarray, source_name: str) -> np.ndarray:
    """Convert images (n, H, W) or (n, H, W, 3), uint8 or float in [0, 1], to uint8, which takes less memory.

    Raises InputError for floats outside [0, 1]. source_name: name of the file or array in its message.
    """
    return grey_levels(unit_pixels(images, source_name))
