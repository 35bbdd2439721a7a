"""Fit the closed-form priors to the training latents. The results are the arrays of an artifact's `latents.npz`."""

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from ..runtime.closed_form import PRIORS, stored_prior
from ..runtime.distributions import Kernels, Mixture
from ..runtime.errors import InputError
from ..train.latents import MIN_CLASS_LATENTS, EncodedLatents, class_indices, label_values, moments
from .mixture import fit_mixture

COMPONENTS = (5, 20, 50, 100)  # candidates for the number of components of the Gaussian mixture
SEARCH_LATENTS = 10_000  # the number of mixture components is chosen with at most this many latents, to save time
MIN_COMPONENT_LATENTS = 5  # numbers of components that leave fewer latents for each component are not tried
SEARCH_EM_STEPS = 10  # iterations of expectation maximisation for each candidate
EM_STEPS = 15  # iterations of EM that fit the chosen mixture to all latents, and a mixture to each class
KEPT_LATENTS = 5_000  # number of latents that the artifact stores for the kernel density
KEPT_PER_CLASS = 5  # at least this many latents of each class are stored, or all if the class has fewer
BANDWIDTHS = np.geomspace(1, 0.02, 18)  # candidate bandwidths, as fractions of the standard deviation of each dimension
SELECTION_LATENTS = 2_000  # maximum number of held-out latents to choose the number of components and the bandwidth
# Maximum number of multiplications to fit the chosen mixture, about a minute on one core of 2024. It limits the number
# of latents that the mixture is fitted to, for example to 78,000 with 64 dimensions and 100 components. At least
# SEARCH_LATENTS are always used.
MAX_MULTIPLICATIONS = 5 * 10**11
LIKELIHOOD_LATENTS = 1_000  # number of held-out latents for log-likelihoods; few, because learned priors are slow
TINY = float(np.finfo(np.float32).tiny)

Arrays = dict[str, np.ndarray]
Candidate = TypeVar("Candidate")


def no_report(step: str, done: int = 0, total: int = 0) -> None:
    """A report of progress that does nothing."""


@dataclass(frozen=True)
class TrainingLatents:
    """The latents that priors are fitted to.

    latents: the latents of the training images, float64 (n, d). held_out: the latents of the validation images, float64
    (m, d). labels: the label values of the training images, int64 (n,), or None. components: the number of components
    of the Gaussian mixture, or None to choose a number in COMPONENTS by the likelihood of `held_out`. report: called
    with the name of a long step, how much of it is done, and the total.
    """

    latents: np.ndarray
    held_out: np.ndarray
    labels: np.ndarray | None
    components: int | None
    report: Callable[..., None] = no_report

    @functools.cached_property
    def label_values(self) -> np.ndarray:
        """The label value of each class, int64 (c,), in ascending order."""
        return label_values(self.labels)

    @functools.cached_property
    def kept(self) -> np.ndarray:
        """Indices of the rows of `latents` that are stored for the kernel density, int64 (k,)."""
        return kept_rows(len(self.latents), self.labels)

    @functools.cached_property
    def bandwidth(self) -> float:
        """The bandwidth of the kernel density, as a fraction of the standard deviation of each latent dimension."""
        return best_bandwidth(self.latents[self.kept], self.held_out[:SELECTION_LATENTS])


@dataclass(frozen=True)
class Fit:
    """The functions that fit one prior.

    to_all: fits the prior to all latents, and returns its arrays for `latents.npz`. to_class: fits the prior to the
    latents of one class; None for a prior that is not fitted to classes. `to_class` takes the latents of the class,
    float64 (n, d), the latents of all classes, and all arrays that the `to_all` functions of the priors returned. An
    array `gmm_means` that it returns, for example, becomes one row of the array `class_gmm_means`, which has a row for
    each class.
    """

    to_all: Callable[[TrainingLatents], Arrays]
    to_class: Callable[[np.ndarray, TrainingLatents, Arrays], Arrays] | None


def fit(
    latents: np.ndarray,
    held_out: np.ndarray,
    labels: np.ndarray | None,
    *,
    components: int | None = None,
    report: Callable[..., None] = no_report,
) -> Arrays:
    """Fit every closed-form prior to all training latents and to each class. Returns the arrays of `latents.npz`.

    latents, held_out: latents of training and validation images, float32 (n, d) and (m, d). labels: the label values of
    `latents`, int64 (n,), or None. components: the number of components of the Gaussian mixture; None chooses a number
    in COMPONENTS by the likelihood of `held_out`. report: called with the name of each step of the fit as it begins,
    and during long steps also with how much of it is done, and the total. Computations use float64; float64 results
    are returned as float32. The same input gives the same arrays.
    """
    data = TrainingLatents(latents.astype(np.float64), held_out.astype(np.float64), labels, components, report)
    arrays: Arrays = {}
    # With one thread, sums do not depend on the number of cores, and no thread waits for others on a busy machine.
    with threadpool_limits(limits=1):
        for name in PRIORS:
            report(f"prior {name}")
            arrays |= FITS[name].to_all(data)
        if labels is not None and len(data.label_values):
            report("classes")
            arrays |= _fitted_to_classes(data, labels, arrays)
    return {name: array if array.dtype != np.float64 else array.astype(np.float32) for name, array in arrays.items()}


