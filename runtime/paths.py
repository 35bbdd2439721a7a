"""Paths between two codes."""

import numpy as np


def linear_path(start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """z(t) = (1 - t) start + t end for `steps` values of t from 0 to 1.

    start, end: (..., d) float. Returns float32 (..., steps, d); the first and the last code are the ends, bit for bit.
    """
    t = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    path: np.ndarray = (1 - t) * start[..., None, :] + t * end[..., None, :]
    return path
