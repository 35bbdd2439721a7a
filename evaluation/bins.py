"""Bins of the image space, and whether real and generated images fall into them equally often."""

from dataclasses import dataclass

import numpy as np

from .neighbours import nearest

ROUNDS = 20  # of k-means: the bins need only be about equally large
Z = 1.96  # a share that differs by more, in standard errors, differs at the 5 % level


@dataclass(frozen=True)
class BinDifference:
    """different: share of bins that the two sets fill differently at the 5 % level; about 0.05 for one distribution.

    divergence: Jensen-Shannon, of the two histograms, in nats.
    """

    different: float
    divergence: float


def k_means(points: np.ndarray, k: int, *, seed: int = 0) -> np.ndarray:
    """Centres (k, f) of k clusters of points (n, f), by Lloyd's algorithm from k random points."""
    random = np.random.default_rng(seed)
    centres = points[random.choice(len(points), min(k, len(points)), replace=False)].astype(np.float32)
    for _ in range(ROUNDS):
        places, _ = nearest(points, centres)
        counts = np.bincount(places, minlength=len(centres))
        sums = np.zeros(centres.shape)
        np.add.at(sums, places, points)
        centres = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres).astype(np.float32)
    return centres


def bin_difference(real: np.ndarray, generated: np.ndarray, centres: np.ndarray) -> BinDifference:
    """How differently real points (n, f) and generated ones (m, f) fall into the bins around `centres` (k, f).

    Source: E. Richardson, Y. Weiss, On GANs and GMMs, 2018, section 2: NDB / K and the divergence beside it.
    """
    k = len(centres)
    counts = [np.bincount(nearest(points, centres)[0], minlength=k) for points in (real, generated)]
    shares = [count / count.sum() for count in counts]
    pooled = (counts[0] + counts[1]) / (counts[0].sum() + counts[1].sum())
    error = np.sqrt(pooled * (1 - pooled) * (1 / counts[0].sum() + 1 / counts[1].sum()))
    different = np.abs(shares[0] - shares[1]) > Z * error
    middle = (shares[0] + shares[1]) / 2
    divergence = sum(0.5 * np.sum(_x_log_ratio(share, middle)) for share in shares)
    return BinDifference(float(different.mean()), float(divergence))


def class_imbalance(generated: np.ndarray, real: np.ndarray) -> float:
    """Total variation between the labels that a feature extractor tells: 0 for equal shares, 1 for no label in common.

    generated, real: label probabilities (n, k) and (m, k), of which the likeliest label counts.
    """
    k = real.shape[1]
    shares = [np.bincount(one.argmax(1), minlength=k) / len(one) for one in (generated, real)]
    return float(0.5 * np.abs(shares[0] - shares[1]).sum())


def _x_log_ratio(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """X log(x / y), 0 where x is."""
    positive = x > 0
    return np.where(positive, x * np.log(np.where(positive, x, 1) / np.where(positive, y, 1)), 0)
