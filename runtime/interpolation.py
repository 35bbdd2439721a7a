"""Paths between two latents: a straight line, slerp (an arc), or a line whose norm is corrected; grids between four.

A straight line suits latents of unknown distribution. In d dimensions, samples of N(0, I) nearly always have about the
length sqrt(d). In the middle of a straight line between two samples, latents are shorter, and the decoder was hardly
ever trained on such short latents. On a slerp or norm-corrected path between two samples, all latents have about the
length sqrt(d).
"""

from collections.abc import Callable

import numpy as np

from .errors import InputError, shown

# An interpolation method: a function of start and end, both (..., 1, d), and t (steps, 1). Returns (..., steps, d).
Curve = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
# If the sine of the angle between two latents is below this number, slerp is nearly 0/0, and a line is used instead.
NEARLY_PARALLEL = 1e-4


def checked_method(method: str | None, kind: str) -> str:
    """Check the name of an interpolation method, and return it. Raises InputError for an unknown name.

    method: a name in PATHS, or None for the default of the autoencoder's kind. kind: "ae", "dae" or "vae".
    """
    name = DEFAULT_OF_KIND.get(kind, "linear") if method is None else method
    if not isinstance(name, str) or name not in PATHS:
        raise InputError("method", found=shown(name), expected=f"one of {', '.join(PATHS)}")
    return name


def between(method: str, ends: np.ndarray, steps: int) -> np.ndarray:
    """The path between two latents, or the square grid between four.

    ends: (..., 2, d) or (..., 4, d). Returns float32 (..., steps, d) or (..., steps, steps, d); see `path` and
    `morph`.
    """
    if ends.shape[-2] == 2:
        return path(method, ends[..., 0, :], ends[..., 1, :], steps)
    return morph(method, ends, steps)


def path(method: str, start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """The path from start to end, at `steps` values of t from 0 to 1.

    method: a name in PATHS. start, end: (..., d) float. Returns float32 (..., steps, d); the first and the last latent
    are start and end, bit for bit.
    """
    t = np.linspace(0, 1, steps)[:, None]
    first, last = start[..., None, :], end[..., None, :]
    latents: np.ndarray = PATHS[method](first.astype(np.float64), last.astype(np.float64), t).astype(np.float32)
    latents[..., :1, :], latents[..., -1:, :] = first, last
    return latents


def morph(method: str, corners: np.ndarray, steps: int) -> np.ndarray:
    """A square grid of latents between four corners, steps x steps.

    The left edge of the grid is the path from the first corner to the third, the right edge that from the second to the
    fourth. Each row is the path from its latent on the left edge to its latent on the right edge. With straight lines
    this is bilinear interpolation. With the other methods every row and both outer columns follow the method's curve,
    and latents of N(0, I) keep their length throughout. method: a name in PATHS. corners: top left, top right, bottom
    left and bottom right, float (..., 4, d). Returns float32 (..., steps, steps, d); the corners are in it bit for bit.
    Source: nested slerp, K. Shoemake, Animating Rotation with Quaternion Curves, 1985.
    """
    left = path(method, corners[..., 0, :], corners[..., 2, :], steps)
    right = path(method, corners[..., 1, :], corners[..., 3, :], steps)
    return path(method, left, right, steps)


def linear(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The straight line z(t) = (1 - t) start + t end.

    start, end: (..., 1, d). t: (steps, 1). Returns (..., steps, d).
    """
    latents: np.ndarray = (1 - t) * start + t * end
    return latents


def slerp(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Spherical linear interpolation: the angle between start and z(t) grows in proportion to t.

    The path is linear where start and end are nearly parallel, or where one of them is the zero vector.
    start, end: (..., 1, d). t: (steps, 1). Returns (..., steps, d).
    Source: K. Shoemake, Animating Rotation with Quaternion Curves, 1985; for latents T. White, Sampling
    Generative Networks, 2016.
    """
    lengths = np.linalg.norm(start, axis=-1) * np.linalg.norm(end, axis=-1)
    cosine = np.sum(start * end, -1) / np.maximum(lengths, np.finfo(np.float64).tiny)
    angle = np.arccos(np.clip(cosine, -1, 1))[..., None]
    sine = np.sin(angle)
    is_straight = (sine < NEARLY_PARALLEL) | (lengths == 0)[..., None]
    divisor = np.where(is_straight, 1, sine)
    arc = (np.sin((1 - t) * angle) * start + np.sin(t * angle) * end) / divisor
    latents: np.ndarray = np.where(is_straight, linear(start, end, t), arc)
    return latents


def norm_corrected(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """z(t) = ((1 - t) start + t end) / sqrt((1 - t)^2 + t^2), which keeps the distribution N(0, I).

    If start and end are independent samples of N(0, I), every z(t) follows N(0, I). Between similar latents, however,
    the latents in the middle of the path are up to sqrt(2) times too long.
    start, end: (..., 1, d). t: (steps, 1). Returns (..., steps, d).
    """
    latents: np.ndarray = linear(start, end, t) / np.sqrt((1 - t) ** 2 + t**2)
    return latents


PATHS: dict[str, Curve] = {"linear": linear, "slerp": slerp, "norm-corrected": norm_corrected}
# The default method for each kind. Only a variational autoencoder is trained so that its latents follow N(0, I), as
# slerp and norm-corrected paths assume. Its default is slerp, because slerp also suits two similar latents.
DEFAULT_OF_KIND = {"ae": "linear", "dae": "linear", "vae": "slerp"}
