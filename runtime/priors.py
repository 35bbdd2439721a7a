"""Distributions that latent codes are drawn from, with numpy alone.

A prior turns standard normal noise into codes. Noise comes from a seeded stream that is read row by row, and the maths
here adds up in an order that does not depend on how many rows come at once. The same seed therefore gives the same
codes, bit for bit, whatever the batch size or the number of threads, and the first 16 of 64 codes are the 16 codes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .errors import ArtifactError, InputError
from .manifest import Tensor


class Prior(Protocol):
    """A distribution over codes."""

    def transform(self, noise: np.ndarray, temperature: float) -> np.ndarray:
        """Codes float32 (n, d) from standard normal noise (n, d). temperature scales the spread; 1 is as fitted."""


@dataclass(frozen=True)
class DiagonalGaussian:
    """Independent axes: z = mean + std * e."""

    mean: np.ndarray
    std: np.ndarray

    def transform(self, noise: np.ndarray, temperature: float) -> np.ndarray:
        """Codes float32 (n, d) from standard normal noise (n, d)."""
        codes: np.ndarray = self.mean + np.float32(temperature) * self.std * noise
        return codes


@dataclass(frozen=True)
class FullGaussian:
    """One Gaussian with its whole covariance: z = mean + L e, where L is lower triangular and L L^T the covariance."""

    mean: np.ndarray
    factor: np.ndarray

    def transform(self, noise: np.ndarray, temperature: float) -> np.ndarray:
        """Codes float32 (n, d) from standard normal noise (n, d)."""
        return self.mean + np.float32(temperature) * _apply_factor(self.factor, noise)


def _apply_factor(factor: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Noise @ factor.T for a lower triangular factor (d, d), one latent axis after the other.

    A matrix product would be shorter, but BLAS picks its order of summation by the shape of the batch, and the last bit
    of a code would then depend on how many were drawn with it.
    """
    by_axis = np.ascontiguousarray(noise.T)
    codes = np.zeros_like(by_axis)
    for axis, column in enumerate(factor.T):
        codes[axis:] += column[axis:, None] * by_axis[axis]
    return codes.T


def _standard(latents: Mapping[str, np.ndarray]) -> Prior:
    return DiagonalGaussian(np.zeros_like(latents["mean"]), np.ones_like(latents["std"]))


def _diagonal(latents: Mapping[str, np.ndarray]) -> Prior:
    return DiagonalGaussian(latents["mean"], latents["std"])


def _gaussian(latents: Mapping[str, np.ndarray]) -> Prior:
    return FullGaussian(latents["mean"], latents["factor"])


PRIORS: dict[str, Callable[[Mapping[str, np.ndarray]], Prior]] = {
    "standard": _standard,  # N(0, I), what a VAE is trained towards
    "diagonal": _diagonal,
    "gaussian": _gaussian,
}


def stored_prior(name: str, available: tuple[str, ...], latents: Mapping[str, np.ndarray]) -> Prior:
    """The prior `name` over an artifact's stored statistics. Raises InputError when the artifact does not have it."""
    if name in available and name not in PRIORS:
        raise ArtifactError(f"prior {name!r}", found="one that this version cannot draw", expected=", ".join(PRIORS))
    if name not in available:
        raise InputError("prior", found=repr(name), expected=f"one of {', '.join(available)}")
    return PRIORS[name](latents)


def latent_tensors(latent_dim: int) -> tuple[Tensor, ...]:
    """What `latents.npz` holds: the moments of the training codes."""
    return (
        Tensor("mean", "float32", (latent_dim,)),
        Tensor("std", "float32", (latent_dim,)),
        Tensor("factor", "float32", (latent_dim, latent_dim)),
    )


class Noise:
    """Standard normal rows from a seed, as one long stream however it is cut.

    The normals have a spawned stream of their own, so that a prior which also draws other things from the same seed
    will not shift them. A seed of None is fresh entropy. Raises InputError when the seed is no whole number from 0.
    """

    def __init__(self, seed: int | None) -> None:
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0):
            raise InputError("seed", found=repr(seed), expected="a whole number from 0, or None")
        (normals,) = np.random.SeedSequence(seed).spawn(1)
        self._normals = np.random.Generator(np.random.PCG64(normals))

    def normals(self, n: int, latent_dim: int) -> np.ndarray:
        """The next n rows, float32 (n, latent_dim)."""
        return self._normals.standard_normal((n, latent_dim), dtype=np.float32)
