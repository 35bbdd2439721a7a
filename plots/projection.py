"""Project latents to two dimensions: to two latent dimensions, to two principal components, or by t-SNE."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..runtime.errors import InputError

Method = Literal["dimensions", "pca", "tsne"]
MAX_BARNES_HUT = 5000  # for more latents, t-SNE uses an FFT in place of the Barnes-Hut algorithm
THREADS = 2  # threads of t-SNE; fixed, because another number gives another figure


@dataclass(frozen=True)
class Projection:
    """Latents as points of a plane. points: float64 (n, 2). axes: what the horizontal and the vertical axis show."""

    points: np.ndarray
    method: Method
    axes: tuple[str, str]


def project(latents: np.ndarray, method: Method | None = None, *, seed: int = 0) -> Projection:
    """Project latents (n, d) to points (n, 2).

    method: "dimensions" takes the two latent dimensions that vary most; "pca" takes the two principal components;
    "tsne" keeps neighbours together, but no distances. None chooses "dimensions" if d is 2, else "pca". seed: the seed
    of t-SNE. Raises InputError if d or n is too small, or if all latents are equal.
    """
    n, d = latents.shape
    if d < 2:
        raise InputError("latents", found=f"{d} dimension", expected="at least 2 dimensions")
    if n < 3:
        raise InputError("latents", found=n, expected="at least 3 for a plot")
    values = latents.astype(np.float64)
    if not np.isfinite(values).all():
        raise InputError("latents", found="values that are not finite", expected="finite numbers")
    chosen = method or ("dimensions" if d == 2 else "pca")
    if chosen == "dimensions":
        return _dimensions(values)
    return _principal_components(values) if chosen == "pca" else _t_sne(values, seed)


def _dimensions(latents: np.ndarray) -> Projection:
    """The two latent dimensions of the largest variance; the one with the lower index is horizontal."""
    first, second = np.sort(np.argsort(-latents.var(0), kind="stable")[:2])
    return Projection(latents[:, [first, second]], "dimensions", (_dimension(first), _dimension(second)))


def _dimension(index: int) -> str:
    return f"latent dimension {index}"


def _principal_components(latents: np.ndarray) -> Projection:
    """The coordinates along the first two principal components. The axes state the fraction of the variance of each."""
    centred = latents - latents.mean(0)
    variances, directions = np.linalg.eigh(centred.T @ centred)  # eigenvalues in ascending order
    if variances[-1] <= 0:
        raise InputError("latents", found="equal latents", expected="different ones")
    directions = directions[:, [-1, -2]]
    # A direction and its negative are equally good, so choose the one whose largest number is positive.
    directions *= np.sign(directions[np.abs(directions).argmax(0), [0, 1]])
    fractions = variances[[-1, -2]] / variances.sum()
    axes = [f"principal component {i + 1} ({fraction:.0%} of the variance)" for i, fraction in enumerate(fractions)]
    return Projection(centred @ directions, "pca", (axes[0], axes[1]))


def _t_sne(latents: np.ndarray, seed: int) -> Projection:
    """t-SNE by openTSNE. The script benchmarks/tsne.py compares openTSNE with other libraries."""
    from openTSNE import TSNE

    perplexity = min(30.0, (len(latents) - 1) / 3)  # 30 is usual; must be below the number of latents
    gradient = "fft" if len(latents) > MAX_BARNES_HUT else "bh"
    tsne = TSNE(perplexity=perplexity, random_state=seed % 2**32, n_jobs=THREADS, negative_gradient_method=gradient)
    points = np.asarray(tsne.fit(latents), np.float64)
    return Projection(points, "tsne", ("t-SNE 1", "t-SNE 2"))
