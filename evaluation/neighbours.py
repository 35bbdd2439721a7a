"""Metrics from nearest neighbours in feature space: precision, recall, density, coverage and memorisation."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

PART_ROWS = 1000  # number of rows whose distances are computed at a time, which limits memory
MIN_CELL_IMAGES = 20  # cells of feature space with fewer test or generated images are ignored


@dataclass(frozen=True)
class Support:
    """How much the supports of real and of generated images overlap. All but density are fractions from 0 to 1.

    precision: fraction of generated images within the support of real images. recall: fraction of real images within
    the support of generated images (T. Kynkaanniemi et al., Improved Precision and Recall, 2019, with k = 3).
    density: how densely real images surround generated images, about 1 if both have the same distribution. coverage:
    fraction of real images with a generated image nearby (M. Naeem et al., Reliable Fidelity and Diversity Metrics,
    2020, with k = 5).
    """

    precision: float
    recall: float
    density: float
    coverage: float


def support(real: np.ndarray, generated: np.ndarray, *, k_recall: int = 3, k_coverage: int = 5) -> Support:
    """Precision, recall, density and coverage of generated features (m, f) against real features (n, f)."""
    recall_radii, coverage_radii = _squared_radii(real, (k_recall, k_coverage))
    (generated_radii,) = _squared_radii(generated, (k_recall,))
    within_real = np.zeros(len(generated), bool)
    real_neighbours = np.zeros(len(generated))
    within_generated, covered = (np.zeros(len(real), bool) for _ in range(2))
    for rows, squared in _squared_distances(real, generated):
        within_real |= (squared <= recall_radii[rows, None]).any(0)
        within_generated[rows] = (squared <= generated_radii).any(1)
        near = squared <= coverage_radii[rows, None]
        real_neighbours += near.sum(0)
        covered[rows] = near.any(1)
    return Support(
        precision=float(within_real.mean()),
        recall=float(within_generated.mean()),
        density=float(real_neighbours.mean() / k_coverage),
        coverage=float(covered.mean()),
    )


def memorisation(training: np.ndarray, test: np.ndarray, generated: np.ndarray, centres: np.ndarray) -> float:
    """C_T, a z-score that tells whether generated images are closer to the training images than test images are.

    training (t, f), test (n, f), generated (m, f): features. centres (k, f): centres of the cells into which feature
    space is divided; distances are compared within each cell. C_T is about 0 if the generated images are like new real
    images, far below 0 for copies of training images, and far above 0 for images unlike the data; NaN if no cell has
    enough images.
    Source: C. Meehan, K. Chaudhuri, S. Dasgupta, A Non-Parametric Test to Detect Data-Copying, 2020, section 3.
    """
    test_cells, test_distances = nearest(test, centres)[0], nearest(test, training)[1]
    generated_cells, generated_distances = nearest(generated, centres)[0], nearest(generated, training)[1]
    total = weight = 0.0
    for cell in range(len(centres)):
        new, baseline = generated_distances[generated_cells == cell], test_distances[test_cells == cell]
        if min(len(new), len(baseline)) >= MIN_CELL_IMAGES:
            total += len(baseline) * _rank_score(new, baseline)
            weight += len(baseline)
    return total / weight if weight else float("nan")


def nearest(features: np.ndarray, training: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest row of `training` (n, f) for each row of `features` (m, f).

    Returns the indices of the nearest rows, int64 (m,), and the distances to them, float64 (m,).
    """
    indices, distances = np.empty(len(features), np.int64), np.empty(len(features))
    for rows, squared in _squared_distances(features, training):
        indices[rows] = squared.argmin(1)
        distances[rows] = np.sqrt(squared.min(1))
    return indices, distances


def nearest_in_parts(features: np.ndarray, parts: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest training row for each row of `features` (m, f), when training rows come in several arrays.

    parts: the training rows, arrays (n_i, f). Returns the indices of the nearest rows in the concatenation of these
    arrays, int64 (m,), and the distances to them, float64 (m,). Among equally near rows the first one is returned.
    """
    indices, distances = np.zeros(len(features), np.int64), np.full(len(features), np.inf)
    start = 0
    for part in parts:
        part_indices, part_distances = nearest(features, part)
        nearer = part_distances < distances
        indices[nearer], distances[nearer] = start + part_indices[nearer], part_distances[nearer]
        start += len(part)
    return indices, distances


def _rank_score(a: np.ndarray, b: np.ndarray) -> float:
    """Mann-Whitney U statistic of values a (n,) and b (m,), as a z-score.

    It is negative if values of a tend to be smaller than values of b. A pair of equal values counts as one half.
    """
    n, m = len(a), len(b)
    ordered = np.sort(b)
    u = 0.5 * (np.searchsorted(ordered, a, "left") + np.searchsorted(ordered, a, "right")).sum()
    return float((u - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12))


def _squared_radii(features: np.ndarray, ks: tuple[int, ...]) -> list[np.ndarray]:
    """Squared distance of every row of features (n, f) to its k-th nearest other row.

    Returns one float32 array (n,) for each k in `ks`.
    """
    radii = [np.empty(len(features), np.float32) for _ in ks]
    for rows, squared in _squared_distances(features, features):
        squared[np.arange(len(squared)), np.arange(rows.start, rows.start + len(squared))] = np.inf
        ordered = np.partition(squared, [k - 1 for k in ks], axis=1)
        for radius, k in zip(radii, ks, strict=True):
            radius[rows] = ordered[:, k - 1]
    return radii


def _squared_distances(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Squared distances between the rows of a (n, f) and of b (m, f), for PART_ROWS rows of a at a time.

    Yields the slice that selects these rows of a, and their distances, float32 (rows, m).
    """
    # Subtract the mean first: smaller norms lose less precision when they are subtracted below.
    centre = b.mean(0)
    x, y = (np.ascontiguousarray(part - centre, np.float32) for part in (a, b))
    squared_norms = np.einsum("nf,nf->n", y, y)
    for start in range(0, len(x), PART_ROWS):
        part = x[start : start + PART_ROWS]
        squared = np.einsum("nf,nf->n", part, part)[:, None] + squared_norms - 2 * part @ y.T
        yield slice(start, start + PART_ROWS), np.maximum(squared, 0)
