"""Distances between two sets of images, by the features that a feature extractor sees in them."""

import numpy as np

SUBSETS, SUBSET = 100, 1000  # of the kernel distance


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Squared Frechet distance between the Gaussians with the moments of features a (n, f) and b (m, f).

    |mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)). With few images it is too large, so compare it only at equal
    counts. Source: M. Heusel et al., GANs Trained by a Two Time-Scale Update Rule, 2017, equation 6.
    """
    mean_a, mean_b = a.mean(0, dtype=np.float64), b.mean(0, dtype=np.float64)
    covariance_a, covariance_b = (np.atleast_2d(np.cov(one.astype(np.float64), rowvar=False)) for one in (a, b))
    # (A B)^(1/2) has the eigenvalues of (A^(1/2) B A^(1/2))^(1/2), which is symmetric and so never turns complex.
    root = _square_root(covariance_a)
    overlap = np.sqrt(np.clip(np.linalg.eigvalsh(root @ covariance_b @ root), 0, None)).sum()
    trace = np.trace(covariance_a) + np.trace(covariance_b) - 2 * overlap
    return float(np.sum((mean_a - mean_b) ** 2) + max(trace, 0.0))


def kernel_distance(a: np.ndarray, b: np.ndarray, *, seed: int = 0) -> float:
    """Squared maximum mean discrepancy with the kernel (x.y / f + 1)^3: the mean over 100 subsets of 1000 images.

    a, b: features (n, f) and (m, f). Unbiased, so it is around 0, and may be below, for images of one distribution.
    Source: M. Binkowski et al., Demystifying MMD GANs, 2018, section 4.
    """
    size = min(SUBSET, len(a), len(b))
    random = np.random.default_rng(seed)
    return float(np.mean([_discrepancy(_some(a, size, random), _some(b, size, random)) for _ in range(SUBSETS)]))


def _square_root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    root: np.ndarray = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return root


def _some(features: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    rows: np.ndarray = features[random.choice(len(features), size, replace=False)].astype(np.float64)
    return rows


def _discrepancy(a: np.ndarray, b: np.ndarray) -> float:
    n = len(a)

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        values: np.ndarray = (x @ y.T / x.shape[1] + 1) ** 3
        return values

    within = sum((one.sum() - np.trace(one)) / (n * (n - 1)) for one in (kernel(a, a), kernel(b, b)))
    return float(within - 2 * kernel(a, b).mean())
