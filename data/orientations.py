"""Images that are turned or mirrored, with the orientation as their label: classes for images that have none."""

import dataclasses

import numpy as np

from .datasets import Dataset
from .images import LabelledImages

ORIENTATIONS = 4  # number of orientations: the image as it is, and three others


def with_orientations(dataset: Dataset) -> Dataset:
    """A data set with the same number of images, of which each has one of four orientations, its new label 0 to 3.

    Square images are turned by 0, 90, 180 or 270 degrees. Other images are left as they are, turned by 180 degrees, or
    mirrored at one of the two axes. A network that can tell the orientations has learned features of what the images
    show.
    Source: S. Gidaris et al., Unsupervised Representation Learning by Predicting Image Rotations, 2018.
    """
    train, validation, test = (_oriented(part) for part in (dataset.train, dataset.validation, dataset.test))
    return dataclasses.replace(dataset, train=train, validation=validation, test=test, class_names=())


def _oriented(images: LabelledImages) -> LabelledImages:
    """The images, uint8 (n, H, W[, 3]), turned or mirrored: image i gets the orientation i modulo 4 as its label."""
    pixels = images.images
    oriented = np.empty(pixels.shape, pixels.dtype)
    for orientation in range(ORIENTATIONS):
        part = pixels[orientation::ORIENTATIONS]
        if pixels.shape[1] == pixels.shape[2]:
            turned = np.rot90(part, orientation, (1, 2))
        else:
            flipped = [axis for axis, bit in ((1, 1), (2, 2)) if orientation & bit]
            turned = np.flip(part, tuple(flipped))
        oriented[orientation::ORIENTATIONS] = turned
    return LabelledImages(oriented, np.arange(len(pixels)) % ORIENTATIONS)
