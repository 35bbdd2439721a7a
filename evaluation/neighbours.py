"""What nearest neighbours say: of generated images among real ones, and of real ones among generated ones."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

ROWS = 1000  # whose distances to all others are held at once
FEWEST = 20  # images of a cell on each side: a rank test of fewer says nothing


@dataclass(frozen=True)
class Support:
    """How two distributions' supports lie. All but density are shares from 0 to 1.

    precision: of generated images among real ones. recall: of real ones among generated ones (T. Kynkaanniemi et al.,
    Improved Precision and Recall, 2019, k = 3). density: how densely real images lie around generated ones, about 1
    for one distribution; coverage: of real images with a generated one nearby (M. Naeem et al., Reliable Fidelity and
    Diversity Metrics, 2020, k = 5).
    """

    precision: float
    recall: float
    density: float
    coverage: float


def support(real: np.ndarray, generated: np.ndarray, *, k_recall: int = 3, k_coverage: int = 5) -> Support:
    """Precision, recall, density and coverage of generated features (m, f) against real ones (n, f)."""
    near_real, far_real = _radii(real, (k_recall, k_coverage))
    (near_generated,) = _radii(generated, (k_recall,))
    inside_real = np.zeros(len(generated), bool)
    around = np.zeros(len(generated))
    inside_generated, covered = (np.zeros(len(real), bool) for _ in range(2))
    for rows, squared in _squared_distances(real, generated):
        inside_real |= (squared <= near_real[rows, None]).any(0)
        inside_generated[rows] = (squared <= near_generated).any(1)
        close = squared <= far_real[rows, None]
        around += close.sum(0)
        covered[rows] = close.any(1)
    return Support(
        precision=float(inside_real.mean()),
        recall=float(inside_generated.mean()),
        density=float(around.mean() / k_coverage),
        coverage=float(covered.mean()),
    )


def nearest(features: np.ndarray, training: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row in `training` (n, f) of the nearest neighbour of each of `features` (m, f), int64 (m,), and its distance."""
    places, distances = np.empty(len(features), np.int64), np.empty(len(features))
    for rows, squared in _squared_distances(features, training):
        places[rows] = squared.argmin(1)
        distances[rows] = np.sqrt(squared.min(1))
    return places, distances


def nearest_in_parts(features: np.ndarray, parts: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """What `nearest` gives, where the training features come in parts (n_i, f), one after the other.

    Rows are counted over all parts; of equal neighbours the first counts.
    """
    places, distances = np.zeros(len(features), np.int64), np.full(len(features), np.inf)
    start = 0
    for part in parts:
        found, apart = nearest(features, part)
        nearer = apart < distances
        places[nearer], distances[nearer] = start + found[nearer], apart[nearer]
        start += len(part)
    return places, distances


def memorisation(training: np.ndarray, test: np.ndarray, generated: np.ndarray, cells: np.ndarray) -> float:
    """C_T: whether generated images lie closer to training images than new real ones do, in standard deviations.

    training, test, generated: features (n, f). cells: centres (k, f) of the cells in which ranks are compared. Around
    0 for new real images; far below 0 for copies of training images, far above for images off the data.
    Source: C. Meehan, K. Chaudhuri, S. Dasgupta, A Non-Parametric Test to Detect Data-Copying, 2020, section 3.
    """
    sides = [(nearest(one, cells)[0], nearest(one, training)[1]) for one in (test, generated)]
    total = weight = 0.0
    for cell in range(len(cells)):
        ours, theirs = (distances[places == cell] for places, distances in reversed(sides))
        if min(len(ours), len(theirs)) >= FEWEST:
            total += len(theirs) * _rank_score(ours, theirs)
            weight += len(theirs)
    return total / weight if weight else float("nan")


def _rank_score(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The Mann-Whitney statistic as a standard score; below 0 when ours are smaller. Ties share their ranks."""
    n, m = len(ours), len(theirs)
    ordered = np.sort(theirs)
    wins = 0.5 * (np.searchsorted(ordered, ours, "left") + np.searchsorted(ordered, ours, "right")).sum()
    return float((wins - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12))


def _radii(features: np.ndarray, ks: tuple[int, ...]) -> list[np.ndarray]:
    """Squared distance of every row to its k-th nearest neighbour, itself not counted, for each k."""
    radii = [np.empty(len(features), np.float32) for _ in ks]
    for rows, squared in _squared_distances(features, features):
        squared[np.arange(len(squared)), np.arange(rows.start, rows.start + len(squared))] = np.inf
        ordered = np.partition(squared, [k - 1 for k in ks], axis=1)
        for radius, k in zip(radii, ks, strict=True):
            radius[rows] = ordered[:, k - 1]
    return radii


def _squared_distances(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Squared distances of all rows of a to all of b, float32, a part of a's rows at a time."""
    # Around a common centre the squares are small, and their difference loses less to rounding.
    centre = b.mean(0)
    x, y = (np.ascontiguousarray(one - centre, np.float32) for one in (a, b))
    squares_y = np.einsum("nf,nf->n", y, y)
    for start in range(0, len(x), ROWS):
        part = x[start : start + ROWS]
        squared = np.einsum("nf,nf->n", part, part)[:, None] + squares_y - 2 * part @ y.T
        yield slice(start, start + ROWS), np.maximum(squared, 0)
