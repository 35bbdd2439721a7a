"""Paths between two latents.

The straight line suits latents that fill no known shape. Between two draws from N(0, I), whose length is nearly always
about sqrt(d), it runs through short latents in the middle, which the decoder was hardly ever shown: there the other two
keep the length.
"""

from collections.abc import Callable

import numpy as np

Curve = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
NEARLY_PARALLEL = 1e-4  # sine of the angle below which an arc is a straight line, and its formula 0/0


def path(name: str, start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """The path `name` from start to end, at `steps` values of t from 0 to 1.

    start, end: (..., d) float. Returns float32 (..., steps, d); the first and the last code are the ends, bit for bit.
    """
    t = np.linspace(0, 1, steps)[:, None]
    first, last = start[..., None, :], end[..., None, :]
    latents: np.ndarray = PATHS[name](first.astype(np.float64), last.astype(np.float64), t).astype(np.float32)
    latents[..., :1, :], latents[..., -1:, :] = first, last
    return latents


def linear(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """z(t) = (1 - t) start + t end."""
    latents: np.ndarray = (1 - t) * start + t * end
    return latents


def slerp(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Along the arc, its angle growing evenly; linear between parallel ends, and where one is 0.

    Source: K. Shoemake, Animating Rotation with Quaternion Curves, 1985; for latents T. White, Sampling
    Generative Networks, 2016.
    """
    lengths = np.linalg.norm(start, axis=-1) * np.linalg.norm(end, axis=-1)
    cosine = np.sum(start * end, -1) / np.maximum(lengths, np.finfo(np.float64).tiny)
    angle = np.arccos(np.clip(cosine, -1, 1))[..., None]
    sine = np.sin(angle)
    straight = (sine < NEARLY_PARALLEL) | (lengths == 0)[..., None]
    safe = np.where(straight, 1, sine)
    arc = (np.sin((1 - t) * angle) * start + np.sin(t * angle) * end) / safe
    latents: np.ndarray = np.where(straight, linear(start, end, t), arc)
    return latents


def norm_corrected(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """z(t) = ((1 - t) start + t end) / sqrt((1 - t)^2 + t^2): N(0, I) all the way, if both ends are drawn from it.

    For ends that are not independent, as of two images of one thing, the middle is too long.
    """
    latents: np.ndarray = linear(start, end, t) / np.sqrt((1 - t) ** 2 + t**2)
    return latents


PATHS: dict[str, Curve] = {"linear": linear, "slerp": slerp, "norm-corrected": norm_corrected}
# Only a variational autoencoder is trained to have latents like N(0, I); a slerp also suits ends that are alike.
DEFAULT_OF_KIND = {"ae": "linear", "dae": "linear", "vae": "slerp"}
