"""A seed fixes an endless sequence of samples, whatever the start, batch size and number of threads."""

import functools
import math
import subprocess
import sys

import aegen
import numpy as np
import pytest
from aegen.runtime.artifact import LATENTS, SHIPPED
from aegen.runtime.closed_form import stored_prior
from aegen.runtime.distributions import Mixture
from aegen.runtime.errors import InputError
from aegen.runtime.noise import MAX_SEED, Noise
from aegen.runtime.philox import computed_words
from hypothesis import given, settings
from hypothesis import strategies as st

MODEL = aegen.load("mnist-ae")
LEARNED = "mnist-fast"
PRIOR_NAMES = MODEL.priors
STATISTICS = dict(np.load(SHIPPED / MODEL.name / LATENTS))

STREAMS = {
    "normals": lambda noise, start, n: noise.normals(start, n, 5),
    "uniforms": Noise.uniforms,
    "strata": Noise.strata,
}
SEEDS = st.integers(0, MAX_SEED)
FAR = 2**40


@functools.cache
def with_settings(threads, batch_size):
    """Load the model MODEL once more, with this number of threads and this batch size."""
    return aegen.load(MODEL.name, threads=threads, batch_size=batch_size)


def philox(counter, key):
    """Compute the four 64-bit words that Philox4x64-10 (Salmon et al. 2011) gives for a counter and a key."""
    mask = 2**64 - 1
    words = [counter >> 64 * i & mask for i in range(4)]
    for _ in range(10):
        first, second = 0xD2E7470EE14C6C93 * words[0], 0xCA5A826395121157 * words[2]
        words = [second >> 64 ^ words[1] ^ key[0], second & mask, first >> 64 ^ words[3] ^ key[1], first & mask]
        key = (key[0] + 0x9E3779B97F4A7C15 & mask, key[1] + 0xBB67AE8584CAA73B & mask)
    return words


def word(seed, stream, index):
    """Return the 64-bit word at an index of a random stream. stream: number of one of the streams of this seed."""
    return philox(index // 4, (seed, stream))[index % 4]


def test_philox_gives_the_numbers_of_its_reference_implementation():
    assert philox(0, (0, 0)) == [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]
    assert philox(2**256 - 1, (MAX_SEED, MAX_SEED)) == [
        0x87B092C3013FE90B,
        0x438C3C67BE8D0224,
        0x9CC7D7C69CD777B6,
        0xA09CAEBF594F0BA0,
    ]


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, stream=st.integers(0, 2), counter=st.integers(0, 2**64 - 8), blocks=st.integers(0, 7))
def test_philox_words_without_numpy_random_are_those_of_numpy_and_of_the_reference(seed, stream, counter, blocks):
    words = computed_words(seed, stream, counter, blocks).tolist()
    assert words == [word for block in range(blocks) for word in philox(counter + block, (seed, stream))]
    key = np.array([seed, stream], np.uint64)
    assert words == np.random.Philox(key=key, counter=(counter - 1) % 2**256).random_raw(4 * blocks).tolist()


