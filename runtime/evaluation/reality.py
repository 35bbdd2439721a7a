"""The real pictures that a model is measured against, and what a judge sees in them: computed once, used for all."""

from dataclasses import dataclass, field

import numpy as np

from ..errors import InputError
from ..pixels import unit_pixels
from .bins import bin_difference, class_imbalance, k_means
from .distances import frechet_distance, kernel_distance
from .judge import Judge, Seen
from .neighbours import memorisation, support

FEWEST = 50  # pictures to measure by: the statistics of fewer say nothing
AGAINST = 4  # training pictures that copies are looked for among, for each one generated
BINNED = 20_000  # training pictures that the bins are made of
BINS, CELLS = 100, 10  # of the picture space, for NDB; of the feature space, for C_T


@dataclass(frozen=True)
class Reality:
    """Real pictures and what the judge sees in them; n of each but the training pictures.

    test, test_labels: pictures uint8 (n, H, W[, 3]) and int64 (n,) or None. floor: training pictures as many, which
    stand for a perfect model. training: the judge's features of others, up to 4 n, among which copies are looked
    for; training_rows: which they are. bins: centres in pixels; cells: centres in features; both of training pictures.
    floor_measures: what `measures` gives for the floor.
    """

    judge: Judge
    test: np.ndarray
    test_labels: np.ndarray | None
    test_seen: Seen
    floor: np.ndarray
    floor_labels: np.ndarray | None
    floor_seen: Seen
    training: np.ndarray
    training_rows: np.ndarray
    bins: np.ndarray
    cells: np.ndarray
    floor_measures: dict[str, float] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "floor_measures", self.measures(self.floor, self.floor_seen))

    def __len__(self) -> int:
        return len(self.test)

    def measures(self, pictures: np.ndarray, seen: Seen) -> dict[str, float]:
        """How pictures, uint8, and what the judge has seen in them differ from the test pictures."""
        held = support(self.test_seen.features, seen.features)
        binned = bin_difference(as_points(self.test), as_points(pictures), self.bins)
        return {
            "frechet_distance": frechet_distance(seen.features, self.test_seen.features),
            "kernel_distance": kernel_distance(seen.features, self.test_seen.features),
            "precision": held.precision,
            "recall": held.recall,
            "density": held.density,
            "coverage": held.coverage,
            "bins_different": binned.different,
            "bin_divergence": binned.divergence,
            "memorisation": memorisation(self.training, self.test_seen.features, seen.features, self.cells),
            "class_imbalance": class_imbalance(seen.probabilities, self.test_seen.probabilities),
            "confidence": float(seen.probabilities.max(1).mean()),
        }


Labelled = tuple[np.ndarray, np.ndarray | None]


def reality(judge: Judge, training: Labelled, test: Labelled, n: int) -> Reality:
    """What to measure n generated pictures against.

    training, test: pictures uint8 and their labels, or None. n is cut to what there is: equal counts are compared, and
    half of the training pictures at least are left to look for copies of. Raises InputError when too few are left.
    """
    n = min(n, len(test[0]), len(training[0]) // 2)
    if n < FEWEST:
        expected = f"{FEWEST} test pictures and twice as many training pictures"
        raise InputError("data", found=f"{len(test[0])} and {len(training[0])}", expected=expected)
    order = np.random.default_rng(0).permutation(len(training[0]))
    taken, left = np.sort(order[:n]), np.sort(order[n : (1 + AGAINST) * n])
    features = judge.look(training[0][left]).features
    pixels = training[0][left[:BINNED]]
    return Reality(
        judge=judge,
        test=test[0][:n],
        test_labels=None if test[1] is None else test[1][:n],
        test_seen=judge.look(test[0][:n]),
        floor=training[0][taken],
        floor_labels=None if training[1] is None else training[1][taken],
        floor_seen=judge.look(training[0][taken]),
        training=features,
        training_rows=left,
        bins=k_means(as_points(pixels), BINS),
        cells=k_means(features, CELLS),
    )


def as_points(pictures: np.ndarray) -> np.ndarray:
    """Pictures uint8 as points (n, H W [3]) in [0, 1], float32."""
    return unit_pixels(pictures.reshape(len(pictures), -1))
