"""Distributions that latent codes are drawn from, with numpy alone.

A prior turns chance, which is standard normal noise and a uniform number for the choice of a component, into codes.
Chance comes from seeded streams that are read row by row, and the maths here adds up in an order that does not depend
on how many rows come at once. The same seed therefore gives the same codes, bit for bit, whatever the batch size or
the number of threads, and the first 16 of 64 codes are the 16 codes.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .errors import InputError
from .paths import path
from .session import Network

Latents = Mapping[str, np.ndarray]
Chance = tuple[np.ndarray, ...]
FLOW = "flow"  # the name of a prior that is a network
LOG_2PI = math.log(2 * math.pi)
STRATA = 1000  # small enough for a few thousand pictures to hold each label as often as it should be there
CHUNK = 1024  # codes whose densities are computed at once


class Prior(Protocol):
    """A distribution over codes."""

    @property
    def latent_dim(self) -> int:
        """Axes d of a code."""

    def chance(self, noise: "Noise", n: int) -> Chance:
        """The random numbers of the next n codes, a row for each in every array."""

    def codes(self, chance: Chance, temperature: float) -> np.ndarray:
        """Their codes, float32 (n, d). temperature scales the spread; 1 is as fitted, 0 no chance at all."""

    def log_prob(self, codes: np.ndarray) -> np.ndarray:
        """Log density of codes (n, d) in nats, float64 (n,), at temperature 1."""


@dataclass(frozen=True)
class Gaussian:
    """One Gaussian: z = mean + L e, where L (d, d) is lower triangular and L L^T the covariance."""

    mean: np.ndarray
    factor: np.ndarray

    @property
    def latent_dim(self) -> int:
        """Axes d of a code."""
        return len(self.mean)

    def chance(self, noise: "Noise", n: int) -> Chance:
        """Normals (n, d)."""
        return (noise.normals(n, len(self.mean)),)

    def codes(self, chance: Chance, temperature: float) -> np.ndarray:
        """Codes, float32 (n, d)."""
        (normals,) = chance
        spread = _apply_factors(self.factor[None], normals)
        codes: np.ndarray = self.mean + np.float32(temperature) * spread
        return codes

    def log_prob(self, codes: np.ndarray) -> np.ndarray:
        """Log density of codes (n, d) in nats, float64 (n,)."""
        return _gaussian_log_prob(codes, self.mean, self.factor)


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

    def chance(self, noise: "Noise", n: int) -> Chance:
        """Uniforms (n,) for the choice of a Gaussian, and normals (n, d)."""
        return noise.uniforms(n), noise.normals(n, self.means.shape[1])

    def codes(self, chance: Chance, temperature: float) -> np.ndarray:
        """Codes, float32 (n, d)."""
        uniforms, normals = chance
        chosen = _choices(self.weights, uniforms)
        spread = _apply_factors(self.factors[chosen], normals)
        codes: np.ndarray = self.means[chosen] + np.float32(temperature) * spread
        return codes

    def log_prob(self, codes: np.ndarray) -> np.ndarray:
        """Log density of codes (n, d) in nats, float64 (n,)."""
        parts = [_gaussian_log_prob(codes, mean, factor) for mean, factor in zip(self.means, self.factors, strict=True)]
        weights = self.weights.astype(np.float64)
        return log_sum_exp(np.stack(parts, 1) + np.log(weights / weights.sum() + np.finfo(float).tiny))


@dataclass(frozen=True)
class Kernels:
    """A kernel density: one of the centres (m, d), moved by normal noise of a bandwidth (d,) on each axis.

    Source: E. Parzen, On Estimation of a Probability Density Function and Mode, 1962.
    """

    centres: np.ndarray
    bandwidth: np.ndarray

    @property
    def latent_dim(self) -> int:
        """Axes d of a code."""
        return int(self.centres.shape[1])

    def chance(self, noise: "Noise", n: int) -> Chance:
        """Uniforms (n,) for the choice of a code, and normals (n, d)."""
        return noise.uniforms(n), noise.normals(n, self.latent_dim)

    def codes(self, chance: Chance, temperature: float) -> np.ndarray:
        """Codes, float32 (n, d)."""
        uniforms, normals = chance
        chosen = np.minimum((uniforms * len(self.centres)).astype(np.intp), len(self.centres) - 1)
        moved = np.float32(temperature) * self.bandwidth * normals
        drawn: np.ndarray = self.centres[chosen].astype(np.float32) + moved
        return drawn

    def log_prob(self, codes: np.ndarray) -> np.ndarray:
        """Log density of codes (n, d) in nats, float64 (n,)."""
        scale = self.bandwidth.astype(np.float64)
        centres, points = self.centres / scale, codes / scale
        norms = 0.5 * np.sum(centres**2, 1)
        constant = np.sum(np.log(scale)) + 0.5 * len(scale) * LOG_2PI + math.log(len(centres))
        pieces = [np.empty(0)]
        for start in range(0, len(points), CHUNK):
            piece = points[start : start + CHUNK]
            exponents = piece @ centres.T - norms - 0.5 * np.sum(piece**2, 1)[:, None]
            pieces.append(log_sum_exp(exponents) - constant)
        return np.concatenate(pieces)


class Noise:
    """Random numbers from a seed, as long streams however they are cut.

    Normals and uniforms have spawned streams of their own, so that a prior which draws both from one seed shifts
    neither. A seed of None is fresh entropy. Raises InputError when the seed is no whole number from 0.
    """

    def __init__(self, seed: int | None) -> None:
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0):
            raise InputError("seed", found=repr(seed), expected="a whole number from 0, or None")
        self._seed = np.random.SeedSequence().entropy if seed is None else int(seed)
        self._strata = np.empty(0)  # what is left of the last block

    # Types of numpy.random are in quotes: it is imported when it is first used, while networks are being opened.

    @functools.cached_property
    def _normals(self) -> "np.random.Generator":
        return self._stream(0)

    @functools.cached_property
    def _uniforms(self) -> "np.random.Generator":
        return self._stream(1)

    def _stream(self, number: int) -> "np.random.Generator":
        """The child of this number of `SeedSequence(seed)`. Most draws need one alone, and it takes time to start."""
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(self._seed, spawn_key=(number,))))

    def normals(self, n: int, latent_dim: int) -> np.ndarray:
        """The next n rows of standard normals, float32 (n, latent_dim)."""
        return self._normals.standard_normal((n, latent_dim), dtype=np.float32)

    def uniforms(self, n: int) -> np.ndarray:
        """The next n numbers in [0, 1), float64 (n,)."""
        return self._uniforms.random(n)

    def strata(self, n: int) -> np.ndarray:
        """The next n numbers in [0, 1), float64 (n,), each as likely anywhere; but of every STRATA in a row, one comes
        from each of as many equal parts, in random order. What they choose is then as frequent as it should be: of
        labels, chance alone would move a set of pictures further from real ones than all faults of its pictures.

        Source: stratified sampling, W. Cochran, Sampling Techniques, 1977, chapter 5.
        """
        blocks = [self._strata]
        for _ in range(-(-(n - len(self._strata)) // STRATA)):
            blocks.append((self._uniforms.permutation(STRATA) + self._uniforms.random(STRATA)) / STRATA)
        row = np.concatenate(blocks)
        self._strata = row[n:]
        return row[:n]


@dataclass(frozen=True)
class Flow:
    """A learned flow, which carries normal noise to codes.

    network: `noise` [batch, d], and `label` [batch] where there are labels, to `latent`. shares: how often each label
    is drawn (k,), where all are, nearly exactly in every STRATA codes; empty without labels. Its codes agree to float
    rounding at any batch size.
    """

    network: Network
    latent_dim: int
    shares: np.ndarray

    def chance(self, noise: "Noise", n: int) -> Chance:
        """Normals (n, d) and places of labels (n,)."""
        return noise.normals(n, self.latent_dim), self._labels(noise, n)

    def codes(self, chance: Chance, temperature: float) -> np.ndarray:
        """Codes, float32 (n, d). temperature scales the noise."""
        normals, labels = chance
        return self._carry(np.float32(temperature) * normals, labels)

    def walk(self, noise: "Noise", steps: int, temperature: float) -> np.ndarray:
        """The codes from one draw to another of the same label, float32 (steps, d), along the arc between their noise.

        Noise on the arc is as likely as at its ends, so every code on the way is one that could have been drawn.
        """
        start, end = np.float32(temperature) * noise.normals(2, self.latent_dim)
        return self._carry(path("slerp", start, end, steps), np.repeat(self._labels(noise, 1), steps))

    def _labels(self, noise: "Noise", n: int) -> np.ndarray:
        return _choices(self.shares, noise.strata(n)) if len(self.shares) else np.empty(0, np.int64)

    def _carry(self, noise: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return self.network.run("latent", {"noise": noise, **({"label": labels} if len(self.shares) else {})})

    def log_prob(self, codes: np.ndarray) -> np.ndarray:
        """Raises InputError: the graph that draws cannot tell a density."""
        raise InputError("log_prob", found=f"prior {FLOW!r}", expected=f"one of {', '.join(PRIORS)}")


def stored_prior(name: str, latents: Latents, label: int | None = None) -> Prior:
    """The prior `name` over an artifact's stored statistics, of all pictures or of those with one label.

    Raises InputError when the statistics do not hold it.
    """
    of_all, of_class = PRIORS[name]
    if label is None:
        return of_all(latents)
    labels = latents.get("labels", np.empty(0, np.int64))
    if of_class is None or not len(labels):
        with_labels = [prior for prior, (_, labelled) in PRIORS.items() if labelled is not None]
        expected = f"no label, or one of {', '.join(with_labels)}" if len(labels) else "a model of labelled pictures"
        raise InputError(f"prior {name!r} with a label", found=label, expected=expected)
    return of_class(latents, label_place(labels.tolist(), label))


def label_place(labels: Sequence[int], label: int) -> int:
    """Where a label stands among those of an artifact. Raises InputError when it is not there."""
    if label not in labels:
        raise InputError("label", found=label, expected=f"one of {', '.join(map(str, labels))}")
    return labels.index(label)


def _standard(latents: Latents) -> Prior:
    d = len(latents["mean"])
    return Gaussian(np.zeros(d, np.float32), np.eye(d, dtype=np.float32))


def _diagonal(latents: Latents) -> Prior:
    return Gaussian(latents["mean"], np.diag(latents["std"]))


def _class_diagonal(latents: Latents, c: int) -> Prior:
    return Gaussian(latents["class_mean"][c], np.diag(latents["class_std"][c]))


def _gaussian(latents: Latents) -> Prior:
    return Gaussian(latents["mean"], latents["factor"])


def _class_gaussian(latents: Latents, c: int) -> Prior:
    return Gaussian(latents["class_mean"][c], latents["class_factor"][c])


def _gmm(latents: Latents) -> Prior:
    return Mixture(latents["gmm_weights"], latents["gmm_means"], latents["gmm_factors"])


def _class_gmm(latents: Latents, c: int) -> Prior:
    return Mixture(latents["class_gmm_weights"][c], latents["class_gmm_means"][c], latents["class_gmm_factors"][c])


def _kde(latents: Latents) -> Prior:
    return Kernels(latents["kde_codes"], latents["kde_bandwidth"])


def _class_kde(latents: Latents, c: int) -> Prior:
    return Kernels(latents["kde_codes"][latents["kde_classes"] == c], latents["class_kde_bandwidth"][c])


# Of all pictures, and of those of one class; N(0, I) knows no classes.
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


def _gaussian_log_prob(codes: np.ndarray, mean: np.ndarray, factor: np.ndarray) -> np.ndarray:
    wide = factor.astype(np.float64)
    white = np.linalg.solve(wide, (codes - mean).astype(np.float64).T)
    result: np.ndarray = -0.5 * np.sum(white**2, 0) - np.sum(np.log(np.diag(wide))) - 0.5 * len(mean) * LOG_2PI
    return result


def log_sum_exp(values: np.ndarray) -> np.ndarray:
    """log(sum(exp(values))) along the last axis, without overflow."""
    top = values.max(-1)
    result: np.ndarray = top + np.log(np.sum(np.exp(values - top[..., None]), -1))
    return result
