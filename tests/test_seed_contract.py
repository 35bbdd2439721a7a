"""The same seed gives the same images, however they are drawn."""

import aegen
import numpy as np
import pytest
from aegen.runtime.noise import Noise
from aegen.runtime.priors import Mixture
from hypothesis import given, settings
from hypothesis import strategies as st

MODEL = aegen.load("mnist-ae")
PRIOR_NAMES = MODEL.priors


@pytest.mark.parametrize("prior", PRIOR_NAMES)
@settings(deadline=None)  # a busy machine is no broken promise
@given(count=st.integers(1, 300), size=st.integers(1, 80), seed=st.integers(0, 2**64))
def test_same_seed_gives_the_same_latents_at_any_batch_size(prior, count, size, seed):
    cut = np.concatenate(list(MODEL._drawn(lambda latents, part: latents, (), count, seed, prior, None, None, size)))
    assert np.array_equal(cut, MODEL.draw(count, seed=seed, prior=prior))


@pytest.mark.parametrize("prior", PRIOR_NAMES)
def test_the_first_16_of_64_are_the_16(prior):
    assert np.array_equal(MODEL.draw(64, seed=3, prior=prior)[:16], MODEL.draw(16, seed=3, prior=prior))


@pytest.mark.parametrize("name", ["mnist-ae", "mnist"])
def test_images_agree_to_one_grey_level_at_any_batch_size_and_thread_count(name):
    expected = aegen.load(name).sample(300, seed=1, dtype="uint8").astype(int)
    for threads, size in [(1, 1), (1, 7), (2, 64), (2, 300)]:
        again = aegen.load(name, threads=threads, batch_size=size).sample(300, seed=1, dtype="uint8")
        assert np.abs(again - expected).max() <= 1


def test_chunks_are_the_sample():
    chunks = list(MODEL.iter_sample(100, seed=2, batch_size=32))
    assert [len(chunk) for chunk in chunks] == [32, 32, 32, 4]
    assert np.allclose(np.concatenate(chunks), MODEL.sample(100, seed=2), atol=1e-5)


def test_different_seeds_and_no_seed_differ():
    latents = [MODEL.draw(4, seed=seed) for seed in (0, 1, None, None)]
    assert all(not np.array_equal(a, b) for i, a in enumerate(latents) for b in latents[:i])


def test_noise_of_a_seed_is_fixed_for_all_time():
    first = Noise(0).normals(2, 3)
    assert first.dtype == np.float32
    assert first.tobytes().hex() == "d461084054855c4087a817bc1715213fc49f373f6a40a4bf"


def test_strata_are_one_stream_with_a_number_in_each_part_of_a_block():
    whole, noise = Noise(3).strata(2500), Noise(3)
    assert np.array_equal(whole, np.concatenate([noise.strata(n) for n in (1, 63, 1000, 0, 936, 500)]))
    for block in (whole[:1000], whole[1000:2000]):
        assert np.array_equal(np.sort((1000 * block).astype(int)), np.arange(1000))
    assert whole[0] == pytest.approx(0.0589178, abs=1e-6)


@pytest.mark.parametrize("prior", ["diagonal", "gaussian", "gmm", "kde"])
def test_latents_of_a_label_keep_the_contract(prior):
    latents = MODEL.draw(64, seed=3, prior=prior, label=7)
    cut = np.concatenate(list(MODEL._drawn(lambda latents, part: latents, (), 64, 3, prior, 7, None, 5)))
    assert np.array_equal(latents, cut)
    assert not np.array_equal(latents, MODEL.draw(64, seed=3, prior=prior, label=8))


@pytest.mark.parametrize("label", [None, 4])
@pytest.mark.parametrize("prior", PRIOR_NAMES)
def test_draws_follow_their_own_density(prior, label):
    """The mean of log p(z) over draws is minus the entropy, which two halves of the draws must agree on; and no prior's
    draws are likelier under another one (Gibbs' inequality)."""
    if prior == "standard" and label is not None:
        return
    latents = MODEL.draw(20_000, seed=0, prior=prior, label=label, temperature=1)
    own = MODEL.log_prob(latents, prior=prior, label=label)
    first, second = own[:10_000], own[10_000:]
    assert abs(first.mean() - second.mean()) < 5 * np.sqrt(2) * own.std() / 100
    for other in PRIOR_NAMES:
        if other != "standard" or label is None:
            assert MODEL.log_prob(latents[:2000], prior=other, label=label).mean() <= own[:2000].mean() + 1e-6


