"""Probability distributions over latents, with numpy alone.

A distribution turns noise into latents. A seed fixes an endless sequence of noise, and the latent at index i is made
from the noise at index i alone. Sums are computed in an order that does not depend on the number of latents. Each
latent is therefore bit-identical for any batch size and number of threads.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np

from .errors import InputError
from .noise import Noise

BaseNoise = tuple[np.ndarray, ...]  # arrays (n, ...) of random numbers, from which n latents are made
LOG_2PI = math.log(2 * math.pi)
CHUNK = 1024  # densities are computed for this many latents at a time, which limits memory


class Prior(Protocol):
    """A distribution that latents are sampled from."""

    @property
    def latent_dim(self) -> int:
        """Number of latent dimensions d."""

    def noise(self, stream: Noise, start: int, n: int) -> BaseNoise:
        """The random numbers for the latents at indices start to start + n - 1 of a seed's sequence, (n, ...)."""

    def latents(self, noise: BaseNoise, temperature: float) -> np.ndarray:
        """Turn noise into latents, float32 (n, d).

        temperature: factor on the standard deviation of the latents around their mean. 1 leaves the distribution
        unchanged, and at 0 every latent is the mean. For a mixture or a kernel density, the mean is that of the
        component chosen for the latent. A learned prior scales its noise instead.
        """

    def log_prob(self, latents: np.ndarray) -> np.ndarray:
        """Log density of latents (n, d) in nats at temperature 1, float64 (n,)."""


class Gaussian(NamedTuple):
    """A Gaussian: z = mean + L e with e from N(0, I), so that the covariance is L L^T.

    mean: the mean (d,). factor: the Cholesky factor L (d, d) of the covariance, lower triangular.
    """

    mean: np.ndarray
    factor: np.ndarray

    @property
    def latent_dim(self) -> int:
        """Number of latent dimensions d."""
        return len(self.mean)

    def noise(self, stream: Noise, start: int, n: int) -> BaseNoise:
        """Standard normals, float32 (n, d), for the latents at indices start to start + n - 1 of a seed's sequence."""
        return (stream.normals(start, n, self.latent_dim),)

    def latents(self, noise: BaseNoise, temperature: float) -> np.ndarray:
        """Turn noise into latents, float32 (n, d), as `Prior.latents` describes."""
        (normals,) = noise
        deviation = _apply_factors(self.factor[None], normals)
        latents: np.ndarray = self.mean + np.float32(temperature) * deviation
        return latents

    def log_prob(self, latents: np.ndarray) -> np.ndarray:
        """Log density of latents (n, d) in nats, float64 (n,)."""
        return _gaussian_log_prob(latents, self.mean, self.factor)


class Mixture(NamedTuple):
    """A mixture of k Gaussians with weights (k,), means (k, d) and Cholesky factors (k, d, d)."""

    weights: np.ndarray
    means: np.ndarray
    factors: np.ndarray

    @property
    def latent_dim(self) -> int:
        """Number of latent dimensions d."""
        return int(self.means.shape[1])

    def noise(self, stream: Noise, start: int, n: int) -> BaseNoise:
        """Two arrays for n latents: uniform numbers (n,), which choose a component, and standard normals (n, d)."""
        return stream.uniforms(start, n), stream.normals(start, n, self.latent_dim)

    def latents(self, noise: BaseNoise, temperature: float) -> np.ndarray:
        """Turn noise into latents, float32 (n, d), as `Prior.latents` describes."""
        uniforms, normals = noise
        chosen = choose(np.cumsum(self.weights, dtype=np.float64), uniforms)
        deviation = _apply_factors(self.factors[chosen], normals)
        latents: np.ndarray = self.means[chosen] + np.float32(temperature) * deviation
        return latents

    def log_prob(self, latents: np.ndarray) -> np.ndarray:
        """Log density of latents (n, d) in nats, float64 (n,)."""
        densities = [
            _gaussian_log_prob(latents, *component) for component in zip(self.means, self.factors, strict=True)
        ]
        weights = self.weights.astype(np.float64)
        return log_sum_exp(np.stack(densities, 1) + np.log(weights / weights.sum() + np.finfo(float).tiny))


