"""The same seed gives the same pictures, however they are drawn."""

import aegen
import numpy as np
import pytest
from aegen.runtime.priors import Noise
from hypothesis import given, settings
from hypothesis import strategies as st

MODEL = aegen.load()
PRIOR_NAMES = MODEL.priors


@pytest.mark.parametrize("prior", PRIOR_NAMES)
@settings(deadline=None)  # a busy machine is no broken promise
@given(count=st.integers(1, 300), size=st.integers(1, 80), seed=st.integers(0, 2**64))
def test_same_seed_gives_the_same_codes_at_any_batch_size(prior, count, size, seed):
    cut = np.concatenate(list(MODEL._iter_codes(count, seed, prior, None, size)))
    assert np.array_equal(cut, MODEL.draw(count, seed=seed, prior=prior))


@pytest.mark.parametrize("prior", PRIOR_NAMES)
def test_the_first_16_of_64_are_the_16(prior):
    assert np.array_equal(MODEL.draw(64, seed=3, prior=prior)[:16], MODEL.draw(16, seed=3, prior=prior))


def test_pictures_agree_to_one_grey_level_at_any_batch_size_and_thread_count():
    expected = MODEL.sample(300, seed=1, dtype="uint8").astype(int)
    for threads, size in [(1, 1), (1, 7), (2, 64), (2, 300)]:
        again = aegen.load(threads=threads, batch_size=size).sample(300, seed=1, dtype="uint8")
        assert np.abs(again - expected).max() <= 1


def test_chunks_are_the_sample():
    chunks = list(MODEL.iter_sample(100, seed=2, batch_size=32))
    assert [len(chunk) for chunk in chunks] == [32, 32, 32, 4]
    assert np.allclose(np.concatenate(chunks), MODEL.sample(100, seed=2), atol=1e-5)


def test_different_seeds_and_no_seed_differ():
    codes = [MODEL.draw(4, seed=seed) for seed in (0, 1, None, None)]
    assert all(not np.array_equal(a, b) for i, a in enumerate(codes) for b in codes[:i])


def test_noise_of_a_seed_is_fixed_for_all_time():
    first = Noise(0).normals(2, 3)
    assert first.dtype == np.float32
    assert first.tobytes().hex() == "d461084054855c4087a817bc1715213fc49f373f6a40a4bf"


def test_codes_have_the_moments_that_the_artifact_states():
    latents = MODEL._prior("gaussian")
    codes = MODEL.draw(200_000, seed=0, prior="gaussian", temperature=1).astype(np.float64)
    covariance = latents.factor.astype(np.float64) @ latents.factor.T
    assert np.allclose(codes.mean(0), latents.mean, atol=0.02 * np.sqrt(covariance.diagonal().max()))
    assert np.allclose(np.cov(codes, rowvar=False), covariance, atol=0.02 * covariance.diagonal().max())


def test_diagonal_codes_have_independent_axes():
    codes = MODEL.draw(200_000, seed=0, prior="diagonal", temperature=1)
    correlation = np.corrcoef(codes, rowvar=False) - np.eye(MODEL.latent_dim)
    assert np.abs(correlation).max() < 0.02
    assert np.allclose(codes.std(0), MODEL._prior("diagonal").std, rtol=0.02)


def test_temperature_scales_the_spread_around_the_mean():
    cold, fitted, hot = (MODEL.draw(50, seed=4, temperature=t) for t in (0, 1, 2))
    assert np.array_equal(cold, np.broadcast_to(cold[0], cold.shape))
    assert np.allclose(hot - cold, 2 * (fitted - cold), atol=1e-3)