def test_every_density_is_scipy_s():
    from scipy.special import logsumexp
    from scipy.stats import multivariate_normal

    latents = MODEL.draw(50, seed=1, prior="gmm", temperature=1).astype(np.float64)
    d = MODEL.latent_dim
    latents = MODEL._priors._read()
    full = latents["factor"].astype(np.float64) @ latents["factor"].T
    expected = {
        "standard": multivariate_normal(np.zeros(d)).logpdf(latents),
        "diagonal": multivariate_normal(latents["mean"], np.diag(latents["std"].astype(np.float64) ** 2)).logpdf(
            latents
        ),
        "gaussian": multivariate_normal(latents["mean"], full).logpdf(latents),
    }
    parts = [
        multivariate_normal(mean, factor.astype(np.float64) @ factor.T).logpdf(latents) + np.log(weight)
        for weight, mean, factor in zip(
            latents["gmm_weights"].astype(np.float64), latents["gmm_means"], latents["gmm_factors"], strict=True
        )
    ]
    expected["gmm"] = logsumexp(np.stack(parts), axis=0)
    bandwidth = np.diag(latents["kde_bandwidth"].astype(np.float64) ** 2)
    kernels = latents["kde_latents"].astype(np.float64)
    expected["kde"] = logsumexp(
        [multivariate_normal(code, bandwidth).logpdf(kernels) for code in latents], axis=1
    ) - np.log(len(kernels))
    for name, density in expected.items():
        assert np.allclose(MODEL.log_prob(latents, prior=name), density, rtol=1e-4, atol=1e-3), name


def test_components_are_drawn_as_often_as_they_weigh():
    weights = np.array([0.7, 0.2, 0.1], np.float32)
    means = np.array([[-100.0], [0.0], [100.0]], np.float32)
    mixture = Mixture(weights, means, np.ones((3, 1, 1), np.float32))
    latents = mixture.latents(mixture.base_noise(Noise(0), 30_000), 1.0)
    shares = [np.mean(latents < -50), np.mean(np.abs(latents) < 50), np.mean(latents > 50)]
    assert np.allclose(shares, weights, atol=0.01)


def test_latents_have_the_moments_that_the_artifact_states():
    latents = MODEL._priors.prior("gaussian")
    latents = MODEL.draw(200_000, seed=0, prior="gaussian", temperature=1).astype(np.float64)
    covariance = latents.factor.astype(np.float64) @ latents.factor.T
    assert np.allclose(latents.mean(0), latents.mean, atol=0.02 * np.sqrt(covariance.diagonal().max()))
    assert np.allclose(np.cov(latents, rowvar=False), covariance, atol=0.02 * covariance.diagonal().max())


def test_diagonal_latents_have_independent_axes():
    latents = MODEL.draw(200_000, seed=0, prior="diagonal", temperature=1)
    correlation = np.corrcoef(latents, rowvar=False) - np.eye(MODEL.latent_dim)
    assert np.abs(correlation).max() < 0.02
    assert np.allclose(latents.std(0), MODEL._priors.prior("diagonal").factor.diagonal(), rtol=0.02)


def test_temperature_scales_the_spread_around_the_mean():
    cold, fitted, hot = (MODEL.draw(50, seed=4, prior="gaussian", temperature=t) for t in (0, 1, 2))
    assert np.array_equal(cold, np.broadcast_to(cold[0], cold.shape))
    assert np.allclose(hot - cold, 2 * (fitted - cold), atol=1e-3)
    cold, fitted, hot = (MODEL.draw(50, seed=4, prior="gmm", temperature=t) for t in (0, 1, 2))
    assert np.allclose(hot - cold, 2 * (fitted - cold), atol=1e-3)
