"""The reference set: real images to score a model against, and their features, which are computed once."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..runtime.errors import InputError
from ..runtime.pixels import unit_pixels
from .bins import k_means
from .feature_extractor import ExtractedFeatures, FeatureExtractor
from .progress import Progress, no_progress

MIN_IMAGES = 50  # smallest number of test images in a reference set; statistics of fewer are unreliable
MAX_TRAINING_RATIO = 4  # for n generated images, at most 4 n training images are searched for copies
MAX_REAL_SETS = 5  # limit on the sets of n training images that are scored, to see how scores vary between them
MAX_REAL_IMAGES = 10_000  # limit on the images of all these sets together, unless there is only one set
MAX_BINNED = 20_000  # k-means finds the bin centres from at most this many training images
BINS, CELLS = 100, 10  # numbers of k-means clusters: images, for the metric NDB; features, for memorisation
TEST_SEED = 1  # seed of the random choice of test images

LabelledArrays = tuple[np.ndarray, np.ndarray | None]  # images uint8 (n, H, W[, 3]), and labels int64 (n,) or None


@dataclass(frozen=True)
class ReferenceSet:
    """Real images and their features.

    test_images, test_labels, test_features: the n test images uint8 (n, H, W[, 3]), their labels int64 (n,) or None,
    and their features. real_sets: one to five sets of n training images with their labels. For comparison with a model,
    each set is scored as if its images were generated. training_features: features of t <= 4 n other training images,
    float32 (t, f); generated images are compared with these to find copies. training_rows: indices of the t images
    among the training images, int64 (t,). bin_centres: cluster centres of the pixels of training images, float32 (100,
    H * W [* 3]), in [0, 1]. cell_centres: cluster centres of training_features, float32 (10, f). remarks: sentences for
    the user, such as that n is small.
    """

    extractor: FeatureExtractor
    test_images: np.ndarray
    test_labels: np.ndarray | None
    test_features: ExtractedFeatures
    real_sets: tuple[LabelledArrays, ...]
    training_features: np.ndarray
    training_rows: np.ndarray
    bin_centres: np.ndarray
    cell_centres: np.ndarray
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.test_images)

    @property
    def real_images(self) -> np.ndarray:
        """The images of the first set in `real_sets`, uint8 (n, H, W[, 3])."""
        return self.real_sets[0][0]

    @property
    def real_labels(self) -> np.ndarray | None:
        """The labels of `real_images`, int64 (n,), or None."""
        return self.real_sets[0][1]


def reference_set(
    extractor: FeatureExtractor,
    training: LabelledArrays,
    test: LabelledArrays,
    n: int,
    *,
    progress: Progress = no_progress,
) -> ReferenceSet:
    """Build the reference set for n generated images.

    n is reduced to at most the number of test images, and to at most half the number of training images, because n
    training images are scored as if generated and at least n others are needed to search for copies. The n test images
    are chosen at random, because the order of a file may mean something: the first half of MNIST's test images was
    written by other people than the second half. All random choices are the same in every call. progress: called while
    features are extracted. Raises InputError when the reduced n is below 50.
    """
    requested, n = n, min(n, len(test[0]), len(training[0]) // 2)
    if n < MIN_IMAGES:
        expected = f"{MIN_IMAGES} test images and twice as many training images"
        raise InputError("data", found=f"{len(test[0])} and {len(training[0])}", expected=expected)
    order = np.random.default_rng(0).permutation(len(training[0]))
    sets = min(MAX_REAL_SETS, MAX_REAL_IMAGES // n, len(order) // n - MAX_TRAINING_RATIO)
    real_rows = [np.sort(order[start : start + n]) for start in range(0, max(sets, 1) * n, n)]
    training_rows = np.sort(order[len(real_rows) * n :][: MAX_TRAINING_RATIO * n])
    training_features = extractor.extract(training[0][training_rows], progress).features
    binned_images = training[0][training_rows[:MAX_BINNED]]
    test_images, test_labels = _rows(test, random_rows(len(test[0]), n, TEST_SEED))
    return ReferenceSet(
        extractor=extractor,
        test_images=test_images,
        test_labels=test_labels,
        test_features=extractor.extract(test_images, progress),
        real_sets=tuple(_rows(training, rows) for rows in real_rows),
        training_features=training_features,
        training_rows=training_rows,
        bin_centres=k_means(as_points(binned_images), BINS),
        cell_centres=k_means(training_features, CELLS),
        remarks=tuple(_remarks(requested, n, len(test[0]), len(training[0]), extractor.record.features)),
    )


def random_rows(total: int, count: int, seed: int) -> np.ndarray:
    """At most `count` different indices below `total`, chosen at random by a seed, in ascending order, int64."""
    return np.sort(np.random.default_rng(seed).permutation(total)[:count])


def as_points(images: np.ndarray) -> np.ndarray:
    """Flatten uint8 images (n, H, W[, 3]) to float32 vectors (n, H * W [* 3]) in [0, 1]."""
    return unit_pixels(images.reshape(len(images), -1))


def _rows(images: LabelledArrays, rows: np.ndarray) -> LabelledArrays:
    """The images and labels with the indices `rows`, int64 (n,)."""
    return images[0][rows], None if images[1] is None else images[1][rows]


def _remarks(requested: int, n: int, test: int, training: int, features: int) -> Iterator[str]:
    """Yield sentences for the user: why only n images are scored, and what cannot be measured with so few.

    requested: number of images asked for. test, training: numbers of test and training images in the data set.
    features: number of features of an image.
    """
    if n < requested:
        reason = f"there are {test:,} real images to score against"
        if n < test:
            reason = f"half of the {training:,} training images must be left to search for copies"
        yield f"{n:,} samples are scored, not {requested:,}: {reason}."
    if n <= features:
        yield (
            f"{n:,} images are too few for {features:,} features: their covariance is singular, so Frechet distances "
            f"say little. Take more than {features:,} images, better some thousands."
        )
