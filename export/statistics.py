"""Fitting of the closed-form priors to the training latents, which gives the arrays of `latents.npz`."""

import functools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.mixture import GaussianMixture

from ..runtime.closed_form import PRIORS, stored_prior
from ..runtime.distributions import Kernels
from ..train.latents import MIN_CLASS_LATENTS, EncodedLatents, class_indices, jitter, label_values, moments

COMPONENTS = (5, 20, 50, 100)  # numbers of components of a Gaussian mixture, of which the likeliest is chosen
SEARCH_LATENTS = 10_000  # latents used to choose the number of components; the chosen mixture is fitted to all
EM_STEPS = 20  # steps of expectation maximisation; later ones change only the third digit of the likelihood
FINAL_EM_STEPS = 10  # EM steps on all latents, which start from the chosen mixture
KEPT_LATENTS = 5_000  # latents stored for the kernel density
KEPT_PER_CLASS = 5  # latents stored of each class at least; a smaller class is stored completely
BANDWIDTHS = np.geomspace(0.02, 1, 18)  # candidate bandwidths, as fractions of the standard deviation of each dimension
BANDWIDTH_LATENTS = 2_000  # number of held-out latents with which the bandwidth is chosen
LIKELIHOOD_LATENTS = 1_000  # held-out latents that log-likelihoods are computed for; few, as flows are slow
TINY = float(np.finfo(np.float32).tiny)

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class TrainingLatents:
    """The latents that priors are fitted to.

    latents: the latents of the training images, float64 (n, d). held_out: the latents of the validation images, float64
    (m, d). labels: the label values of the training images, int64 (n,), or None. components: the number of components
    of the Gaussian mixture, or None for the one of COMPONENTS under which `held_out` is likeliest.
    """

    latents: np.ndarray
    held_out: np.ndarray
    labels: np.ndarray | None
    components: int | None

    @functools.cached_property
    def label_values(self) -> np.ndarray:
        """The label value of each class, int64 (c,), in ascending order."""
        return label_values(self.labels)

    @functools.cached_property
    def kept(self) -> np.ndarray:
        """The indices of the rows of `latents` that the kernel density stores, int64 (k,)."""
        return kept_rows(len(self.latents), self.labels)

    @functools.cached_property
    def bandwidth(self) -> float:
        """The bandwidth of the kernel density, as a fraction of the standard deviation of each latent dimension."""
        return best_bandwidth(self.latents[self.kept], self.held_out[:BANDWIDTH_LATENTS])


@dataclass(frozen=True)
class Fit:
    """The functions that fit one prior.

    to_all: fits the prior to all latents, and returns its arrays of `latents.npz`. to_class: fits the prior to one
    class; None for a prior without classes. It takes the latents of the class, float64 (n, d), the latents of all
    classes, and the arrays that were fitted to all. An array NAME that it returns becomes the row of the
    class in the array `class_NAME`.
    """

    to_all: Callable[[TrainingLatents], Arrays]
    to_class: Callable[[np.ndarray, TrainingLatents, Arrays], Arrays] | None


def fit(
    latents: np.ndarray,
    held_out: np.ndarray,
    labels: np.ndarray | None,
    *,
    components: int | None = None,
    report: Callable[[str], None] = lambda step: None,
) -> Arrays:
    """The arrays of `latents.npz`: every closed-form prior, fitted to all training latents and to each class.

    latents, held_out: float32 (n, d) and (m, d). labels: the label values of `latents`, int64 (n,), or None.
    components: the number of components of the Gaussian mixture, by default the one of COMPONENTS with the highest
    likelihood of `held_out`. report: called with the name of each step as it begins. The fit is computed in float64;
    the arrays are float32, or another dtype where the prior requires it. The same input gives the same arrays.
    """
    data = TrainingLatents(latents.astype(np.float64), held_out.astype(np.float64), labels, components)
    arrays: Arrays = {}
    for name in PRIORS:
        report(f"prior {name}")
        arrays |= FITS[name].to_all(data)
    if labels is not None and len(data.label_values):
        report("classes")
        arrays |= _fitted_to_classes(data, labels, arrays)
    return {name: array if array.dtype != np.float64 else array.astype(np.float32) for name, array in arrays.items()}


