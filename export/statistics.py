"""Statistics of the training latents, from which new latents are drawn: a ladder of priors fitted to the same latents."""

import warnings
from collections.abc import Callable, Mapping

import numpy as np
import torch
from sklearn.mixture import GaussianMixture

from ..runtime.priors import PRIORS, Kernels, stored_prior
from ..train.flow import Flow, log_density
from ..train.latents import FEWEST, EncodedLatents, jitter, label_values, moments, places

COMPONENTS = (5, 20, 50, 100)  # of a Gaussian mixture, to choose from by held-out likelihood
SEARCHED = 10_000  # latents that the choice of components is made on; the chosen mixture is fitted to all
STEPS = 20  # of expectation maximisation at most; later ones change the likelihood in its third digit
REFINED = 10  # of them, from the chosen mixture on to all latents
KERNELS = 5_000  # latents kept for the kernel density
KERNELS_OF_CLASS = 5  # of each class at least, or all where it has fewer
BANDWIDTHS = np.geomspace(0.02, 1, 18)  # shares of each axis's standard deviation, to choose from in the same way
FOLLOWED = 1_000  # held-out latents that every prior's density is measured at: a flow is slowly followed back
JUDGES = 2_000  # held-out latents that a bandwidth is chosen by

TINY = float(np.finfo(np.float32).tiny)
Arrays = dict[str, np.ndarray]


def fit(
    latents: np.ndarray,
    held_out: np.ndarray,
    labels: np.ndarray | None,
    *,
    components: int | None = None,
    report: Callable[[str], None] = lambda step: None,
) -> Arrays:
    """Everything that `latents.npz` holds: every prior, of all training latents and, by label, of each class.

    latents, held_out: float32 (n, d). labels: int64 (n,) of `latents`. components: of the mixture, else the number of
    COMPONENTS with the highest likelihood of `held_out`. Fitted in float64, the same every time; returned as float32.
    """
    wide, extractors = latents.astype(np.float64), held_out.astype(np.float64)
    report("Gaussian mixture")
    mixture = gaussian_mixture(wide, extractors, components)
    report("kernel density")
    kept = kept_rows(len(wide), labels)
    share = best_bandwidth(wide[kept], extractors[:JUDGES])
    arrays = {**gaussian(wide), **mixture, **kernels(wide, kept)}
    arrays["kde_bandwidth"] = np.maximum(share * wide.std(0), TINY)
    if labels is not None:
        report("classes")
        arrays |= class_statistics(wide, labels, kept, len(mixture["gmm_weights"]), share)
    return {name: array if array.dtype != np.float64 else array.astype(np.float32) for name, array in arrays.items()}


def measured(held_out: EncodedLatents, classes: int) -> EncodedLatents:
    """The held-out latents that priors are compared by, the same for all: the first FOLLOWED of known classes.

    classes: how many there are. Where no latent has a known class, the first of all.
    """
    known = held_out.of_known_labels(classes)
    chosen = known if len(known.labels) else held_out
    return EncodedLatents(chosen.latent[:FOLLOWED], chosen.labels[:FOLLOWED])


def kept_rows(n: int, labels: np.ndarray | None) -> np.ndarray:
    """The rows of n latents that the kernel density keeps, int64 in order: KERNELS at random, the same every time.

    Among them are KERNELS_OF_CLASS of every class that can be asked for, or all of a class that has fewer; where there
    are very many classes, more than KERNELS rows are kept.
    """
    order = np.random.default_rng(0).permutation(n)
    values = label_values(labels)
    if labels is None or not len(values):
        return np.sort(order[:KERNELS])
    classes = places(labels[order], n, values)
    by_class = np.argsort(classes, kind="stable")
    rank = np.empty(n, np.int64)  # of each row in its class
    rank[by_class] = np.arange(n) - np.searchsorted(classes[by_class], classes[by_class])
    first = (rank < KERNELS_OF_CLASS) & (classes < len(values))
    kept = np.concatenate([order[first], order[~first]])
    return np.sort(kept[: max(KERNELS, np.count_nonzero(first))])


def kernels(latents: np.ndarray, kept: np.ndarray) -> Arrays:
    """The kept rows of latents (n, d), as halves of what they are relative to the mean and the scale (d,) of all.

    Halves have 11 bits and end at 65,504: of latents as they are, rounding could exceed the bandwidth.
    """
    mean, std = latents.mean(0).astype(np.float32), latents.std(0).astype(np.float32)
    scale = np.where(std > TINY, std, np.float32(1))
    return {"kde_latents": ((latents[kept] - mean) / scale).astype(np.float16), "kde_mean": mean, "kde_scale": scale}


def log_likelihoods(arrays: Mapping[str, np.ndarray], held_out: np.ndarray) -> dict[str, float]:
    """Mean log density in nats of held-out latents (n, d) under every prior."""
    return {name: float(stored_prior(name, arrays).log_prob(held_out).mean()) for name in PRIORS}


