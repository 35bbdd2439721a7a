"""What `latents.npz` may hold: the statistics that priors are made of, and what must be true of them.

d: latent dimension. c: classes that can be asked for. k, j: components of the mixtures of all images and of a class.
m: latents kept for the kernel density.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from .errors import ArtifactError

AXES: dict[str, str] = {
    "mean": "d", "std": "d", "factor": "dd",
    "gmm_weights": "k", "gmm_means": "kd", "gmm_factors": "kdd",
    "kde_latents": "md", "kde_mean": "d", "kde_scale": "d", "kde_bandwidth": "d", "kde_classes": "m",
    "labels": "c", "class_fractions": "c",
    "class_mean": "cd", "class_std": "cd", "class_factor": "cdd",
    "class_gmm_weights": "cj", "class_gmm_means": "cjd", "class_gmm_factors": "cjdd",
    "class_kde_bandwidth": "cd",
}  # fmt: skip
WHOLE = ("labels", "kde_classes")  # int64; all others are float32
HALVES = ("float16", "float32")
WEIGHTS = ("gmm_weights", "class_gmm_weights", "class_fractions")
POSITIVE = ("kde_bandwidth", "class_kde_bandwidth", "kde_scale")
FROM_ZERO = ("std", "class_std")
FACTORS = ("factor", "gmm_factors", "class_factor", "class_gmm_factors")


def check_statistics(
    arrays: Mapping[str, np.ndarray], latent_dim: int, labels: Sequence[int], where: str
) -> Mapping[str, np.ndarray]:
    """The arrays, if priors can be made of them. labels: those that the manifest names. where: the file, for errors.

    Raises ArtifactError, naming the array, for a shape, dtype or values that no statistic has.
    """
    sizes = {"d": latent_dim, "c": len(labels)}
    for name in filter(AXES.__contains__, arrays):
        array, axes = arrays[name], AXES[name]
        kinds = ("int64",) if name in WHOLE else HALVES if name == "kde_latents" else ("float32",)
        if array.ndim == len(axes):
            for axis, size in zip(axes, array.shape, strict=True):
                sizes.setdefault(axis, size)
        expected = tuple(sizes.get(axis, axis) for axis in axes)
        if array.shape != expected or 0 in array.shape:
            raise ArtifactError(
                f"{where}: {name}", found=f"shape {array.shape}", expected=f"shape {expected}, none of 0"
            )
        if array.dtype.name not in kinds:
            raise ArtifactError(f"{where}: {name}", found=f"dtype {array.dtype}", expected=" or ".join(kinds))
        fault = _fault(name, array)
        if fault:
            raise ArtifactError(f"{where}: {name}", found=fault[0], expected=fault[1])
    if "labels" in arrays and arrays["labels"].tolist() != list(labels):
        raise ArtifactError(f"{where}: labels", found=arrays["labels"].tolist(), expected="those of the manifest")
    return arrays


def _fault(name: str, array: np.ndarray) -> tuple[str, str] | None:
    """What is wrong with the values of an array and what was expected, or None."""
    if name in WEIGHTS and (array.min() < 0 or array.sum(-1, dtype=np.float64).min() <= 0):
        return "weights below 0, or none above", "weights from 0 with a sum above 0"
    if name in POSITIVE and array.min() <= 0:
        return "values of 0 or below", "values above 0"
    if name in FROM_ZERO and array.min() < 0:
        return "values below 0", "values from 0"
    if name in FACTORS:
        diagonal = np.diagonal(array, axis1=-2, axis2=-1)
        if diagonal.min() <= 0 or np.triu(array, 1).any():
            return "no Cholesky factor", "lower triangular matrices with a positive diagonal"
    return None
