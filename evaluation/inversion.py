"""Recognise inverted images: black on white if the model was trained on white on black, or the reverse."""

from typing import TYPE_CHECKING

import numpy as np

from ..runtime.pixels import unit_pixels
from .similarity import squared_errors

if TYPE_CHECKING:
    from ..runtime.autoencoder import Autoencoder

CHECKED_IMAGES = 16
# An image counts as inverted if its reconstruction error is at least this many times that of its inverse. For inverted
# digits and the models that ship with aegen, the ratio is at least 17; with Gaussian noise of std 0.5 at least 2.2; for
# random pixels at most 1.3.
FACTOR = 2.0


def inverted(images: np.ndarray) -> np.ndarray:
    """The images (n, H, W[, 3]), uint8 or float in [0, 1], with black and white exchanged, in the same dtype."""
    if images.dtype == np.uint8:
        return 255 - images
    return (1 - unit_pixels(images)).astype(images.dtype)


def are_inverted(model: "Autoencoder", images: np.ndarray) -> bool:
    """Whether images (n, H, W[, 3]), uint8 or float in [0, 1], are surely the inverse of what a model was trained on.

    The median over the first CHECKED_IMAGES images is compared with FACTOR.
    """
    images = np.asarray(images[:CHECKED_IMAGES])
    errors = [squared_errors(each, model.reconstruct(each)) for each in (images, inverted(images))]
    return bool(np.median(errors[0] / np.maximum(errors[1], np.finfo(np.float32).tiny)) >= FACTOR)
