"""How near samples are to training images, pixel by pixel, for the card of a model of a user's own images."""

import numpy as np

from ..data.datasets import OWN_IMAGES, UNKNOWN_LICENCE, Dataset
from ..evaluation.neighbours import nearest
from ..evaluation.reference import as_points, random_rows
from ..runtime.autoencoder import Autoencoder
from ..runtime.manifest import Manifest

NEAREST, NEAREST_OF_REAL = "nearest_training_distance", "nearest_training_distance_of_real"
COMPARED_IMAGES = 256  # number of samples, and of held-out images, whose nearest training images are searched
SEARCHED_IMAGES = 20_000  # maximum number of training images among which the nearest ones are searched
FEW_IMAGES = 5_000  # models trained on fewer images get a warning about copies on their card


def nearest_distances(model: Autoencoder, dataset: Dataset) -> dict[str, float]:
    """Median distances of samples and of held-out images to their nearest training images, by name in the manifest.

    Distances are root mean square differences of pixels in [0, 1]. Empty for a published set.
    """
    if dataset.facts.source != OWN_IMAGES:
        return {}
    searched = as_points(dataset.train.images[random_rows(len(dataset.train), SEARCHED_IMAGES, 0)])
    held_out = as_points(dataset.test.images[random_rows(len(dataset.test), COMPARED_IMAGES, 1)])
    samples = as_points(model.sample(COMPARED_IMAGES, seed=0, dtype="uint8"))
    medians = (np.median(nearest(points, searched)[1]) for points in (samples, held_out))
    scale = searched.shape[1] ** 0.5
    return {name: float(median / scale) for name, median in zip((NEAREST, NEAREST_OF_REAL), medians, strict=True)}


def warning(manifest: Manifest) -> str:
    """Sentences for the model card about copies and the licence of a user's own images; empty for a published set."""
    quality, data = manifest.quality, manifest.data
    if NEAREST not in quality:
        return ""
    few = data.training_images < FEW_IMAGES
    text = "A model of so few images may show some of them again. " if few else ""
    text += (
        f"The median distance of a sample to the nearest training image is {quality[NEAREST]:.4f}, that of a new real "
        f"image {quality[NEAREST_OF_REAL]:.4f} (root mean square difference of pixels in [0, 1]); much nearer samples "
        "would be copies."
    )
    if data.licence == UNKNOWN_LICENCE:
        text += "\nThe licence of the images is not stated: state it before you share the model, if you may share them."
    return f"{text}\n"
