"""Distances between two sets of images, computed from their extracted features."""

import numpy as np

KERNEL_SUBSETS, KERNEL_SUBSET_IMAGES = 100, 1000


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Squared Frechet distance between Gaussians fitted to features a (n, f) and b (m, f).

    |mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)), with covariances A and B. The distance is biased upwards for few
    images, so compare only distances for equal numbers of images.
    Source: M. Heusel et al., GANs Trained by a Two Time-Scale Update Rule, 2017, equation 6.
    """
    mean_a, mean_b = a.mean(0, dtype=np.float64), b.mean(0, dtype=np.float64)
    covariance_a, covariance_b = (np.atleast_2d(np.cov(part.astype(np.float64), rowvar=False)) for part in (a, b))
    # (A B)^(1/2) and (A^(1/2) B A^(1/2))^(1/2) have the same trace. The second is computed, because
    # A^(1/2) B A^(1/2) is symmetric and so has real eigenvalues.
    root = _square_root(covariance_a)
    overlap = np.sqrt(np.clip(np.linalg.eigvalsh(root @ covariance_b @ root), 0, None)).sum()
    trace = np.trace(covariance_a) + np.trace(covariance_b) - 2 * overlap
    return float(np.sum((mean_a - mean_b) ** 2) + max(trace, 0.0))


def kernel_distance(a: np.ndarray, b: np.ndarray, *, seed: int = 0) -> float:
    """Squared maximum mean discrepancy between features a (n, f) and b (m, f), with the kernel (x.y / f + 1)^3.

    The result is the mean of the estimates for 100 pairs of random subsets, each of up to 1000 images. It is unbiased:
    for equal distributions it is about 0, and possibly negative.
    Source: M. Binkowski et al., Demystifying MMD GANs, 2018, section 4.
    """
    size = min(KERNEL_SUBSET_IMAGES, len(a), len(b))
    random = np.random.default_rng(seed)
    estimates = [
        _squared_discrepancy(_random_rows(a, size, random), _random_rows(b, size, random))
        for _ in range(KERNEL_SUBSETS)
    ]
    return float(np.mean(estimates))


def _square_root(covariance: np.ndarray) -> np.ndarray:
    """Symmetric square root of a positive semidefinite matrix, (f, f) -> (f, f)."""
    values, vectors = np.linalg.eigh(covariance)
    root: np.ndarray = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return root


def _random_rows(features: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """Choose `size` different random rows of features (n, f). Returns float64 (size, f)."""
    rows: np.ndarray = features[random.choice(len(features), size, replace=False)].astype(np.float64)
    return rows


def _squared_discrepancy(a: np.ndarray, b: np.ndarray) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy between features a (n, f) and b (n, f)."""
    n = len(a)

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:  # x and y (n, f) -> (n, n)
        base: np.ndarray = x @ y.T
        base /= x.shape[1]
        base += 1
        values: np.ndarray = base * base * base  # faster than base**3
        return values

    within = sum((gram.sum() - np.trace(gram)) / (n * (n - 1)) for gram in (kernel(a, a), kernel(b, b)))
    return float(within - 2 * kernel(a, b).mean())
