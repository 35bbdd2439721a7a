"""Divide image space into bins by k-means, and compare how often real and generated images fall into each bin."""

from dataclasses import dataclass

import numpy as np

from .neighbours import nearest

K_MEANS_ROUNDS = 20  # iterations of k-means; few are enough, because bins need only roughly equal sizes
CRITICAL_Z = 1.96  # critical value of the two-sided z-test at the 5 % level


@dataclass(frozen=True)
class BinDifference:
    """How much two sets of points differ in the fraction of points in each bin.

    ndb: fraction of bins whose fractions of points differ at the 5 % level (NDB / K); about 0.05 if both sets have the
    same distribution. js_divergence: Jensen-Shannon divergence of the two histograms, in nats.
    """

    ndb: float
    js_divergence: float


def bin_difference(real: np.ndarray, generated: np.ndarray, centres: np.ndarray) -> BinDifference:
    """Compare how often real points (n, f) and generated points (m, f) fall into each bin.

    centres: centres of the bins (k, f). A point belongs to the bin whose centre is nearest.
    Source: E. Richardson, Y. Weiss, On GANs and GMMs, 2018, section 2: NDB / K and the Jensen-Shannon divergence.
    """
    k = len(centres)
    counts = [np.bincount(nearest(points, centres)[0], minlength=k) for points in (real, generated)]
    fractions = [count / count.sum() for count in counts]
    pooled = (counts[0] + counts[1]) / (counts[0].sum() + counts[1].sum())
    standard_error = np.sqrt(pooled * (1 - pooled) * (1 / counts[0].sum() + 1 / counts[1].sum()))
    differs = np.abs(fractions[0] - fractions[1]) > CRITICAL_Z * standard_error
    middle = (fractions[0] + fractions[1]) / 2
    divergence = sum(0.5 * np.sum(_x_log_ratio(fraction, middle)) for fraction in fractions)
    return BinDifference(float(differs.mean()), float(divergence))


def class_imbalance(generated: np.ndarray, real: np.ndarray) -> float:
    """Total variation distance between the class frequencies of two sets: 0 if equal, 1 if no class is in both.

    generated, real: class probabilities (n, k) and (m, k). Each image counts as its most probable class.
    """
    k = real.shape[1]
    fractions = [np.bincount(rows.argmax(1), minlength=k) / len(rows) for rows in (generated, real)]
    return float(0.5 * np.abs(fractions[0] - fractions[1]).sum())


def k_means(points: np.ndarray, k: int, *, seed: int = 0) -> np.ndarray:
    """Cluster points (n, f) by Lloyd's algorithm from k random points. Returns the centres, float32 (k, f)."""
    random = np.random.default_rng(seed)
    centres = points[random.choice(len(points), min(k, len(points)), replace=False)].astype(np.float32)
    for _ in range(K_MEANS_ROUNDS):
        clusters, _ = nearest(points, centres)
        counts = np.bincount(clusters, minlength=len(centres))
        sums = np.stack([np.bincount(clusters, column, len(centres)) for column in points.T], axis=1)
        centres = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres).astype(np.float32)
    return centres


def _x_log_ratio(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Elementwise x log(x / y) of arrays (k,); 0 where x is 0."""
    positive = x > 0
    return np.where(positive, x * np.log(np.where(positive, x, 1) / np.where(positive, y, 1)), 0)
