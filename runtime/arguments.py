"""What the verbs are told: numbers within their bounds, or an error that names the argument."""

import math

import numpy as np
from numpy.typing import ArrayLike

from .errors import InputError, ShapeError
from .manifest import HOTTEST

MOST = 2**40  # pictures: beyond any use, and within what numpy counts


def count(name: str, value: int) -> int:
    """A whole number from 0. Raises InputError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value <= MOST:
        raise InputError(name, found=repr(value), expected="a whole number from 0 to 2^40")
    return int(value)


def positive(name: str, value: int) -> int:
    """A whole number from 1. Raises InputError."""
    if count(name, value) < 1:
        raise InputError(name, found=value, expected="at least 1")
    return int(value)


def path_steps(steps: int) -> int:
    """Pictures on a path, both ends included. Raises InputError."""
    if count("steps", steps) < 2:
        raise InputError("steps", found=steps, expected="at least 2")
    return int(steps)


def spread(temperature: float | None, default: float) -> float:
    """A temperature, or the default for None. Raises InputError."""
    value = default if temperature is None else temperature
    if not (isinstance(value, int | float | np.number) and 0 <= value <= HOTTEST):
        raise InputError("temperature", found=repr(value), expected=f"a number from 0 to {HOTTEST:g}")
    return float(value)


def as_codes(codes: ArrayLike, latent_dim: int) -> tuple[np.ndarray, bool]:
    """Codes as float32 (n, d), and whether there was only one, without n. Raises ShapeError or InputError."""
    array = np.asarray(codes)
    if array.dtype.kind not in "fiu":
        raise InputError("codes", found=f"dtype {array.dtype}", expected="numbers")
    if array.ndim not in (1, 2) or array.shape[-1] != latent_dim:
        expected = f"(n, {latent_dim}) or ({latent_dim},)"
        raise ShapeError("codes", found=f"shape {array.shape}", expected=expected)
    single = array.ndim == 1
    batch = _as_float32(array[None] if single else array)
    # The sum of squares, one quick pass, tells at once; where it is too large for a float32, each number is asked.
    if not math.isfinite(np.vdot(batch, batch)) and not np.isfinite(batch).all():
        raise InputError("codes", found="values that are not finite", expected="finite numbers of float32")
    return batch, single


def _as_float32(array: np.ndarray) -> np.ndarray:
    """Contiguous float32; the array itself if it is that. What is too large becomes infinite, without a warning."""
    if array.dtype == np.float32:
        return np.ascontiguousarray(array)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, np.float32)