class Kernels(NamedTuple):
    """A Gaussian kernel density with m centres.

    kept: the centres as stored, (m, d), floats of any precision. Centre i is mean + scale * kept[i], where mean and
    scale are arrays (d,) or numbers. bandwidth: the standard deviation of every kernel in each latent dimension, (d,).
    Source: E. Parzen, On Estimation of a Probability Density Function and Mode, 1962.
    """

    kept: np.ndarray
    bandwidth: np.ndarray
    mean: np.ndarray | float = 0.0
    scale: np.ndarray | float = 1.0

    @property
    def latent_dim(self) -> int:
        """Number of latent dimensions d."""
        return int(self.kept.shape[1])

    def noise(self, stream: Noise, start: int, n: int) -> BaseNoise:
        """Two arrays for n latents: uniform numbers (n,), which choose a centre, and standard normal numbers (n, d)."""
        return stream.uniforms(start, n), stream.normals(start, n, self.latent_dim)

    def latents(self, noise: BaseNoise, temperature: float) -> np.ndarray:
        """Turn noise into latents, float32 (n, d), as `Prior.latents` describes."""
        uniforms, normals = noise
        chosen = np.minimum((uniforms * len(self.kept)).astype(np.intp), len(self.kept) - 1)
        centres = self.kept[chosen].astype(np.float32)
        if isinstance(self.scale, np.ndarray):
            centres = self.mean + self.scale * centres
        latents: np.ndarray = centres + np.float32(temperature) * self.bandwidth * normals
        return latents

    def log_prob(self, latents: np.ndarray) -> np.ndarray:
        """Log density of latents (n, d) in nats, float64 (n,)."""
        width = self.bandwidth.astype(np.float64)
        # The mean is subtracted from centres and points, because differences of squared norms lose digits far from 0.
        centres = self.scale * self.kept.astype(np.float64) / width
        points = (latents - self.mean) / width
        norms = 0.5 * np.sum(centres**2, 1)
        constant = np.sum(np.log(width)) + 0.5 * len(width) * LOG_2PI + math.log(len(centres))
        densities = [np.empty(0)]
        for start in range(0, len(points), CHUNK):
            chunk = points[start : start + CHUNK]
            exponents = chunk @ centres.T - norms - 0.5 * np.sum(chunk**2, 1)[:, None]
            densities.append(log_sum_exp(exponents) - constant)
        return np.concatenate(densities)


class ClassConditional(NamedTuple):
    """A prior for samples whose classes are given. Each latent is sampled from the prior of its own class.

    priors: the prior of each class, by class index. classes: the class indices, int64 (n,), of n consecutive samples of
    a seed's sequence. first: the index in the sequence of the first of these samples.
    """

    priors: Mapping[int, Prior]
    classes: np.ndarray
    first: int

    @property
    def latent_dim(self) -> int:
        """Number of latent dimensions d."""
        return next(iter(self.priors.values())).latent_dim

    def noise(self, stream: Noise, start: int, n: int) -> BaseNoise:
        """Random numbers (n, ...) and class indices (n,) for the latents at indices start to start + n - 1.

        The priors of all classes need the same random numbers, so the first of these priors makes them for all.
        """
        noise = next(iter(self.priors.values())).noise(stream, start, n)
        return *noise, self.classes[start - self.first : start - self.first + n]

    def latents(self, noise: BaseNoise, temperature: float) -> np.ndarray:
        """Turn noise into latents, float32 (n, d), as `Prior.latents` describes."""
        *numbers, classes = noise
        latents = np.empty((len(classes), self.latent_dim), np.float32)
        for index in np.unique(classes):
            rows = classes == index
            latents[rows] = self.priors[int(index)].latents(tuple(array[rows] for array in numbers), temperature)
        return latents

    def log_prob(self, latents: np.ndarray) -> np.ndarray:
        """Always raises InputError, because only the prior of one class or of all classes has a density.

        latents: (n, d).
        """
        raise InputError("log_prob", found="several classes", expected="one, or none")


def choose(cumulative_weights: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Choose an index for each uniform number, with probabilities proportional to the weights. Returns int64 (n,).

    cumulative_weights: the cumulative sums of the k weights, float64 (k,). uniforms: the numbers (n,), in [0, 1).
    """
    indices: np.ndarray = cumulative_weights[:-1].searchsorted(uniforms * cumulative_weights[-1], side="right")
    return indices


def log_sum_exp(values: np.ndarray) -> np.ndarray:
    """log(sum(exp(values))) over the last axis, without overflow. values: (..., k); the result is (...)."""
    maximum = values.max(-1)
    result: np.ndarray = maximum + np.log(np.sum(np.exp(values - maximum[..., None]), -1))
    return result


def _apply_factors(factors: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Multiply each vector of normals e by its Cholesky factor L. Returns the products L e, (n, d).

    factors: one L for each vector, (n, d, d), or one for all, (1, d, d). normals: the n vectors e, (n, d). A matrix
    product with BLAS is not used, because BLAS chooses the order of its sums by the size of the batch. The last bit of
    a latent would then depend on the number of latents that are sampled together.
    """
    products: np.ndarray = (factors * normals[:, None, :]).sum(2)
    return products


def _gaussian_log_prob(latents: np.ndarray, mean: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Log density, float64 (n,), of latents (n, d) under a Gaussian with mean (d,) and Cholesky factor (d, d)."""
    factor = factor.astype(np.float64)
    whitened = np.linalg.solve(factor, (latents - mean).astype(np.float64).T)
    log_determinant = np.sum(np.log(np.diag(factor)))
    result: np.ndarray = -0.5 * np.sum(whitened**2, 0) - log_determinant - 0.5 * len(mean) * LOG_2PI
    return result