def test_the_first_samples_of_a_process_need_no_numpy_random_and_equal_later_ones():
    script = """
import sys
import numpy as np
from aegen.runtime.noise import Noise

first = [Noise(3).normals(5, 64, 24), Noise(3).strata(990, 64), Noise(3).uniforms(2**52, 3)]
assert "numpy.random" not in sys.modules
import numpy.random
later = [Noise(3).normals(5, 64, 24), Noise(3).strata(990, 64), Noise(3).uniforms(2**52, 3)]
print(all(np.array_equal(a, b) for a, b in zip(first, later)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout == "True\n", done.stderr


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, start=st.integers(0, 2**53), latent_dim=st.integers(1, 9))
def test_normals_are_the_box_muller_transform_of_philox_words(seed, start, latent_dim):
    expected = []
    for position in range(start, start + 3):
        row = []
        for index in range(position * math.ceil(latent_dim / 2), (position + 1) * math.ceil(latent_dim / 2)):
            high, low = divmod(word(seed, 0, index), 2**32)
            radius = math.sqrt(-2 * math.log((high + 0.5) / 2**32))
            angle = 2 * math.pi * (low + 0.5) / 2**32
            row += [radius * math.cos(angle), radius * math.sin(angle)]
        expected.append(row[:latent_dim])
    normals = Noise(seed).normals(start, 3, latent_dim)
    assert normals.dtype == np.float32
    assert np.allclose(normals, expected, rtol=0, atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, start=st.integers(0, 2**53))
def test_uniforms_are_the_top_bits_of_philox_words(seed, start):
    expected = [(word(seed, 1, index) >> 11) / 2**53 for index in range(start, start + 5)]
    assert Noise(seed).uniforms(start, 5).tolist() == expected


@settings(deadline=None, max_examples=5)
@given(seed=SEEDS, block=st.integers(0, 2**43))
def test_strata_are_the_ranks_of_philox_words_and_a_uniform_in_each_stratum(seed, block):
    positions = range(1000 * block, 1000 * (block + 1))
    words = [word(seed, 2, position) for position in positions]
    ranks = {value: rank for rank, value in enumerate(sorted(words))}
    expected = [(ranks[value] + (value % 2**32 + 0.5) / 2**32) / 1000 for value in words]
    strata = Noise(seed).strata(1000 * block, 1000)
    assert strata.tolist() == expected
    assert np.array_equal(np.sort((1000 * strata).astype(int)), np.arange(1000))
    assert strata.max() < 1


@pytest.mark.parametrize("stream", STREAMS)
@settings(deadline=None, max_examples=50)
@given(seed=SEEDS, start=st.integers(0, 3000), n=st.integers(0, 1100), cut=st.integers(0, 1100))
def test_noise_is_the_same_bit_for_bit_wherever_the_sequence_is_split(stream, seed, start, n, cut):
    read, noise = STREAMS[stream], Noise(seed)
    whole = read(noise, 0, start + n)
    assert np.array_equal(read(noise, start, n), whole[start:])
    cut = min(cut, n)
    assert np.array_equal(np.concatenate([read(noise, start, cut), read(noise, start + cut, n - cut)]), whole[start:])


@pytest.mark.parametrize("latent_dim", [1, 2, 3, 7, 8, 12, 32, 33])
def test_normals_are_the_same_one_by_one_and_all_at_once(latent_dim):
    noise = Noise(5)
    single = [noise.normals(position, 1, latent_dim) for position in range(100)]
    assert np.array_equal(np.concatenate(single), noise.normals(0, 100, latent_dim))


def test_normals_have_the_moments_of_normals_and_are_independent():
    normals = Noise(1).normals(0, 200_000, 3).astype(np.float64)
    assert np.abs(normals.mean(0)).max() < 0.01
    assert np.abs(np.cov(normals, rowvar=False) - np.eye(3)).max() < 0.01
    assert np.abs((normals**4).mean(0) - 3).max() < 0.1
    assert np.abs(np.corrcoef(normals[1:, 0], normals[:-1, 0])[0, 1]) < 0.01


def test_noise_of_a_seed_is_fixed_for_all_time():
    assert np.allclose(
        Noise(0).normals(0, 2, 3),
        [[0.5477863, -2.1396577, -0.45735416], [0.42787004, -0.39700568, 1.0542736]],
        rtol=0,
        atol=1e-6,
    )
    assert Noise(0).uniforms(0, 2).tolist() == [0.6110100171117121, 0.8707169233259141]
    assert Noise(0).strata(0, 2).tolist() == [0.9012466099333251, 0.5566574608079391]


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, True, "1", [1]])
def test_a_seed_that_is_no_integer_of_64_bits_is_an_error(seed):
    with pytest.raises(InputError, match=r"seed: found .* expected a whole number from 0 to 2\^64 - 1, or None"):
        MODEL.sample(1, seed=seed)


@pytest.mark.parametrize("start", [-1, 2**53 + 1, 1.0, True, "1", None])
def test_a_start_that_is_no_valid_index_is_an_error(start):
    with pytest.raises(InputError, match=r"start: found .* expected a whole number from 0 to 2\^53"):
        MODEL.sample(1, start=start)


@pytest.mark.parametrize("prior", PRIOR_NAMES)
@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(1, 300),
    start=st.integers(0, 2000),
    threads=st.integers(1, 3),
    size=st.sampled_from([1, 3, 7, 64, None]),
    seed=SEEDS,
)
def test_same_seed_gives_the_same_latents_at_any_start_batch_size_and_thread_count(
    prior, n, start, threads, size, seed
):
    found = with_settings(threads, size).sample_latents(n, seed=seed, start=start, prior=prior)
    assert np.array_equal(found, MODEL.sample_latents(start + n, seed=seed, prior=prior)[start:])


@pytest.mark.parametrize("prior", PRIOR_NAMES)
def test_the_first_16_of_64_latents_equal_a_sample_of_16(prior):
    latents = MODEL.sample_latents(64, seed=3, prior=prior)
    assert np.array_equal(latents[:16], MODEL.sample_latents(16, seed=3, prior=prior))
    assert np.array_equal(latents[16:], MODEL.sample_latents(48, seed=3, start=16, prior=prior))


@pytest.mark.parametrize("label", [None, 4])
def test_latents_of_a_learned_prior_agree_to_float_rounding_at_any_start_and_batch_size(label):
    model = aegen.load(LEARNED)
    latents = model.sample_latents(1500, seed=3, label=label)
    for start, n, size in [(0, 16, 16), (1, 3, 2), (700, 800, 101), (999, 2, 1)]:
        part = aegen.load(LEARNED, batch_size=size).sample_latents(n, seed=3, start=start, label=label)
        assert np.allclose(part, latents[start : start + n], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "prior"), [*((MODEL.name, prior) for prior in PRIOR_NAMES), (LEARNED, None)])
def test_samples_at_a_huge_start_are_computed_without_those_before(name, prior):
    """If all samples before index FAR had to be computed first, this test would never end."""
    model = aegen.load(name)
    latents = model.sample_latents(3, seed=1, start=FAR, prior=prior)
    assert np.allclose(model.sample_latents(1, seed=1, start=FAR + 2, prior=prior), latents[2:], rtol=1e-5, atol=1e-5)
    assert model.sample(2, seed=1, start=FAR, prior=prior).shape == (2, 28, 28)


@pytest.mark.parametrize("name", ["mnist-ae", "mnist"])
def test_images_agree_to_one_grey_level_at_any_start_batch_size_and_thread_count(name):
    expected = aegen.load(name).sample(300, seed=1, dtype="uint8").astype(int)
    for threads, size, start in [(1, 1, 290), (1, 7, 3), (2, 64, 0), (2, 300, 150)]:
        model = aegen.load(name, threads=threads, batch_size=size)
        again = model.sample(300 - start, seed=1, start=start, dtype="uint8")
        assert np.abs(again - expected[start:]).max() <= 1


def test_joined_chunks_of_iter_sample_equal_sample():
    chunks = list(MODEL.iter_sample(100, seed=2, start=5, batch_size=32))
    assert [len(chunk) for chunk in chunks] == [32, 32, 32, 4]
    assert np.allclose(np.concatenate(chunks), MODEL.sample(105, seed=2)[5:], atol=1e-5)


def test_different_seeds_and_no_seed_differ():
    latents = [MODEL.sample_latents(4, seed=seed) for seed in (0, 1, None, None)]
    assert all(not np.array_equal(a, b) for i, a in enumerate(latents) for b in latents[:i])


@pytest.mark.parametrize("prior", ["diagonal", "gaussian", "gmm", "kde"])
def test_latents_of_a_label_are_the_same_at_any_start_and_batch_size(prior):
    latents = MODEL.sample_latents(64, seed=3, prior=prior, label=7)
    part = with_settings(2, 5).sample_latents(51, seed=3, start=13, prior=prior, label=7)
    assert np.array_equal(latents[13:], part)
    assert not np.array_equal(latents, MODEL.sample_latents(64, seed=3, prior=prior, label=8))


@pytest.mark.parametrize("label", [None, 4])
@pytest.mark.parametrize("prior", PRIOR_NAMES)
def test_latents_follow_the_density_of_their_prior(prior, label):
    """Samples of a prior have a higher mean log density under it than under another prior (Gibbs' inequality).

    The first and the second half of the samples have the same mean log density, up to the sampling error.
    """
    if prior == "standard" and label is not None:
        return
    latents = MODEL.sample_latents(20_000, seed=0, prior=prior, label=label, temperature=1)
    densities = MODEL.log_prob(latents, prior=prior, label=label)
    first, second = densities[:10_000], densities[10_000:]
    assert abs(first.mean() - second.mean()) < 5 * np.sqrt(2) * densities.std() / 100
    for other in PRIOR_NAMES:
        if other != "standard" or label is None:
            under_other = MODEL.log_prob(latents[:2000], prior=other, label=label)
            assert under_other.mean() <= densities[:2000].mean() + 1e-6


def test_every_density_is_that_of_scipy():
    from scipy.special import logsumexp
    from scipy.stats import multivariate_normal

    latents = MODEL.sample_latents(50, seed=1, prior="gmm", temperature=1).astype(np.float64)
    arrays = {name: array.astype(np.float64) for name, array in STATISTICS.items()}
    d = MODEL.latent_dim
    expected = {
        "standard": multivariate_normal(np.zeros(d)).logpdf(latents),
        "diagonal": multivariate_normal(arrays["mean"], np.diag(arrays["std"] ** 2)).logpdf(latents),
        "gaussian": multivariate_normal(arrays["mean"], arrays["factor"] @ arrays["factor"].T).logpdf(latents),
    }
    components = [
        multivariate_normal(mean, factor @ factor.T).logpdf(latents) + np.log(weight)
        for weight, mean, factor in zip(arrays["gmm_weights"], arrays["gmm_means"], arrays["gmm_factors"], strict=True)
    ]
    expected["gmm"] = logsumexp(np.stack(components), axis=0)
    bandwidth = np.diag(arrays["kde_bandwidth"] ** 2)
    centres = arrays.get("kde_mean", 0) + arrays.get("kde_scale", 1) * arrays["kde_latents"]
    kernels = [multivariate_normal(latent, bandwidth).logpdf(centres) for latent in latents]
    expected["kde"] = logsumexp(kernels, axis=1) - np.log(len(centres))
    for name, density in expected.items():
        assert np.allclose(MODEL.log_prob(latents, prior=name), density, rtol=1e-4, atol=1e-3), name


def test_components_are_chosen_in_proportion_to_their_weights():
    weights = np.array([0.7, 0.2, 0.1], np.float32)
    means = np.array([[-100.0], [0.0], [100.0]], np.float32)
    mixture = Mixture(weights, means, np.ones((3, 1, 1), np.float32))
    latents = mixture.latents(mixture.noise(Noise(0), 0, 30_000), 1.0)
    fractions = [np.mean(latents < -50), np.mean(np.abs(latents) < 50), np.mean(latents > 50)]
    assert np.allclose(fractions, weights, atol=0.01)


def test_latents_have_the_moments_that_the_artifact_states():
    gaussian = stored_prior("gaussian", STATISTICS)
    latents = MODEL.sample_latents(200_000, seed=0, prior="gaussian", temperature=1).astype(np.float64)
    covariance = gaussian.factor.astype(np.float64) @ gaussian.factor.T
    assert np.allclose(latents.mean(0), gaussian.mean, atol=0.02 * np.sqrt(covariance.diagonal().max()))
    assert np.allclose(np.cov(latents, rowvar=False), covariance, atol=0.02 * covariance.diagonal().max())


def test_diagonal_latents_have_independent_dimensions():
    latents = MODEL.sample_latents(200_000, seed=0, prior="diagonal", temperature=1)
    correlation = np.corrcoef(latents, rowvar=False) - np.eye(MODEL.latent_dim)
    assert np.abs(correlation).max() < 0.02
    assert np.allclose(latents.std(0), STATISTICS["std"], rtol=0.02)


def test_temperature_scales_the_deviation_from_the_mean():
    for prior in ("gaussian", "gmm"):
        cold, fitted, hot = (MODEL.sample_latents(50, seed=4, prior=prior, temperature=t) for t in (0, 1, 2))
        assert np.allclose(hot - cold, 2 * (fitted - cold), atol=1e-3)
        assert prior != "gaussian" or np.array_equal(cold, np.broadcast_to(cold[0], cold.shape))
