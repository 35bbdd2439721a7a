"""The real images that a model is measured against, and what a feature extractor sees in them: computed once, used for all."""

from dataclasses import dataclass, field

import numpy as np

from ..runtime.errors import InputError
from ..runtime.pixels import unit_pixels
from .bins import bin_difference, class_imbalance, k_means
from .distances import frechet_distance, kernel_distance
from .feature_extractor import Extracted, FeatureExtractor
from .neighbours import memorisation, support

FEWEST = 50  # images to measure by: the statistics of fewer say nothing
AGAINST = 4  # training images that copies are looked for among, for each one generated
BINNED = 20_000  # training images that the bins are made of
BINS, CELLS = 100, 10  # of the image space, for NDB; of the feature space, for C_T


@dataclass(frozen=True)
class ReferenceSet:
    """Real images and what the feature extractor sees in them; n of each but the training images.

    test, test_labels: images uint8 (n, H, W[, 3]) and int64 (n,) or None. floor: training images as many, which
    stand for a perfect model. training: the feature extractor's features of others, up to 4 n, among which copies are looked
    for; training_rows: which they are. bins: centres in pixels; cells: centres in features; both of training images.
    reference_measures: what `measures` gives for the floor.
    """

    extractor: FeatureExtractor
    test: np.ndarray
    test_labels: np.ndarray | None
    test_features: Extracted
    floor: np.ndarray
    reference_labels: np.ndarray | None
    reference_features: Extracted
    training: np.ndarray
    training_rows: np.ndarray
    bins: np.ndarray
    cells: np.ndarray
    reference_measures: dict[str, float] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reference_measures", self.measures(self.floor, self.reference_features))

    def __len__(self) -> int:
        return len(self.test)

    def measures(self, images: np.ndarray, seen: Extracted) -> dict[str, float]:
        """How images, uint8, and what the feature extractor has seen in them differ from the test images."""
        held = support(self.test_features.features, seen.features)
        binned = bin_difference(as_points(self.test), as_points(images), self.bins)
        return {
            "frechet_distance": frechet_distance(seen.features, self.test_features.features),
            "kernel_distance": kernel_distance(seen.features, self.test_features.features),
            "precision": held.precision,
            "recall": held.recall,
            "density": held.density,
            "coverage": held.coverage,
            "bins_different": binned.different,
            "bin_divergence": binned.divergence,
            "memorisation": memorisation(self.training, self.test_features.features, seen.features, self.cells),
            "class_imbalance": class_imbalance(seen.probabilities, self.test_features.probabilities),
            "confidence": float(seen.probabilities.max(1).mean()),
        }


Labelled = tuple[np.ndarray, np.ndarray | None]


def reference_set(extractor: FeatureExtractor, training: Labelled, test: Labelled, n: int) -> ReferenceSet:
    """What to measure n generated images against.

    training, test: images uint8 and their labels, or None. n is cut to what there is: equal counts are compared, and
    half of the training images at least are left to look for copies of. Raises InputError when too few are left.
    """
    n = min(n, len(test[0]), len(training[0]) // 2)
    if n < FEWEST:
        expected = f"{FEWEST} test images and twice as many training images"
        raise InputError("data", found=f"{len(test[0])} and {len(training[0])}", expected=expected)
    order = np.random.default_rng(0).permutation(len(training[0]))
    taken, left = np.sort(order[:n]), np.sort(order[n : (1 + AGAINST) * n])
    features = extractor.extract(training[0][left]).features
    pixels = training[0][left[:BINNED]]
    return ReferenceSet(
        extractor=extractor,
        test=test[0][:n],
        test_labels=None if test[1] is None else test[1][:n],
        test_features=extractor.extract(test[0][:n]),
        floor=training[0][taken],
        reference_labels=None if training[1] is None else training[1][taken],
        reference_features=extractor.extract(training[0][taken]),
        training=features,
        training_rows=left,
        bins=k_means(as_points(pixels), BINS),
        cells=k_means(features, CELLS),
    )


def as_points(images: np.ndarray) -> np.ndarray:
    """Images uint8 as points (n, H W [3]) in [0, 1], float32."""
    return unit_pixels(images.reshape(len(images), -1))
