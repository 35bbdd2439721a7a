"""The reference set: real images to score a model against, and their features, which are computed once."""

from dataclasses import dataclass

import numpy as np

from ..runtime.errors import InputError
from ..runtime.pixels import unit_pixels
from .bins import k_means
from .feature_extractor import ExtractedFeatures, FeatureExtractor

MIN_IMAGES = 50  # number of test images that a reference set needs; statistics of fewer are unreliable
MAX_TRAINING_RATIO = 4  # for n generated images, at most 4 n training images are searched for copies
MAX_BINNED = 20_000  # training images that are clustered to make the bins
BINS, CELLS = 100, 10  # number of bins of image space, for NDB, and of cells of feature space, for C_T

LabelledArrays = tuple[np.ndarray, np.ndarray | None]  # images uint8 (n, H, W[, 3]), and labels int64 (n,) or None


@dataclass(frozen=True)
class ReferenceSet:
    """Real images and their features.

    test_images, test_labels, test_features: the n test images uint8 (n, H, W[, 3]), their labels int64 (n,) or None,
    and their features. real_images, real_labels: n training images, which are scored as if they were generated.
    training_features: features of other training images, float32 (t, f), in which copies are searched for; t <= 4 n.
    training_rows: indices of these images in the data set, int64 (t,). bin_centres: float32 (100, pixels), cluster
    centres of training images. cell_centres: float32 (10, f), cluster centres of training features.
    """

    extractor: FeatureExtractor
    test_images: np.ndarray
    test_labels: np.ndarray | None
    test_features: ExtractedFeatures
    real_images: np.ndarray
    real_labels: np.ndarray | None
    training_features: np.ndarray
    training_rows: np.ndarray
    bin_centres: np.ndarray
    cell_centres: np.ndarray

    def __len__(self) -> int:
        return len(self.test_images)


def reference_set(extractor: FeatureExtractor, training: LabelledArrays, test: LabelledArrays, n: int) -> ReferenceSet:
    """Build the reference set for n generated images.

    n is reduced to the number of test images, and to half the number of training images: n training images are scored
    as if generated, and at least as many others are searched for copies. Raises InputError when n is then below 50.
    """
    n = min(n, len(test[0]), len(training[0]) // 2)
    if n < MIN_IMAGES:
        expected = f"{MIN_IMAGES} test images and twice as many training images"
        raise InputError("data", found=f"{len(test[0])} and {len(training[0])}", expected=expected)
    order = np.random.default_rng(0).permutation(len(training[0]))
    real_rows, training_rows = np.sort(order[:n]), np.sort(order[n : (1 + MAX_TRAINING_RATIO) * n])
    training_features = extractor.extract(training[0][training_rows]).features
    binned_images = training[0][training_rows[:MAX_BINNED]]
    return ReferenceSet(
        extractor=extractor,
        test_images=test[0][:n],
        test_labels=None if test[1] is None else test[1][:n],
        test_features=extractor.extract(test[0][:n]),
        real_images=training[0][real_rows],
        real_labels=None if training[1] is None else training[1][real_rows],
        training_features=training_features,
        training_rows=training_rows,
        bin_centres=k_means(as_points(binned_images), BINS),
        cell_centres=k_means(training_features, CELLS),
    )


def as_points(images: np.ndarray) -> np.ndarray:
    """Flatten images (n, H, W[, 3]) uint8 to points (n, pixels), float32 in [0, 1]."""
    return unit_pixels(images.reshape(len(images), -1))
