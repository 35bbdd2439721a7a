"""Checks of the arguments of public methods. Every error names the argument that is wrong."""

from collections.abc import Sequence
from typing import TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from .errors import InputError, ShapeError, shown
from .manifest import MAX_TEMPERATURE

Label = int | str | Sequence[int] | Sequence[str] | np.ndarray
MAX_LISTED = 30  # an error message lists at most this many class names and label values
MAX_COUNT = 2**40  # largest number of images in one call; far more than anyone needs
MAX_EXTENT = 1000.0  # largest argument `extent`; images are already meaningless at far smaller values
MAX_START = 2**53  # largest argument `start`; a float64 holds every integer up to it exactly


def checked_count(name: str, value: int) -> int:
    """Return `value` if it is an integer from 0 to MAX_COUNT, else raise an InputError about the argument `name`."""
    if not _is_integer(value) or not 0 <= value <= MAX_COUNT:
        raise InputError(name, found=shown(value), expected="a whole number from 0 to 2^40")
    return int(value)


def checked_positive(name: str, value: int) -> int:
    """Return `value` if it is an integer from 1 to MAX_COUNT, else raise an InputError about the argument `name`."""
    if checked_count(name, value) < 1:
        raise InputError(name, found=value, expected="at least 1")
    return int(value)


def checked_start(start: int) -> int:
    """Check that the argument `start` is an integer from 0 to MAX_START, and return it. Raises InputError if not."""
    if not _is_integer(start) or not 0 <= start <= MAX_START:
        raise InputError("start", found=shown(start), expected="a whole number from 0 to 2^53")
    return int(start)


def checked_steps(steps: int) -> int:
    """Check that `steps`, the number of images on an interpolated path, is an integer of at least 2, and return it.

    Raises InputError if not.
    """
    if checked_count("steps", steps) < 2:
        raise InputError("steps", found=steps, expected="at least 2")
    return int(steps)


def checked_dimensions(dimensions: Sequence[int] | None, latent_dim: int) -> list[int]:
    """Check the numbers of latent dimensions, each from 0 to latent_dim - 1, and return them; None stands for all.

    Raises InputError if the list is empty, or if an item is not an integer from 0 to latent_dim - 1.
    """
    if dimensions is None:
        return list(range(latent_dim))
    is_list = isinstance(dimensions, list | tuple | range | np.ndarray) and np.ndim(dimensions) == 1
    if not is_list or not len(dimensions) or not all(_is_integer(i) and 0 <= i < latent_dim for i in dimensions):
        expected = f"a list of numbers from 0 to {latent_dim - 1}"
        raise InputError("dimensions", found=shown(dimensions), expected=expected)
    return [int(i) for i in dimensions]


def checked_extent(extent: float) -> float:
    """Return `extent`, in standard deviations, if it is above 0 and at most MAX_EXTENT. Raises InputError if not."""
    is_real = _is_integer(extent) or isinstance(extent, float | np.floating)
    if not (is_real and 0 < extent <= MAX_EXTENT):
        raise InputError("extent", found=shown(extent), expected=f"a number above 0, at most {MAX_EXTENT:g}")
    return float(extent)


def checked_temperature(temperature: float | None, default: float) -> float:
    """Return the temperature, or `default` if it is None. Raises InputError unless it is from 0 to MAX_TEMPERATURE."""
    value = default if temperature is None else temperature
    is_real = _is_integer(value) or isinstance(value, float | np.floating)
    if not (is_real and 0 <= value <= MAX_TEMPERATURE):
        raise InputError("temperature", found=shown(value), expected=f"a number from 0 to {MAX_TEMPERATURE:g}")
    return float(value)


def class_indices(label: Label | None, n: int, labels: Sequence[int], names: Sequence[str]) -> int | np.ndarray | None:
    """Convert one label to its class index, or n labels to class indices, int64 (n,). None stays None.

    label: a label value or a class name, or a list or an array (n,) of them. labels, names: the label value and the
    name of each class of the model; a class index is a position in them. A string such as "7" may be a class name or a
    label value; if it is both, the name counts. Raises InputError for a label that the model does not have, ShapeError
    if the number of labels is not n.
    """
    if label is None:
        return None
    # tolist() turns an array without axes into a single value.
    values = label.tolist() if isinstance(label, np.ndarray) else label
    if not isinstance(values, list | tuple):
        return _class_index(values, labels, names)
    if len(values) != n or (isinstance(label, np.ndarray) and label.ndim > 1):
        found = f"labels of shape {label.shape}" if isinstance(label, np.ndarray) else f"{len(values)} labels"
        raise ShapeError("label", found=found, expected=f"one label, or one for each of {n} images")
    return np.array([_class_index(value, labels, names) for value in values], np.int64)


def _class_index(label: object, labels: Sequence[int], names: Sequence[str]) -> int:
    """The class index of one label value or class name. Raises InputError if the model has no such class."""
    if not labels:
        raise InputError("label", found=shown(label), expected="a model of labelled images")
    if isinstance(label, str) and label in names:
        return list(names).index(label)
    value = int(label) if isinstance(label, str) and label.isascii() and label.isdigit() and len(label) < 19 else label
    if _is_integer(value) and value in labels:
        return list(labels).index(int(value))
    known = [*names[:MAX_LISTED], *map(str, labels[: MAX_LISTED - len(names[:MAX_LISTED])])]
    more = " ..." if len(known) < len(labels) else ""
    raise InputError("label", found=shown(label), expected=f"one of {', '.join(known)}{more}")


def as_latents(latents: ArrayLike, latent_dim: int) -> tuple[np.ndarray, bool]:
    """Convert latents to float32 (n, d), where d is `latent_dim`. Also return whether they were one latent (d,).

    Raises ShapeError for any other shape, InputError for anything but finite numbers.
    """
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
    """Convert an array of any shape to contiguous float32. The array is copied only if it is not that already.

    Values that are too large for float32 become infinite.
    """
    if array.dtype == np.float32:
        return np.ascontiguousarray(array)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray(array, np.float32)


def _is_integer(value: object) -> TypeGuard[int | np.integer]:
    """Whether a value is a Python or numpy integer; True and False are not."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
