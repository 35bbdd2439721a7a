"""The reference set: real images to score a model against, and their features, which are computed once."""

from dataclasses import dataclass

import numpy as np

from ..runtime.errors import InputError
from ..runtime.pixels import unit_pixels
from .bins import k_means
from .feature_extractor import ExtractedFeatures, FeatureExtractor

MIN_IMAGES = 50  # smallest number of test images in a reference set; statistics of fewer are unreliable
MAX_TRAINING_RATIO = 4  # for n generated images, at most 4 n training images are searched for copies
MAX_BINNED = 20_000  # k-means finds the bin centres from at most this many training images
BINS, CELLS = 100, 10  # number of k-means clusters of images for the metric NDB, and of features for C_T

LabelledArrays = tuple[np.ndarray, np.ndarray | None]  # images uint8 (n, H, W[, 3]), and labels int64 (n,) or None


@dataclass(frozen=True)
class ReferenceSet:
    """Real images and their features.

    test_images, test_labels, test_features: the n test images uint8 (n, H, W[, 3]), their labels int64 (n,) or None,
    and their features. real_images, real_labels: n training images, uint8, and their labels or None; they are scored
    as if they were generated. training_features: features of t <= 4 n other training images, float32 (t, f); generated
    images are compared with these to find copies. training_rows: indices of the t images among the training images,
    int64 (t,). bin_centres: cluster centres of the pixels of training images, float32 (100, H * W [* 3]), in [0, 1].
    cell_centres: cluster centres of training_features, float32 (10, f).
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

    n is reduced to at most the number of test images, and to at most half the number of training images, because n
    training images are scored as if generated and at least n others are needed to search for copies. Raises InputError
    when the reduced n is below 50.
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
    """Flatten uint8 images (n, H, W[, 3]) to float32 vectors (n, H * W [* 3]) in [0, 1]."""
    return unit_pixels(images.reshape(len(images), -1))
