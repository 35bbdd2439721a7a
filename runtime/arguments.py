"""What the methods are told: numbers within their bounds, or an error that names the argument."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from .errors import InputError, ShapeError, shown
from .manifest import MAX_TEMPERATURE

Label = int | str | Sequence[int] | Sequence[str] | np.ndarray
MAX_LISTED = 30  # classes that an error names
MAX_COUNT = 2**40  # images: beyond any use, and within what numpy counts


def count(name: str, value: int) -> int:
    """A whole number from 0. Raises InputError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value <= MAX_COUNT:
        raise InputError(name, found=shown(value), expected="a whole number from 0 to 2^40")
    return int(value)


def positive(name: str, value: int) -> int:
    """A whole number from 1. Raises InputError."""
    if count(name, value) < 1:
        raise InputError(name, found=value, expected="at least 1")
    return int(value)


def checked_steps(steps: int) -> int:
    """Images on a path, both ends included. Raises InputError."""
    if count("steps", steps) < 2:
        raise InputError("steps", found=steps, expected="at least 2")
    return int(steps)


def checked_temperature(temperature: float | None, default: float) -> float:
    """A temperature, or the default for None. Raises InputError."""
    value = default if temperature is None else temperature
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not (real and 0 <= value <= MAX_TEMPERATURE):
        raise InputError("temperature", found=shown(value), expected=f"a number from 0 to {MAX_TEMPERATURE:g}")
    return float(value)


def class_indices(label: Label | None, n: int, labels: Sequence[int], names: Sequence[str]) -> int | np.ndarray | None:
    """Where the classes asked for stand among a model's: one index for all, int64 (n,) for one each, or None.

    label: a label value or a class name; or a list or an array (n,) of them. labels, names: of the model; a name may be
    the digits of a label value. Raises InputError, ShapeError for another number of labels than n.
    """
    if label is None:
        return None
    values = label.tolist() if isinstance(label, np.ndarray) else label  # of an array without axes one value
    if not isinstance(values, list | tuple):
        return _class_index(values, labels, names)
    if len(values) != n or (isinstance(label, np.ndarray) and label.ndim > 1):
        found = f"labels of shape {label.shape}" if isinstance(label, np.ndarray) else f"{len(values)} labels"
        raise ShapeError("label", found=found, expected=f"one label, or one for each of {n} images")
    return np.array([_class_index(value, labels, names) for value in values], np.int64)


def _class_index(label: object, labels: Sequence[int], names: Sequence[str]) -> int:
    if not labels:
        raise InputError("label", found=shown(label), expected="a model of labelled images")
    if isinstance(label, str) and label in names:
        return list(names).index(label)
    value = int(label) if isinstance(label, str) and label.isascii() and label.isdigit() and len(label) < 19 else label
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value in labels:
        return list(labels).index(int(value))
    known = [*names[:MAX_LISTED], *map(str, labels[: MAX_LISTED - len(names[:MAX_LISTED])])]
    more = " ..." if len(known) < len(labels) else ""
    raise InputError("label", found=shown(label), expected=f"one of {', '.join(known)}{more}")


def as_latents(latents: ArrayLike, latent_dim: int) -> tuple[np.ndarray, bool]:
    """Latents as float32 (n, d), and whether there was only one, without n. Raises ShapeError or InputError."""
    try:
        array = np.asarray(latents)
    except (ValueError, TypeError) as error:
        raise InputError("latents", found=error, expected=f"numbers of shape (n, {latent_dim})") from error
    if array.dtype.kind not in "fiu":
        raise InputError("latents", found=f"dtype {array.dtype}", expected="numbers")
    if array.ndim not in (1, 2) or array.shape[-1] != latent_dim:
        expected = f"(n, {latent_dim}) or ({latent_dim},)"
        raise ShapeError("latents", found=f"shape {array.shape}", expected=expected)
    single = array.ndim == 1
    batch = _as_float32(array[None] if single else array)
    if not np.isfinite(batch).all():
        raise InputError("latents", found="values that are not finite", expected="finite numbers of float32")
    return batch, single


def _as_float32(array: np.ndarray) -> np.ndarray:
    """Contiguous float32; the array itself if it is that. What is too large becomes infinite, without a warning."""
    if array.dtype == np.float32:
        return np.ascontiguousarray(array)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray(array, np.float32)
