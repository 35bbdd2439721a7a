"""Images in a memory-mapped file, which are read in another order than the stored one when they are needed."""

import math
from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from ..runtime.arrays import forget

READ_IMAGES = 1024  # number of images read at a time, because the pages of a file that were read count as memory
MAX_COPIED_BYTES = 2**28  # smaller arrays are copied to memory in the new order, because memory is faster than a file


class StoredImages:
    """Some images of a memory-mapped array, in any order. Stands in for an array (n, H, W) or (n, H, W, 3) of uint8.

    stored: the memory map. order: the index of each image in `stored`, int64 (n,). Indexing reads images from the file
    and returns an array in memory. `numpy.asarray` reads all images.
    """

    def __init__(self, stored: np.ndarray, order: np.ndarray) -> None:
        self._stored, self._order = stored, order

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array that this object stands for."""
        return (len(self._order), *self._stored.shape[1:])

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._stored.ndim

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the images, uint8."""
        return self._stored.dtype

    def selected(self, rows: slice | np.ndarray) -> np.ndarray:
        """The images at some indices: in memory if they take at most MAX_COPIED_BYTES, otherwise as `StoredImages`."""
        chosen = StoredImages(self._stored, self._order[rows])
        return chosen[:] if math.prod(chosen.shape) <= MAX_COPIED_BYTES else cast(np.ndarray, chosen)

    def min(self) -> int:
        """The lowest level of all images."""
        return min(int(part.min()) for part in self._parts())

    def max(self) -> int:
        """The highest level of all images."""
        return max(int(part.max()) for part in self._parts())

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, rows: Any) -> np.ndarray:
        first, *others = rows if isinstance(rows, tuple) else (rows,)
        order = self._order[first]
        if isinstance(first, int | np.integer):
            image: np.ndarray = np.array(self._stored[order])[tuple(others)]
            return image
        images = np.empty((len(order), *self.shape[1:]), self.dtype)
        for start in range(0, len(order), READ_IMAGES):  # the pages of a few images at a time are in memory
            images[start : start + READ_IMAGES] = self._stored[order[start : start + READ_IMAGES]]
            forget(self._stored)
        return images[(slice(None), *others)] if others else images

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)

    def _parts(self) -> Iterator[np.ndarray]:
        """All images, read in parts."""
        for start in range(0, len(self), READ_IMAGES):
            yield self[start : start + READ_IMAGES]


def selected(images: np.ndarray | StoredImages, rows: slice | np.ndarray) -> np.ndarray:
    """The images at some indices, without reading them from a file if they would take much memory.

    images: (n, ...) in memory, memory-mapped, or a `StoredImages`. The result is an array, or a `StoredImages`, which
    can be indexed like one.
    """
    if isinstance(images, np.memmap) and not isinstance(rows, slice):
        return StoredImages(images, np.arange(len(images))).selected(rows)
    return images.selected(rows) if isinstance(images, StoredImages) else images[rows]
