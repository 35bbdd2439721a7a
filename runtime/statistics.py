"""Checks of the arrays in `latents.npz`, the statistics of the latents from which priors are made.

An array with a wrong shape, dtype or value is refused, so that no prior is made from it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .errors import ArtifactError

Fault = tuple[str, str]  # what was found and what was expected, as texts for an error message
Rule = Callable[[np.ndarray], Fault | None]  # checks the values of an array, and returns None if they are valid


def _any_values(array: np.ndarray) -> Fault | None:
    """Rule: an array of any shape may hold any values."""
    return None


class Statistic(NamedTuple):
    """Description of one array of `latents.npz`.

    axes: one letter per axis, such as "cd". All axes with the same letter, in all arrays, must have the same size: "d"
    is the latent dimension, and "c" the number of classes. rule: the function that checks the values. dtypes: names of
    the allowed dtypes.
    """

    name: str
    axes: str
    rule: Rule = _any_values
    dtypes: tuple[str, ...] = ("float32",)


def check_statistics(
    arrays: Mapping[str, np.ndarray],
    statistics: Iterable[Statistic],
    latent_dim: int,
    labels: Sequence[int],
    where: str,
) -> None:
    """Check the arrays of an artifact against their descriptions; an array without a description is ignored.

    labels: the label values listed in the manifest. where: the name of the arrays' file, for error messages. Raises
    ArtifactError, which names the array, if the shape, dtype or values of an array do not fit its description, or if
    the array `labels` differs from the labels of the manifest.
    """
    sizes = {"d": latent_dim, "c": len(labels)}
    for statistic in statistics:
        if statistic.name not in arrays:
            continue
        array, subject = arrays[statistic.name], f"{where}: {statistic.name}"
        if array.ndim == len(statistic.axes):
            for axis, size in zip(statistic.axes, array.shape, strict=True):
                sizes.setdefault(axis, size)
        shape = tuple(sizes.get(axis, axis) for axis in statistic.axes)
        if array.shape != shape or 0 in array.shape:
            raise ArtifactError(subject, found=f"shape {array.shape}", expected=f"shape {shape}, none of 0")
        if array.dtype.name not in statistic.dtypes:
            raise ArtifactError(subject, found=f"dtype {array.dtype}", expected=" or ".join(statistic.dtypes))
        fault = statistic.rule(array)
        if fault:
            raise ArtifactError(subject, found=fault[0], expected=fault[1])
    if "labels" in arrays and arrays["labels"].tolist() != list(labels):
        raise ArtifactError(f"{where}: labels", found=arrays["labels"].tolist(), expected="those of the manifest")


def weights(array: np.ndarray) -> Fault | None:
    """Rule: an array (..., k) holds groups of k weights. Each weight is 0 or above, and each sum of k is above 0."""
    if array.min() < 0 or array.sum(-1, dtype=np.float64).min() <= 0:
        return "weights below 0, or none above", "weights from 0 with a sum above 0"
    return None


def positive(array: np.ndarray) -> Fault | None:
    """Rule: every value of an array of any shape is above 0."""
    return ("values of 0 or below", "values above 0") if array.min() <= 0 else None


def not_negative(array: np.ndarray) -> Fault | None:
    """Rule: every value of an array of any shape is 0 or above."""
    return ("values below 0", "values from 0") if array.min() < 0 else None


def cholesky_factors(array: np.ndarray) -> Fault | None:
    """Rule: an array (..., d, d) holds lower triangular matrices with a positive diagonal."""
    diagonal = np.diagonal(array, axis1=-2, axis2=-1)
    if diagonal.min() <= 0 or np.triu(array, 1).any():
        return "no Cholesky factor", "lower triangular matrices with a positive diagonal"
    return None