def _fitted_to_classes(data: TrainingLatents, labels: np.ndarray, arrays: Arrays) -> Arrays:
    """The arrays fitted to single classes: one row for each class that has at least MIN_CLASS_LATENTS latents.

    labels: the label values of the latents, int64 (n,). arrays: the arrays fitted to all latents.
    """
    rows: dict[str, list[np.ndarray]] = {}
    for value in data.label_values:
        of_class: Arrays = {}
        for name in PRIORS:
            to_class = FITS[name].to_class
            of_class |= {} if to_class is None else to_class(data.latents[labels == value], data, arrays)
        for name, array in of_class.items():
            rows.setdefault(f"class_{name}", []).append(array)
    fractions = np.array([np.mean(labels == value) for value in data.label_values])
    stacked = {name: np.stack(parts) for name, parts in rows.items()}
    return {**stacked, "labels": data.label_values, "class_fractions": fractions / fractions.sum()}


def log_likelihoods(arrays: Mapping[str, np.ndarray], held_out: np.ndarray) -> dict[str, float]:
    """Mean log density in nats of held-out latents (n, d) under every closed-form prior."""
    return {name: float(stored_prior(name, arrays).log_prob(held_out).mean()) for name in PRIORS}


def likelihood_latents(held_out: EncodedLatents, num_classes: int) -> EncodedLatents:
    """The held-out latents for which the log-likelihood of every prior is computed.

    These are the first LIKELIHOOD_LATENTS latents that have a known class or, if none has, the first LIKELIHOOD_LATENTS
    of all latents.
    """
    known = held_out.of_known_classes(num_classes)
    chosen = known if len(known.class_indices) else held_out
    return EncodedLatents(chosen.latent[:LIKELIHOOD_LATENTS], chosen.class_indices[:LIKELIHOOD_LATENTS])


def kept_rows(n: int, labels: np.ndarray | None) -> np.ndarray:
    """Choose at random which of n latents the kernel density stores. Returns their indices, int64 (k,), ascending.

    labels: label values, int64 (n,), or None. From each class at least KEPT_PER_CLASS latents are chosen, or all if it
    has fewer. k is KEPT_LATENTS, less if there are fewer latents, and more if the classes need more. The same input
    gives the same indices.
    """
    order = np.random.default_rng(0).permutation(n)
    values = label_values(labels)
    if labels is None or not len(values):
        return np.sort(order[:KEPT_LATENTS])
    classes = class_indices(labels[order], n, values)
    by_class = np.argsort(classes, kind="stable")
    rank = np.empty(n, np.int64)  # rank of each row within its class
    rank[by_class] = np.arange(n) - np.searchsorted(classes[by_class], classes[by_class])
    first = (rank < KEPT_PER_CLASS) & (classes < len(values))
    kept = np.concatenate([order[first], order[~first]])
    return np.sort(kept[: max(KEPT_LATENTS, np.count_nonzero(first))])


def standard(data: TrainingLatents) -> Arrays:
    """The mean (d,) alone: N(0, I) has no parameters, but the mean has the latent dimension in its shape."""
    return {"mean": data.latents.mean(0)}


def diagonal(latents: np.ndarray) -> Arrays:
    """Mean and standard deviation (d,) of latents (n, d)."""
    return {"mean": latents.mean(0), "std": np.maximum(latents.std(0), TINY)}


def gaussian(latents: np.ndarray) -> Arrays:
    """Mean (d,) of latents (n, d), and the lower Cholesky factor (d, d) of their covariance."""
    mean, factor = moments(latents)
    return {"mean": mean, "factor": factor}


def gaussian_mixture(data: TrainingLatents) -> Arrays:
    """Weights (k,), means (k, d) and Cholesky factors (k, d, d) of a mixture of Gaussians with full covariances.

    Source: A. Dempster, N. Laird, D. Rubin, Maximum Likelihood from Incomplete Data via the EM Algorithm, 1977.
    """
    searched = data.latents[:SEARCH_LATENTS]
    choices = [data.components] if data.components else [k for k in COMPONENTS if k * 5 <= len(searched)] or [1]
    best = max((_mixture(searched, k) for k in choices), key=lambda mixture: mixture.score(data.held_out))
    if len(data.latents) > len(searched):
        best = _mixture(data.latents, best.n_components, best)
    return {"gmm_weights": best.weights_, "gmm_means": best.means_, "gmm_factors": _factors(best)}


