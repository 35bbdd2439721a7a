"""The Gaussian mixture of an artifact is that of expectation maximisation, and the search for its size ends early."""

import itertools
import warnings

import numpy as np
import pytest
from aegen.export import statistics
from aegen.export.mixture import fit_mixture
from aegen.runtime.errors import InputError
from aegen.train.latents import jitter
from sklearn.mixture import GaussianMixture


def clusters(n, d, k=3, *, mean=0.0, scale=1.0):
    """Make latents (n, d) in k clusters of different shapes, multiplied by `scale` and then shifted by `mean`."""
    random = np.random.default_rng(0)
    centres, mixing = 4 * random.standard_normal((k, d)), random.standard_normal((k, d, d))
    chosen = random.integers(k, size=n)
    latents = centres[chosen] + np.einsum("nij,nj->ni", mixing[chosen], random.standard_normal((n, d)))
    return mean + scale * latents


@pytest.mark.parametrize(("mean", "scale"), [(0, 1), (1e4, 1e-2), (-3e6, 1e5)])
@pytest.mark.parametrize("d", [1, 2, 7])
def test_every_iteration_gives_the_mixture_of_scikit_learn(d, mean, scale):
    latents = clusters(900, d, mean=mean, scale=scale)
    start = fit_mixture(latents, 4, 1)
    inverses = np.linalg.inv(start.factors)
    reference = GaussianMixture(
        4,
        reg_covar=jitter(np.atleast_2d(np.cov(latents, rowvar=False, bias=True))),
        tol=0,
        max_iter=5,
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=inverses.swapaxes(1, 2) @ inverses,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # hides a warning that five iterations do not converge
        reference.fit(latents)
    mixture = fit_mixture(latents, 4, 5, start)
    covariances = mixture.factors @ mixture.factors.swapaxes(1, 2)
    assert np.allclose(mixture.weights, reference.weights_, atol=1e-6)
    assert np.allclose((mixture.means - mean) / scale, (reference.means_ - mean) / scale, atol=1e-5)
    assert np.allclose(covariances / scale**2, reference.covariances_ / scale**2, rtol=1e-4, atol=1e-5)


def test_the_likelihood_of_the_latents_rises_with_every_iteration():
    latents = clusters(500, 3)
    likelihoods = [fit_mixture(latents, 5, steps).log_prob(latents).mean() for steps in range(1, 9)]
    assert all(after >= before for before, after in itertools.pairwise(likelihoods))
    assert likelihoods[-1] > likelihoods[0] + 0.01


@pytest.mark.parametrize("rows", [1, 100, 1000])
def test_latents_are_added_up_block_by_block(monkeypatch, rows):
    latents = clusters(700, 3)
    whole = fit_mixture(latents, 4, 6)
    monkeypatch.setattr("aegen.export.mixture.BLOCK_VALUES", 1)
    monkeypatch.setattr("aegen.export.mixture.MIN_BLOCK_ROWS", rows)
    parts = fit_mixture(latents, 4, 6)
    assert np.allclose(parts.weights, whole.weights)
    assert np.allclose(parts.means, whole.means)
    assert np.allclose(parts.factors, whole.factors)


@pytest.mark.parametrize(
    "latents",
    [
        np.zeros((50, 3)),
        np.repeat(np.eye(3), 20, 0),
        np.stack([np.arange(60.0), np.full(60, 7.0)], 1),
        np.concatenate([clusters(99, 2), [[1e9, -1e9]]]),
    ],
    ids=["equal", "three distinct", "a constant dimension", "an outlier"],
)
def test_a_mixture_of_degenerate_latents_has_finite_densities(latents):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mixture = fit_mixture(latents, 8, 10)
        assert np.isfinite(mixture.log_prob(latents)).all()
    assert mixture.weights.sum() == pytest.approx(1)
    assert (np.diagonal(mixture.factors, axis1=1, axis2=2) > 0).all()


def test_the_search_ends_when_more_components_make_held_out_latents_no_likelier(monkeypatch):
    latents, tried = clusters(600, 2), []

    def recorded(rows, components, steps, start=None, **report):
        tried.append((components, len(rows), start is not None))
        return fit_mixture(rows, components, steps, start, **report)

    monkeypatch.setattr(statistics, "COMPONENTS", (1, 3, 60, 100, 110))
    monkeypatch.setattr(statistics, "SEARCH_LATENTS", 550)
    monkeypatch.setattr(statistics, "fit_mixture", recorded)
    arrays = statistics.fit(latents[:580], latents[580:], None)
    assert tried == [(1, 550, False), (3, 550, False), (60, 550, False), (3, 580, True)]
    assert arrays["gmm_means"].shape == (3, 2)


def test_more_components_than_latents_are_refused():
    latents = clusters(30, 2).astype(np.float32)
    assert len(statistics.fit(latents, latents, None, components=30)["gmm_weights"]) == 30
    with pytest.raises(InputError, match="components: found 31, expected at most 30"):
        statistics.fit(latents, latents, None, components=31)