def _fitted_to_classes(data: TrainingLatents, labels: np.ndarray, arrays: Arrays) -> Arrays:
    """Fit the priors to each class. Returns arrays with one row for each class of at least MIN_CLASS_LATENTS latents.

    They include the label value of each class and its fraction of the latents. labels: the label values of the latents,
    int64 (n,). arrays: the arrays fitted to all latents.
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
    """Mean log density in nats of held-out latents (n, d) under each closed-form prior, by name of the prior."""
    return {name: float(stored_prior(name, arrays).log_prob(held_out).mean()) for name in PRIORS}


def likelihood_latents(held_out: EncodedLatents, num_classes: int) -> EncodedLatents:
    """Choose the held-out latents on which the log-likelihood of every prior is computed.

    These are the first LIKELIHOOD_LATENTS latents whose label is one of the artifact's classes. If there are no such
    latents, they are the first LIKELIHOOD_LATENTS of all held-out latents.
    """
    known = held_out.of_known_classes(num_classes)
    chosen = known if len(known.class_indices) else held_out
    return EncodedLatents(chosen.latent[:LIKELIHOOD_LATENTS], chosen.class_indices[:LIKELIHOOD_LATENTS])


def kept_rows(n: int, labels: np.ndarray | None) -> np.ndarray:
    """Choose at random which of n latents to store for the kernel density. Returns sorted indices, int64 (k,).

    labels: label values, int64 (n,), or None. From each class at least KEPT_PER_CLASS latents are chosen, or all if the
    class has fewer. k is KEPT_LATENTS; it is n if n is smaller, and larger than KEPT_LATENTS if the latents needed from
    each class add up to more. The same input gives the same indices.
    """
    order = np.random.default_rng(0).permutation(n)
    values = label_values(labels)
    if labels is None or not len(values):
        return np.sort(order[:KEPT_LATENTS])
    classes = class_indices(labels[order], n, values)
    by_class = np.argsort(classes, kind="stable")
    rank = np.empty(n, np.int64)  # position of each latent, in the random order, among the latents of its class
    rank[by_class] = np.arange(n) - np.searchsorted(classes[by_class], classes[by_class])
    first = (rank < KEPT_PER_CLASS) & (classes < len(values))
    kept = np.concatenate([order[first], order[~first]])
    return np.sort(kept[: max(KEPT_LATENTS, np.count_nonzero(first))])


def standard(data: TrainingLatents) -> Arrays:
    """The mean (d,) of the latents. The prior N(0, I) does not use it, but its shape gives the latent dimension."""
    return {"mean": data.latents.mean(0)}


def diagonal(latents: np.ndarray) -> Arrays:
    """Mean and standard deviation (d,) of latents (n, d)."""
    return {"mean": latents.mean(0), "std": np.maximum(latents.std(0), TINY)}


def gaussian(latents: np.ndarray) -> Arrays:
    """Mean (d,) of latents (n, d), and the lower Cholesky factor (d, d) of their covariance."""
    mean, factor = moments(latents)
    return {"mean": mean, "factor": factor}


def gaussian_mixture(data: TrainingLatents) -> Arrays:
    """Fit a Gaussian mixture: weights (k,), means (k, d), and Cholesky factors (k, d, d) of full covariances.

    The numbers of components in COMPONENTS are tried in ascending order, until a number no longer raises the likelihood
    of held-out latents. Raises InputError if there are fewer latents than components.
    """
    latents, held_out = data.latents[:SEARCH_LATENTS], data.held_out[:SELECTION_LATENTS]
    choices = [k for k in COMPONENTS if k * MIN_COMPONENT_LATENTS <= len(latents)] or [1]
    if data.components is not None:
        if data.components > len(latents):
            raise InputError("components", found=data.components, expected=f"at most {len(latents):,}")
        choices = [data.components]
    # For the progress: the time of an iteration of EM is proportional to the number of components.
    searched, total = 0, SEARCH_EM_STEPS * sum(choices)

    def candidate(components: int) -> Mixture:
        nonlocal searched
        before, searched = searched, searched + SEARCH_EM_STEPS * components

        def report(step: int) -> None:
            data.report("components of the mixture", before + step * components, total)

        return fit_mixture(latents, components, SEARCH_EM_STEPS, report=report)

    best = _before_fall(map(candidate, choices), lambda mixture: float(mixture.log_prob(held_out).mean()))
    rows = fitted_rows(len(best.weights), best.latent_dim)
    mixture = fit_mixture(
        data.latents[:rows],
        len(best.weights),
        EM_STEPS,
        best,
        report=lambda step: data.report("mixture of all latents", step, EM_STEPS),
    )
    return {"gmm_weights": mixture.weights, "gmm_means": mixture.means, "gmm_factors": mixture.factors}


def fitted_rows(components: int, latent_dim: int) -> int:
    """Maximum number of latents to fit a mixture to, so that EM needs at most MAX_MULTIPLICATIONS.

    An iteration of EM multiplies features (n, f) by (f, k) twice, with f = 1 + d + d (d + 1) / 2 features.
    """
    features = 1 + latent_dim + latent_dim * (latent_dim + 1) // 2
    return max(SEARCH_LATENTS, MAX_MULTIPLICATIONS // (2 * EM_STEPS * features * components))


def class_mixture(latents: np.ndarray, data: TrainingLatents, arrays: Arrays) -> Arrays:
    """Fit a Gaussian mixture to the latents (n, d) of one class.

    Returns weights (k,), means (k, d) and Cholesky factors (k, d, d). k is the number of components of the mixture that
    was fitted to all latents, divided by the number of classes, and at least 1. A class with few latents uses fewer
    components; the unused components have weight 0.
    """
    components, d = max(1, len(arrays["gmm_weights"]) // len(data.label_values)), latents.shape[1]
    mixture = fit_mixture(latents, min(components, len(latents) // MIN_CLASS_LATENTS), EM_STEPS)
    unused = components - len(mixture.weights)
    return {
        "gmm_weights": np.concatenate([mixture.weights, np.zeros(unused)]),
        "gmm_means": np.concatenate([mixture.means, np.zeros((unused, d))]),
        "gmm_factors": np.concatenate([mixture.factors, np.repeat(np.eye(d)[None], unused, 0)]),
    }


def kernel_density(data: TrainingLatents) -> Arrays:
    """The latents (k, d) stored for the kernel density, mean, scale and bandwidth (d,), and class indices (k,).

    The mean is subtracted from each latent, and the result is divided by the scale and stored in float16. float16 has a
    precision of 11 bits and ends at 65,504, so latents that are not normalised could change by more than the bandwidth.
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
    """The bandwidth (d,) of the kernel density of one class, whose latents are (n, d).

    It is the standard deviation of these latents times the fraction that was chosen with the latents of all classes.
    """
    return {"kde_bandwidth": np.maximum(data.bandwidth * latents.std(0), TINY)}


