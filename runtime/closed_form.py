"""The closed-form priors: which arrays of `latents.npz` each prior needs, and the functions that make it.

The table PRIORS is the only list of closed-form priors in the runtime.

Letters that name the axes of arrays: d latent dimensions, c classes, k components of the mixture of all images,
j components of the mixture of one class, m centres of the kernel density.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from .distributions import Gaussian, Kernels, Mixture, Prior
from .errors import InputError
from .statistics import Statistic, cholesky_factors, not_negative, positive, weights

Arrays = Mapping[str, np.ndarray]  # the arrays of `latents.npz`, by name

INTEGERS = ("int64",)
MEAN, CLASS_MEAN = Statistic("mean", "d"), Statistic("class_mean", "cd")
CLASS_FRACTIONS = Statistic("class_fractions", "c", weights)  # the fraction of training images in each class


@dataclass(frozen=True)
class ClosedFormPrior:
    """How a closed-form prior is made.

    arrays: the statistics that it needs, of all images and of each class. of_all: function that makes the prior of all
    images. of_class: function that makes the prior of one class, given the class index; None for a prior without
    classes.
    """

    arrays: tuple[Statistic, ...]
    of_all: Callable[[Arrays], Prior]
    of_class: Callable[[Arrays, int], Prior] | None = None


def stored_prior(name: str, arrays: Arrays, class_index: int | None = None) -> Prior:
    """The closed-form prior `name` of all images, or of one class.

    Raises InputError if a class is requested but the prior or the model has no classes, KeyError if an array that the
    prior needs is missing.
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
    """N(0, I)."""
    d = len(arrays["mean"])
    return Gaussian(np.zeros(d, np.float32), np.eye(d, dtype=np.float32))


def _diagonal(arrays: Arrays) -> Prior:
    """A Gaussian with independent dimensions."""
    return _independent(arrays["mean"], arrays["std"])


def _class_diagonal(arrays: Arrays, c: int) -> Prior:
    """The diagonal Gaussian of class index c."""
    return _independent(arrays["class_mean"][c], arrays["class_std"][c])


def _independent(mean: np.ndarray, std: np.ndarray) -> Prior:
    """A Gaussian of mean (d,) and std (d,); a std of 0 becomes the smallest positive float32."""
    return Gaussian(mean, np.diag(np.maximum(std, np.finfo(np.float32).tiny)))


def _gaussian(arrays: Arrays) -> Prior:
    """A Gaussian with full covariance."""
    return Gaussian(arrays["mean"], arrays["factor"])


def _class_gaussian(arrays: Arrays, c: int) -> Prior:
    """The full Gaussian of class index c."""
    return Gaussian(arrays["class_mean"][c], arrays["class_factor"][c])


def _gmm(arrays: Arrays) -> Prior:
    """A Gaussian mixture."""
    return Mixture(arrays["gmm_weights"], arrays["gmm_means"], arrays["gmm_factors"])


def _class_gmm(arrays: Arrays, c: int) -> Prior:
    """The Gaussian mixture of class index c."""
    return Mixture(arrays["class_gmm_weights"][c], arrays["class_gmm_means"][c], arrays["class_gmm_factors"][c])


def _kde(arrays: Arrays) -> Prior:
    """A kernel density."""
    return _kernels(arrays, slice(None), arrays["kde_bandwidth"])


def _class_kde(arrays: Arrays, c: int) -> Prior:
    """The kernel density of class index c. Raises KeyError if no latent of this class is stored."""
    rows = np.flatnonzero(arrays["kde_classes"] == c)
    if not len(rows):
        raise KeyError(f"latents of class {c}")
    return _kernels(arrays, rows, arrays["class_kde_bandwidth"][c])


def _kernels(arrays: Arrays, rows: slice | np.ndarray, bandwidth: np.ndarray) -> Prior:
    """A kernel density with some rows of `kde_latents` as centres. rows: a slice, or int64 (n,). bandwidth: (d,)."""
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

# Every array that `latents.npz` may hold, without duplicates.
STATISTICS: tuple[Statistic, ...] = tuple(
    dict.fromkeys(
        [
            Statistic("labels", "c", dtypes=INTEGERS),
            CLASS_FRACTIONS,
            *(array for prior in PRIORS.values() for array in prior.arrays),
        ]
    )
)
