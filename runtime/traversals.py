"""Latents along single latent dimensions, and on a plane through latent space.

Distances are measured in standard deviations of the latents of the training images. The standard deviations are those
of a Gaussian that was fitted to these latents.
"""

from collections.abc import Sequence

import numpy as np

from .arguments import checked_dimensions, checked_extent, checked_steps
from .distributions import Gaussian
from .errors import InputError

Plane = tuple[np.ndarray, np.ndarray]  # a latent (d,) and two directions (2, d), each one standard deviation long


def standard_deviations(gaussian: Gaussian) -> np.ndarray:
    """The standard deviation of each latent dimension under a Gaussian, float64 (d,)."""
    deviations: np.ndarray = np.sqrt(np.sum(np.square(gaussian.factor, dtype=np.float64), 1))
    return deviations


def traversal(
    latent: np.ndarray, deviations: np.ndarray, dimensions: Sequence[int], steps: int, extent: float
) -> np.ndarray:
    """Rows of latents in which one latent dimension changes and all others stay fixed, float32 (k, steps, d).

    Row i changes dimension `dimensions[i]` in equal steps from `extent` standard deviations below its value in `latent`
    to `extent` above it. If `steps` is odd, the middle of every row is `latent`, bit for bit.
    latent: where to start, float32 (d,). deviations: the standard deviation of each latent dimension, (d,).
    dimensions: k numbers from 0 to d - 1. Raises InputError for steps below 2, or an extent that is not above 0.
    Source: traversals, I. Higgins et al., beta-VAE, 2017.
    """
    offsets = checked_extent(extent) * np.linspace(-1, 1, checked_steps(steps))
    latents = np.tile(latent, (len(dimensions), steps, 1))
    for row, dimension in zip(latents, dimensions, strict=True):
        row[:, dimension] += (offsets * deviations[dimension]).astype(np.float32)
    return latents


def quantiles(steps: int) -> np.ndarray:
    """Quantiles of N(0, 1) at the middles of `steps` equally probable intervals, ascending, float64 (steps,)."""
    from statistics import NormalDist  # imported only here: the module loads slowly, and sampling does not need it

    normal = NormalDist()
    return np.array([normal.inv_cdf((i + 0.5) / steps) for i in range(steps)])


def plane(gaussian: Gaussian, kind: str, dimensions: Sequence[int] | None) -> Plane:
    """The plane of latent space that a manifold shows: a latent (d,), and two directions (2, d), float64.

    With two dimensions given, or if there are only two, the directions are these dimensions, one standard deviation
    long. Otherwise they are the two principal components of the latents, and their length is the standard deviation of
    the latents along them. The plane goes through the mean of the latents. For a variational autoencoder of two latent
    dimensions it is the prior N(0, I) instead: its mean is 0, and its standard deviations are 1.
    kind: "ae", "dae" or "vae". Raises InputError unless `dimensions` are two different numbers from 0 to d - 1.
    """
    d = gaussian.latent_dim
    if d < 2:
        raise InputError("manifold", found=f"{d} latent dimension", expected="at least 2")
    mean = gaussian.mean.astype(np.float64)
    if dimensions is None and d > 2:
        factor = gaussian.factor.astype(np.float64)
        variances, components = np.linalg.eigh(factor @ factor.T)  # eigenvalues in ascending order
        directions = (components * np.sqrt(np.maximum(variances, 0)))[:, [-1, -2]].T
        # A component and its negative are equally good, so choose the one whose largest number is positive.
        largest = directions[[0, 1], np.abs(directions).argmax(1)]
        return mean, directions * np.sign(largest)[:, None]
    chosen = [0, 1] if dimensions is None else checked_dimensions(dimensions, d)
    if len(chosen) != 2 or chosen[0] == chosen[1]:
        raise InputError("dimensions", found=chosen, expected="two different latent dimensions")
    if kind == "vae" and d == 2:
        return np.zeros(2), np.eye(2)[chosen]
    return mean, np.diag(standard_deviations(gaussian))[chosen]


def manifold(plane: Plane, steps: int) -> np.ndarray:
    """A square grid of latents on a plane, at quantiles of the normal distribution, float32 (steps, steps, d).

    As in a plot, the first direction grows from left to right, and the second from the bottom to the top. Row 0 of the
    grid is the top. Raises InputError for steps below 2.
    Source: D. Kingma and M. Welling, Auto-Encoding Variational Bayes, 2014, figure 4.
    """
    latent, (to_right, to_top) = plane
    positions = quantiles(checked_steps(steps))
    latents: np.ndarray = latent + positions[:, None] * to_right + positions[::-1, None, None] * to_top
    return latents.astype(np.float32)