def flow_log_likelihood(flow: Flow, held_out: np.ndarray, labels: np.ndarray, shares: np.ndarray) -> float:
    """Mean log density in nats of held-out latents (n, d) under a learned flow, followed closely; at least.

    labels: int64 (n,), class indices. shares: of each class, or empty. p(z) = sum_y share(y) p(z|y) is taken at the
    latent's own class alone, beside which the others hardly count.
    """
    latents, own = torch.from_numpy(held_out), torch.from_numpy(labels)
    with torch.no_grad():  # in inference mode torch before 2.12 takes every Jacobian for 0
        density = float(log_density(flow, latents, own).mean())
    return density + (float(np.log(shares[labels]).mean()) if len(shares) else 0.0)


def gaussian(latents: np.ndarray) -> Arrays:
    """Mean and std (d,), and the lower Cholesky factor (d, d) of the covariance."""
    mean, factor = moments(latents)
    return {"mean": mean, "std": np.maximum(latents.std(0), TINY), "factor": factor}


def gaussian_mixture(latents: np.ndarray, held_out: np.ndarray, components: int | None) -> Arrays:
    """Weights (k,), means (k, d) and factors (k, d, d) of a mixture of Gaussians with full covariances.

    Source: A. Dempster, N. Laird, D. Rubin, Maximum Likelihood from Incomplete Data via the EM Algorithm, 1977.
    """
    searched = latents[:SEARCHED]
    choices = [components] if components else [k for k in COMPONENTS if k * 5 <= len(searched)] or [1]
    found = max((_em(searched, k) for k in choices), key=lambda mixture: mixture.score(held_out))
    if len(latents) > len(searched):
        found = _em(latents, found.n_components, found)
    return {"gmm_weights": found.weights_, "gmm_means": found.means_, "gmm_factors": _factors(found)}


def class_statistics(
    latents: np.ndarray, labels: np.ndarray, kept: np.ndarray, components: int, share: float
) -> Arrays:
    """The priors of each class, stacked over the classes that have at least FEWEST latents.

    kept: the rows of `latents` that the kernel density keeps. components: of the mixture of all classes, of which each
    gets an even part. share: the kernels' bandwidth, as a share of a standard deviation.
    """
    values = label_values(labels)
    part = max(1, components // max(1, len(values)))
    rows: dict[str, list[np.ndarray]] = {}
    for value in values:
        own = latents[labels == value]
        statistics = {f"class_{name}": array for name, array in gaussian(own).items()}
        mixture = _em(own, min(part, len(own) // FEWEST))
        padded = part - mixture.n_components  # weight 0: never drawn
        factors = _factors(mixture)
        statistics["class_gmm_weights"] = np.concatenate([mixture.weights_, np.zeros(padded)])
        statistics["class_gmm_means"] = np.concatenate([mixture.means_, np.zeros((padded, latents.shape[1]))])
        statistics["class_gmm_factors"] = np.concatenate(
            [factors, np.repeat(np.eye(latents.shape[1])[None], padded, 0)]
        )
        statistics["class_kde_bandwidth"] = np.maximum(share * own.std(0), TINY)
        for name, array in statistics.items():
            rows.setdefault(name, []).append(array)
    classes = places(labels[kept], len(kept), values)
    found = {name: np.stack(arrays) for name, arrays in rows.items()}
    shares = np.array([np.mean(labels == value) for value in values])
    return {**found, "labels": values, "class_fractions": shares / max(shares.sum(), 1e-12), "kde_classes": classes}


def best_bandwidth(latents: np.ndarray, held_out: np.ndarray) -> float:
    """The one of BANDWIDTHS under which a kernel density of `latents` gives held-out latents the highest likelihood."""
    mean, scale = latents.mean(0), np.maximum(latents.std(0), TINY)
    latents, held_out = latents - mean, held_out - mean  # densities far from 0 would lose digits
    scores = [Kernels(latents, share * scale).log_prob(held_out).mean() for share in BANDWIDTHS]
    return float(BANDWIDTHS[int(np.argmax(scores))])


def _em(latents: np.ndarray, components: int, start: GaussianMixture | None = None) -> GaussianMixture:
    warm = {}
    if start is not None:
        warm = {"weights_init": start.weights_, "means_init": start.means_, "precisions_init": start.precisions_}
    floor = jitter(np.atleast_2d(np.cov(latents, rowvar=False)))
    mixture = GaussianMixture(components, reg_covar=floor, max_iter=REFINED if warm else STEPS, random_state=0, **warm)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a mixture that has not quite converged is judged like any other
        return mixture.fit(latents)


def _factors(mixture: GaussianMixture) -> np.ndarray:
    return np.linalg.cholesky(mixture.covariances_)
