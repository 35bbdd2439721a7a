"""Images with their labels, and what a reader of them has found."""

import functools
import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..runtime.errors import InputError, ShapeError
from ..runtime.pixels import Shape, grey_levels, unit_pixels


@dataclass(frozen=True)
class LabelledImages:
    """images: uint8 (n, H, W) grey or (n, H, W, 3) colour. labels: int64 (n,), or None where there are none."""

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


Shuffle = Literal["always", "if needed", "never"]  # needed: where a part would otherwise lack a class


@dataclass(frozen=True)
class Found:
    """What a reader has found at a path. test: None where there is no test set.

    class_names: by label, where labels are 0, 1, ... and stand for names. remarks: sentences that a user should read.
    shuffle: whether the images are put in a fixed random order before the split, for their end may hold one class only.
    """

    training: LabelledImages
    test: LabelledImages | None = None
    class_names: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    shuffle: Shuffle = "never"


def check_images(axes: tuple[int, ...], dtype: np.dtype, where: str) -> None:
    """Refuse an array that cannot be images, by its header. Raises InputError or ShapeError."""
    if dtype != np.uint8 and dtype.kind != "f":
        raise InputError(where, found=f"dtype {dtype}", expected="uint8, or float in [0, 1]")
    if len(axes) != 3 and not (len(axes) == 4 and axes[-1] == 3):
        raise ShapeError(where, found=f"shape {axes}", expected="(n, H, W) grey or (n, H, W, 3) colour")


def levels(images: np.ndarray, where: str) -> np.ndarray:
    """Images as they are kept in memory: uint8, a quarter of what floats would take."""
    check_images(images.shape, images.dtype, where)
    return grey_levels(unit_pixels(images, where))
