"""Fit a mixture of Gaussians with full covariances by expectation maximisation (EM).

The log density of a Gaussian is linear in the features 1, x_i and x_i x_j of a latent x. An E step for all components
is therefore one matrix product of features and coefficients, and an M step one of features and responsibilities. This
takes a fraction of the time of scikit-learn's GaussianMixture, which handles one component after another.

One letter stands for each axis of an array: n for latents, d for latent dimensions, k for components, and
f = 1 + d + d (d + 1) / 2 for features.

Source: A. Dempster, N. Laird, D. Rubin, Maximum Likelihood from Incomplete Data via the EM Algorithm, 1977.
"""

import math
import warnings
from collections.abc import Callable

import numpy as np
from sklearn.cluster import KMeans

from ..runtime.distributions import LOG_2PI, Mixture, log_sum_exp
from ..runtime.workers import slices
from ..train.latents import JITTER, jitter

KMEANS_STEPS = 20  # maximum number of k-means iterations; EM continues from its result
TOLERANCE = 1e-3  # EM stops if an iteration raises the mean log density by less than this, in nats
MIN_COUNT = 10 * np.finfo(float).eps  # added to the number of latents of each component, to avoid a division by 0
BLOCK_VALUES = 2**22  # number of feature values computed at a time; in float64 they take 32 MB
MIN_BLOCK_ROWS = 256  # a block has at least this many latents, because smaller matrix products would be slow


def fit_mixture(
    latents: np.ndarray,
    components: int,
    steps: int,
    start: Mixture | None = None,
    report: Callable[[int], None] = lambda step: None,
) -> Mixture:
    """Fit a mixture of Gaussians to latents, float64 (n, d).

    components: the number of components k, at most n. steps: iterations of EM at most. start: the mixture of k
    components that EM starts from; None starts from k-means. report: called with the number of each iteration of EM,
    from 1 on, when it is done. All arrays of the mixture are float64. The same input gives the same mixture.
    """
    # EM runs on latents that are shifted and scaled to mean 0 and mean variance 1. So second moments lose little
    # precision, and the constant JITTER suits the variances.
    centre, scale = latents.mean(0), math.sqrt(jitter(np.diag(latents.var(0))) / JITTER)
    points = (latents - centre) / scale
    if start is None:
        mixture = _clustered(points, components)
    else:
        mixture = Mixture(start.weights, (start.means - centre) / scale, start.factors / scale)
    previous = -math.inf
    for step in range(1, steps + 1):
        sums, log_density = _expectation(points, mixture)
        mixture = _maximisation(sums, points.shape[1])
        report(step)
        if log_density - previous < TOLERANCE:
            break
        previous = log_density
    return Mixture(mixture.weights, centre + scale * mixture.means, scale * mixture.factors)


def _clustered(points: np.ndarray, components: int) -> Mixture:
    """Equal spherical Gaussians around the centres of k-means. points: (n, d)."""
    n, d = points.shape
    clusters = KMeans(components, n_init=1, max_iter=KMEANS_STEPS, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # hides warnings about equal latents and few steps, which EM can handle
        clusters.fit(points)
    counts = np.bincount(clusters.labels_, minlength=components) + MIN_COUNT
    std = math.sqrt(clusters.inertia_ / (n * d) + JITTER)
    return Mixture(counts / counts.sum(), clusters.cluster_centers_, np.tile(std * np.eye(d), (components, 1, 1)))


def _expectation(points: np.ndarray, mixture: Mixture) -> tuple[np.ndarray, float]:
    """The E step. Returns the sums, over points (n, d), of responsibility * feature, and the mean log density in nats.

    The responsibility of a component for a point is its probability given the point. The sums are (k, f).
    """
    coefficients = _coefficients(mixture)
    sums, log_density = np.zeros_like(coefficients), 0.0
    rows = max(BLOCK_VALUES // coefficients.shape[1], MIN_BLOCK_ROWS)
    for part in slices(len(points), rows):
        features = _features(points[part])
        joint = coefficients @ features  # log of weight * density, (k, n)
        densities = log_sum_exp(joint.T)
        sums += np.exp(joint - densities) @ features.T
        log_density += float(densities.sum())
    return sums, log_density / len(points)


def _maximisation(sums: np.ndarray, d: int) -> Mixture:
    """The M step: the mixture with the weights, means and covariances that the sums (k, f) of `_expectation` give."""
    counts = sums[:, 0] + MIN_COUNT
    moments = sums / counts[:, None]
    means, rows, columns = moments[:, 1 : 1 + d], *np.triu_indices(d)
    covariances = np.empty((len(counts), d, d))
    covariances[:, rows, columns] = covariances[:, columns, rows] = moments[:, 1 + d :]
    covariances += JITTER * np.eye(d) - means[:, :, None] * means[:, None, :]
    return Mixture(counts / counts.sum(), means, np.linalg.cholesky(covariances))


def _coefficients(mixture: Mixture) -> np.ndarray:
    """The coefficients (k, f) with which features (f, n) give log(weight * density) of each component, (k, n)."""
    d = mixture.latent_dim
    inverses = np.linalg.inv(mixture.factors)
    precisions = inverses.swapaxes(1, 2) @ inverses
    linear = np.einsum("kij,kj->ki", precisions, mixture.means)
    log_determinants = np.log(np.diagonal(inverses, axis1=1, axis2=2)).sum(1)
    constant = np.log(mixture.weights) + log_determinants - 0.5 * (mixture.means * linear).sum(1) - 0.5 * d * LOG_2PI
    rows, columns = np.triu_indices(d)
    quadratic = -precisions[:, rows, columns] * np.where(rows == columns, 0.5, 1.0)
    return np.concatenate([constant[:, None], linear, quadratic], 1)


def _features(points: np.ndarray) -> np.ndarray:
    """The features (f, n) of points (n, d): 1, then x_i, then x_i x_j with i <= j."""
    n, d = points.shape
    columns = np.ascontiguousarray(points.T)
    features = np.empty((1 + d + d * (d + 1) // 2, n))
    features[0], features[1 : 1 + d] = 1, columns
    end = 1 + d
    for i in range(d):
        np.multiply(columns[i], columns[i:], out=features[end : end + d - i])
        end += d - i
    return features