def best_bandwidth(latents: np.ndarray, held_out: np.ndarray) -> float:
    """Choose the fraction in BANDWIDTHS for the kernel density of latents (n, d).

    The fractions are tried in descending order, until one no longer raises the likelihood of held-out latents (m, d).
    """
    mean, scale = latents.mean(0), np.maximum(latents.std(0), TINY)
    latents, held_out = latents - mean, held_out - mean  # avoids a loss of precision if latents are far from 0
    candidates: list[float] = BANDWIDTHS.tolist()
    return _before_fall(
        candidates, lambda fraction: float(Kernels(latents, fraction * scale).log_prob(held_out).mean())
    )


def _before_fall(candidates: Iterable[Candidate], score: Callable[[Candidate], float]) -> Candidate:
    """The candidate after which the score no longer rises. Later candidates are not computed, which saves time.

    candidates: at least one.
    """
    remaining = iter(candidates)
    best = next(remaining)
    highest = score(best)
    for candidate in remaining:
        found = score(candidate)
        if found <= highest:
            break
        best, highest = candidate, found
    return best


# The functions that fit each closed-form prior, by name of the prior: one entry for each prior of the runtime.
FITS: dict[str, Fit] = {
    "standard": Fit(standard, None),
    "diagonal": Fit(lambda data: diagonal(data.latents), lambda latents, data, arrays: diagonal(latents)),
    "gaussian": Fit(lambda data: gaussian(data.latents), lambda latents, data, arrays: gaussian(latents)),
    "gmm": Fit(gaussian_mixture, class_mixture),
    "kde": Fit(kernel_density, class_bandwidth),
}
