"""Distributions that latents are drawn from, with numpy alone.

A prior turns chance, which is standard normal noise and a uniform number for the choice of a component, into latents.
Chance comes from seeded streams that are read row by row, and the maths here adds up in an order that does not depend
on how many rows come at once. The same seed therefore gives the same latents, bit for bit, whatever the batch size or
the number of threads, and the first 16 of 64 latents are the 16 latents.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .errors import InputError
from .interpolation import path
from .noise import Noise
from .session import Network

Latents = Mapping[str, np.ndarray]
BaseNoise = tuple[np.ndarray, ...]
FLOW = "flow"  # the name of a prior that is a network
LOG_2PI = math.log(2 * math.pi)
CHUNK = 1024  # latents whose densities are computed at once


class Prior(Protocol):
    """A distribution over latents."""

    @property
    def latent_dim(self) -> int:
        """Axes d of a code."""

    def base_noise(self, noise: Noise, n: int) -> BaseNoise:
        """The random numbers of the next n latents, a row for each in every array."""

    def latents(self, base_noise: BaseNoise, temperature: float) -> np.ndarray:
        """Their latents, float32 (n, d). temperature scales the standard deviation around the mean, of a mixture or a
        kernel density around that of the component chosen: 1 is as fitted, at 0 every code is such a mean.
        """

    def log_prob(self, latents: np.ndarray) -> np.ndarray:
        """Log density of latents (n, d) in nats, float64 (n,), at temperature 1."""


@dataclass(frozen=True)
class Gaussian:
    """One Gaussian: z = mean + L e, where L (d, d) is lower triangular and L L^T the covariance."""

    mean: np.ndarray
    factor: np.ndarray

    @property
    def latent_dim(self) -> int:
        """Axes d of a code."""
        return len(self.mean)

    def base_noise(self, noise: Noise, n: int) -> BaseNoise:
        """Normals (n, d)."""
        return (noise.normals(n, len(self.mean)),)

    def latents(self, base_noise: BaseNoise, temperature: float) -> np.ndarray:
        """Latents, float32 (n, d)."""
        (normals,) = base_noise
        deviation = _apply_factors(self.factor[None], normals)
        latents: np.ndarray = self.mean + np.float32(temperature) * deviation
        return latents

    def log_prob(self, latents: np.ndarray) -> np.ndarray:
        """Log density of latents (n, d) in nats, float64 (n,)."""
        return _gaussian_log_prob(latents, self.mean, self.factor)


@dataclass(frozen=True)
class Mixture:
    """Gaussians (k, d) with factors (k, d, d), each drawn as often as its weight (k,) says."""

    weights: np.ndarray
    means: np.ndarray
    factors: np.ndarray

    @property
    def latent_dim(self) -> int:
        """Axes d of a code."""
        return int(self.means.shape[1])

    def base_noise(self, noise: Noise, n: int) -> BaseNoise:
        """Uniforms (n,) for the choice of a Gaussian, and normals (n, d)."""
        return noise.uniforms(n), noise.normals(n, self.means.shape[1])

    def latents(self, base_noise: BaseNoise, temperature: float) -> np.ndarray:
        """Latents, float32 (n, d)."""
        uniforms, normals = base_noise
        chosen = _choices(self.weights, uniforms)
        deviation = _apply_factors(self.factors[chosen], normals)
        latents: np.ndarray = self.means[chosen] + np.float32(temperature) * deviation
        return latents

    def log_prob(self, latents: np.ndarray) -> np.ndarray:
        """Log density of latents (n, d) in nats, float64 (n,)."""
        parts = [
            _gaussian_log_prob(latents, mean, factor) for mean, factor in zip(self.means, self.factors, strict=True)
        ]
        weights = self.weights.astype(np.float64)
        return log_sum_exp(np.stack(parts, 1) + np.log(weights / weights.sum() + np.finfo(float).tiny))


@dataclass(frozen=True)
class Kernels:
    """A kernel density: one of the centres, moved by normal noise of a bandwidth (d,) on each axis.

    kept: what is stored of the centres, (m, d) floats of any precision; a centre is mean + scale * kept, both (d,) or a
    number. Source: E. Parzen, On Estimation of a Probability Density Function and Mode, 1962.
    """

    kept: np.ndarray
    bandwidth: np.ndarray
    mean: np.ndarray | float = 0.0
    scale: np.ndarray | float = 1.0

    @property
    def latent_dim(self) -> int:
        """Axes d of a code."""
        return int(self.kept.shape[1])

    def base_noise(self, noise: Noise, n: int) -> BaseNoise:
        """Uniforms (n,) for the choice of a centre, and normals (n, d)."""
        return noise.uniforms(n), noise.normals(n, self.latent_dim)

    def latents(self, base_noise: BaseNoise, temperature: float) -> np.ndarray:
        """Latents, float32 (n, d)."""
        uniforms, normals = base_noise
        chosen = np.minimum((uniforms * len(self.kept)).astype(np.intp), len(self.kept) - 1)
        centres = self.kept[chosen].astype(np.float32)
        if isinstance(self.scale, np.ndarray):
            centres = self.mean + self.scale * centres
        latents: np.ndarray = centres + np.float32(temperature) * self.bandwidth * normals
        return latents

    def log_prob(self, latents: np.ndarray) -> np.ndarray:
        """Log density of latents (n, d) in nats, float64 (n,)."""
        width = self.bandwidth.astype(np.float64)
        centres = self.scale * self.kept.astype(np.float64) / width  # from the mean on: far from 0 digits would be lost
        points = (latents - self.mean) / width
        norms = 0.5 * np.sum(centres**2, 1)
        constant = np.sum(np.log(width)) + 0.5 * len(width) * LOG_2PI + math.log(len(centres))
        pieces = [np.empty(0)]
        for start in range(0, len(points), CHUNK):
            piece = points[start : start + CHUNK]
            exponents = piece @ centres.T - norms - 0.5 * np.sum(piece**2, 1)[:, None]
            pieces.append(log_sum_exp(exponents) - constant)
        return np.concatenate(pieces)


@dataclass(frozen=True)
class Flow:
    """A learned flow, which carries normal noise to latents.

    network: `noise` [batch, d], and `label` [batch] where there are labels, to `latent`. shares: how often each label
    is drawn (k,), where all are, nearly exactly in every STRATA latents; empty without labels, and where who asks gives
    them. Its latents agree to float rounding at any batch size.
    """

    network: Network
    latent_dim: int
    shares: np.ndarray

    def base_noise(self, noise: Noise, n: int) -> BaseNoise:
        """Normals (n, d) and places of labels (n,)."""
        return noise.normals(n, self.latent_dim), self._labels(noise, n)

    def latents(self, base_noise: BaseNoise, temperature: float) -> np.ndarray:
        """Latents, float32 (n, d). temperature scales the noise. chance: the last array of it are the class indices."""
        normals, *_, labels = base_noise
        return self._transport(np.float32(temperature) * normals, labels)

    def walk(self, noise: Noise, steps: int, temperature: float) -> np.ndarray:
        """The latents from one draw to another of the same label, float32 (steps, d), along the arc between their noise.

        Noise on the arc is as likely as at its ends, so every code on the way is one that could have been drawn.
        """
        start, end = np.float32(temperature) * noise.normals(2, self.latent_dim)
        return self._transport(path("slerp", start, end, steps), np.repeat(self._labels(noise, 1), steps))

    def _labels(self, noise: Noise, n: int) -> np.ndarray:
        return _choices(self.shares, noise.strata(n)) if len(self.shares) else np.empty(0, np.int64)

    def _transport(self, noise: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return self.network.run("latent", {"noise": noise, **({"label": labels} if len(labels) else {})})

    def log_prob(self, latents: np.ndarray) -> np.ndarray:
        """Raises InputError: the graph gives latents and no densities."""
        remedy = "A flow's density is not in its graph; `log_likelihood` of the manifest has the mean at export."
        raise InputError("log_prob", found=f"prior {FLOW!r}", expected=f"one of {', '.join(PRIORS)}", remedy=remedy)


@dataclass(frozen=True)
class ClassConditional:
    """The priors of several classes, by class index, for images that each have a class of their own."""

    priors: Mapping[int, Prior]

    @property
    def latent_dim(self) -> int:
        """Latent dimension d."""
        return next(iter(self.priors.values())).latent_dim

    def base_noise(self, noise: Noise, n: int) -> BaseNoise:
        """What each of the priors takes: the same for all of them. The class indices (n,) come last, from who asks."""
        return next(iter(self.priors.values())).base_noise(noise, n)

    def latents(self, base_noise: BaseNoise, temperature: float) -> np.ndarray:
        """Latents, float32 (n, d). chance: as of `chance`, and class indices (n,)."""
        *numbers, classes = base_noise
        latents = np.empty((len(classes), self.latent_dim), np.float32)
        for index in np.unique(classes):
            rows = classes == index
            latents[rows] = self.priors[int(index)].latents(tuple(part[rows] for part in numbers), temperature)
        return latents

    def log_prob(self, latents: np.ndarray) -> np.ndarray:
        """Raises InputError: a density is of one class, or of all."""
        raise InputError("log_prob", found="several classes", expected="one, or none")


def stored_prior(name: str, latents: Latents, index: int | None = None) -> Prior:
    """The prior `name` over an artifact's stored statistics, of all images or of those of one class, by its index.

    Raises InputError for a prior that knows no classes, KeyError for statistics that are not there.
    """
    of_all, of_class = PRIORS[name]
    if index is None:
        return of_all(latents)
    if of_class is None or "labels" not in latents:
        with_labels = [prior for prior, (_, labelled) in PRIORS.items() if labelled is not None]
        expected = f"no label, or one of {', '.join(with_labels)}" if of_class is None else "a model of labelled images"
        raise InputError(f"prior {name!r}", found=f"a label, class index {index}", expected=expected)
    return of_class(latents, index)


def _standard(latents: Latents) -> Prior:
    d = len(latents["mean"])
    return Gaussian(np.zeros(d, np.float32), np.eye(d, dtype=np.float32))


def _diagonal(latents: Latents) -> Prior:
    return _independent(latents["mean"], latents["std"])


def _class_diagonal(latents: Latents, c: int) -> Prior:
    return _independent(latents["class_mean"][c], latents["class_std"][c])


def _independent(mean: np.ndarray, std: np.ndarray) -> Prior:
    """A Gaussian with a standard deviation (d,) for each dimension; of one that never moves the least there is."""
    return Gaussian(mean, np.diag(np.maximum(std, np.finfo(np.float32).tiny)))


def _gaussian(latents: Latents) -> Prior:
    return Gaussian(latents["mean"], latents["factor"])


def _class_gaussian(latents: Latents, c: int) -> Prior:
    return Gaussian(latents["class_mean"][c], latents["class_factor"][c])


def _gmm(latents: Latents) -> Prior:
    return Mixture(latents["gmm_weights"], latents["gmm_means"], latents["gmm_factors"])


def _class_gmm(latents: Latents, c: int) -> Prior:
    return Mixture(latents["class_gmm_weights"][c], latents["class_gmm_means"][c], latents["class_gmm_factors"][c])


def _kde(latents: Latents) -> Prior:
    return _kernels(latents, slice(None), latents["kde_bandwidth"])


def _class_kde(latents: Latents, c: int) -> Prior:
    rows = np.flatnonzero(latents["kde_classes"] == c)
    if not len(rows):
        raise KeyError(f"latents of class {c}")
    return _kernels(latents, rows, latents["class_kde_bandwidth"][c])


def _kernels(latents: Latents, rows: "slice | np.ndarray", bandwidth: np.ndarray) -> Prior:
    """Of some of the latents that are kept, stored as halves: relative to a mean and a scale, or as they are."""
    mean, scale = latents.get("kde_mean", 0.0), latents.get("kde_scale", 1.0)
    return Kernels(latents["kde_latents"][rows], bandwidth, mean, scale)


# Of all images, and of those of one class; N(0, I) knows no classes.
PRIORS: dict[str, tuple[Callable[[Latents], Prior], Callable[[Latents, int], Prior] | None]] = {
    "standard": (_standard, None),
    "diagonal": (_diagonal, _class_diagonal),
    "gaussian": (_gaussian, _class_gaussian),
    "gmm": (_gmm, _class_gmm),
    "kde": (_kde, _class_kde),
}


def _choices(weights: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Places in weights (k,), for numbers (n,) even over [0, 1) each as often as its weight says; int64 (n,)."""
    edges = np.cumsum(weights.astype(np.float64))
    places: np.ndarray = np.searchsorted(edges[:-1], uniforms * edges[-1], side="right")
    return places


def _apply_factors(factors: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """L[i] e[i] for every row i of noise (n, d) and factors (n, d, d), or one for all (1, d, d).

    A matrix product would be shorter, but BLAS picks its order of summation by the shape of the batch, and the last bit
    of a code would then depend on how many were drawn with it.
    """
    products: np.ndarray = (factors * noise[:, None, :]).sum(2)
    return products


def _gaussian_log_prob(latents: np.ndarray, mean: np.ndarray, factor: np.ndarray) -> np.ndarray:
    wide = factor.astype(np.float64)
    white = np.linalg.solve(wide, (latents - mean).astype(np.float64).T)
    result: np.ndarray = -0.5 * np.sum(white**2, 0) - np.sum(np.log(np.diag(wide))) - 0.5 * len(mean) * LOG_2PI
    return result


def log_sum_exp(values: np.ndarray) -> np.ndarray:
    """log(sum(exp(values))) along the last axis, without overflow."""
    top = values.max(-1)
    result: np.ndarray = top + np.log(np.sum(np.exp(values - top[..., None]), -1))
    return result