def class_mixture(latents: np.ndarray, data: TrainingLatents, arrays: Arrays) -> Arrays:
    """The mixture of the latents (n, d) of one class: weights (k,), means (k, d) and factors (k, d, d).

    k is the number of components of the mixture of all images, divided by the number of classes. A class with few
    latents uses fewer components; the rest have weight 0.
    """
    components, d = max(1, len(arrays["gmm_weights"]) // len(data.label_values)), latents.shape[1]
    mixture = _mixture(latents, min(components, len(latents) // MIN_CLASS_LATENTS))
    unused = components - mixture.n_components
    return {
        "gmm_weights": np.concatenate([mixture.weights_, np.zeros(unused)]),
        "gmm_means": np.concatenate([mixture.means_, np.zeros((unused, d))]),
        "gmm_factors": np.concatenate([_factors(mixture), np.repeat(np.eye(d)[None], unused, 0)]),
    }


def kernel_density(data: TrainingLatents) -> Arrays:
    """The kept latents (k, d), their mean, scale and bandwidth (d,), and their class indices (k,).

    The latents are stored in float16, with the mean subtracted and divided by the scale. float16 has a precision of 11
    bits and ends at 65,504: without mean and scale, rounding could change a latent by more than the bandwidth.
    """
    latents = data.latents
    mean, std = latents.mean(0).astype(np.float32), latents.std(0).astype(np.float32)
    scale = np.where(std > TINY, std, np.float32(1))
    arrays = {
        "kde_latents": ((latents[data.kept] - mean) / scale).astype(np.float16),
        "kde_mean": mean,
        "kde_scale": scale,
        "kde_bandwidth": np.maximum(data.bandwidth * latents.std(0), TINY),
    }
    if data.labels is not None and len(data.label_values):
        arrays["kde_classes"] = class_indices(data.labels[data.kept], len(data.kept), data.label_values)
    return arrays


def class_bandwidth(latents: np.ndarray, data: TrainingLatents, arrays: Arrays) -> Arrays:
    """The bandwidth (d,) for latents (n, d) of one class: their std times the fraction chosen for all latents."""
    return {"kde_bandwidth": np.maximum(data.bandwidth * latents.std(0), TINY)}


def best_bandwidth(latents: np.ndarray, held_out: np.ndarray) -> float:
    """The fraction among BANDWIDTHS whose kernel density of latents (n, d) makes held-out latents (m, d) likeliest."""
    mean, scale = latents.mean(0), np.maximum(latents.std(0), TINY)
    latents, held_out = latents - mean, held_out - mean  # without this, densities far from 0 would lose digits
    scores = [Kernels(latents, fraction * scale).log_prob(held_out).mean() for fraction in BANDWIDTHS]
    return float(BANDWIDTHS[int(np.argmax(scores))])


def _mixture(latents: np.ndarray, components: int, start: GaussianMixture | None = None) -> GaussianMixture:
    """A mixture fitted to latents (n, d) by expectation maximisation.

    start: the mixture that the fit starts from; by default it starts from k-means.
    """
    options = {}
    if start is not None:
        options = {"weights_init": start.weights_, "means_init": start.means_, "precisions_init": start.precisions_}
    variance = jitter(np.atleast_2d(np.cov(latents, rowvar=False)))
    steps = EM_STEPS if start is None else FINAL_EM_STEPS
    mixture = GaussianMixture(components, reg_covar=variance, max_iter=steps, random_state=0, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a warning says that the fit has not converged, which is good enough here
        return mixture.fit(latents)


def _factors(mixture: GaussianMixture) -> np.ndarray:
    """Lower Cholesky factors (k, d, d) of the covariances of a mixture with k components."""
    return np.linalg.cholesky(mixture.covariances_)


# One entry for each closed-form prior of the runtime.
FITS: dict[str, Fit] = {
    "standard": Fit(standard, None),
    "diagonal": Fit(lambda data: diagonal(data.latents), lambda latents, data, arrays: diagonal(latents)),
    "gaussian": Fit(lambda data: gaussian(data.latents), lambda latents, data, arrays: gaussian(latents)),
    "gmm": Fit(gaussian_mixture, class_mixture),
    "kde": Fit(kernel_density, class_bandwidth),
}
