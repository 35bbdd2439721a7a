"""The closed-form priors, whose density has a formula: Gaussians, Gaussian mixtures and kernel densities.

The table PRIORS lists, for each prior, the arrays of `latents.npz` that it needs and the functions that make it. It is
the only list of closed-form priors in the runtime.

One letter stands for each axis of an array: d for latent dimensions, c for classes, k for components of the mixture of
all images, j for components of the mixture of one class, m for centres of the kernel density.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from .distributions import Gaussian, Kernels, Mixture, Prior
from .errors import InputError
from .statistics import Statistic, cholesky_factors, not_negative, positive, weights

Arrays = Mapping[str, np.ndarray]  # the arrays of `latents.npz`, by name

INTEGERS = ("int64",)
MEAN, CLASS_MEAN = Statistic("mean", "d"), Statistic("class_mean", "cd")
LABELS = Statistic("labels", "c", dtypes=INTEGERS)
CLASS_FRACTIONS = Statistic("class_fractions", "c", weights)  # the fraction of training images in each class


class ClosedFormPrior(NamedTuple):
    """How a closed-form prior is made.

    arrays: descriptions of the arrays that it needs for all images and for single classes. of_all: a function that
    makes the prior of all images from the arrays. of_class: a function that makes the prior of one class from the
    arrays and the class index; None if there is no prior of single classes.
    """

    arrays: tuple[Statistic, ...]
    of_all: Callable[[Arrays], Prior]
    of_class: Callable[[Arrays, int], Prior] | None = None


def stored_prior(name: str, arrays: Arrays, class_index: int | None = None) -> Prior:
    """Make the closed-form prior `name` for all images, or for one class if a class index is given.

    Raises InputError if a class is requested but the prior or the model has no classes, KeyError if `arrays` lacks an
    array that the prior needs.
    """
    prior = PRIORS[name]
    if class_index is None:
        return prior.of_all(arrays)
    if prior.of_class is None or "labels" not in arrays:
        with_classes = [other for other, entry in PRIORS.items() if entry.of_class is not None]
        of_images = "a model of labelled images"
        expected = f"no label, or one of {', '.join(with_classes)}" if prior.of_class is None else of_images
        raise InputError(f"prior {name!r}", found=f"a label, class index {class_index}", expected=expected)
    return prior.of_class(arrays, class_index)


def _standard(arrays: Arrays) -> Prior:
    """The standard normal distribution N(0, I)."""
    d = len(arrays["mean"])
    return Gaussian(np.zeros(d, np.float32), np.eye(d, dtype=np.float32))


def _diagonal(arrays: Arrays) -> Prior:
    """A Gaussian of the latents of all images, with independent dimensions."""
    return _independent(arrays["mean"], arrays["std"])


def _class_diagonal(arrays: Arrays, c: int) -> Prior:
    """A Gaussian of the latents of the class with index c, with independent dimensions."""
    return _independent(arrays["class_mean"][c], arrays["class_std"][c])


def _independent(mean: np.ndarray, std: np.ndarray) -> Prior:
    """A Gaussian with independent dimensions. mean, std: (d,); the smallest normal float32 replaces a std of 0."""
    return Gaussian(mean, np.diag(np.maximum(std, np.finfo(np.float32).tiny)))


def _gaussian(arrays: Arrays) -> Prior:
    """A Gaussian of the latents of all images, with a full covariance matrix."""
    return Gaussian(arrays["mean"], arrays["factor"])


def _class_gaussian(arrays: Arrays, c: int) -> Prior:
    """A Gaussian of the latents of the class with index c, with a full covariance matrix."""
    return Gaussian(arrays["class_mean"][c], arrays["class_factor"][c])


def _gmm(arrays: Arrays) -> Prior:
    """A Gaussian mixture of the latents of all images."""
    return Mixture(arrays["gmm_weights"], arrays["gmm_means"], arrays["gmm_factors"])


def _class_gmm(arrays: Arrays, c: int) -> Prior:
    """A Gaussian mixture of the latents of the class with index c."""
    return Mixture(arrays["class_gmm_weights"][c], arrays["class_gmm_means"][c], arrays["class_gmm_factors"][c])


def _kde(arrays: Arrays) -> Prior:
    """A kernel density of the latents of all images."""
    return _kernels(arrays, slice(None), arrays["kde_bandwidth"])


def _class_kde(arrays: Arrays, c: int) -> Prior:
    """A kernel density of the latents of the class with index c. Raises KeyError if none of them is stored."""
    rows = np.flatnonzero(arrays["kde_classes"] == c)
    if not len(rows):
        raise KeyError(f"latents of class {c}")
    return _kernels(arrays, rows, arrays["class_kde_bandwidth"][c])


def _kernels(arrays: Arrays, rows: slice | np.ndarray, bandwidth: np.ndarray) -> Prior:
    """A kernel density whose centres are some rows of the array `kde_latents`.

    rows: which rows, as a slice or as indices int64 (n,). bandwidth: the kernels' standard deviations (d,).
    """
    mean, scale = arrays["kde_mean"], arrays["kde_scale"]
    return Kernels(arrays["kde_latents"][rows], bandwidth, mean, scale)


PRIORS: dict[str, ClosedFormPrior] = {
    "standard": ClosedFormPrior((MEAN,), _standard),
    "diagonal": ClosedFormPrior(
        (MEAN, Statistic("std", "d", not_negative), CLASS_MEAN, Statistic("class_std", "cd", not_negative)),
        _diagonal,
        _class_diagonal,
    ),
    "gaussian": ClosedFormPrior(
        (
            MEAN,
            Statistic("factor", "dd", cholesky_factors),
            CLASS_MEAN,
            Statistic("class_factor", "cdd", cholesky_factors),
        ),
        _gaussian,
        _class_gaussian,
    ),
    "gmm": ClosedFormPrior(
        (
            Statistic("gmm_weights", "k", weights),
            Statistic("gmm_means", "kd"),
            Statistic("gmm_factors", "kdd", cholesky_factors),
            Statistic("class_gmm_weights", "cj", weights),
            Statistic("class_gmm_means", "cjd"),
            Statistic("class_gmm_factors", "cjdd", cholesky_factors),
        ),
        _gmm,
        _class_gmm,
    ),
    "kde": ClosedFormPrior(
        (
            Statistic("kde_latents", "md", dtypes=("float16", "float32")),
            Statistic("kde_mean", "d"),
            Statistic("kde_scale", "d", positive),
            Statistic("kde_bandwidth", "d", positive),
            Statistic("kde_classes", "m", dtypes=INTEGERS),
            Statistic("class_kde_bandwidth", "cd", positive),
        ),
        _kde,
        _class_kde,
    ),
}

# Descriptions of all arrays that `latents.npz` may hold. An array that several priors need is listed once.
STATISTICS: tuple[Statistic, ...] = tuple(
    dict.fromkeys(
        [
            LABELS,
            CLASS_FRACTIONS,
            *(array for prior in PRIORS.values() for array in prior.arrays),
        ]
    )
)
