"""Every later version of aegen reads an artifact of format 2 and computes the same results from it.

`frozen/format-2` is a convolutional VAE of 8x4 grey images with float16 weights, class names, and a flow prior that
evaluates its network twice for a latent. `frozen/expected.npz` holds the results of the version of aegen that exported
it. These files must never be changed.
"""

from pathlib import Path

import aegen
import numpy as np
import pytest

FROZEN = Path(__file__).parent / "frozen"
PRIORS = [  # (prior, class name), with None for all classes
    ("standard", None),
    *((prior, label) for prior in ("diagonal", "gaussian", "gmm", "kde", "flow") for label in (None, "bright")),
]


@pytest.fixture(scope="module")
def model():
    return aegen.load(FROZEN / "format-2")


@pytest.fixture(scope="module")
def expected():
    return dict(np.load(FROZEN / "expected.npz"))


def assert_within_one_level(pixels, expected):
    assert pixels.dtype == expected.dtype == np.uint8
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_the_frozen_artifact_passes_its_verification(model):
    assert model.manifest.format == 2
    assert model.verify().passed


def test_the_frozen_artifact_encodes_and_decodes_as_when_it_was_made(model, expected):
    assert np.allclose(model.encode(expected["images"]), expected["latents"], rtol=1e-4, atol=1e-5)
    assert_within_one_level(model.reconstruct(expected["images"], dtype="uint8"), expected["reconstructions"])


@pytest.mark.parametrize(("prior", "label"), PRIORS)
def test_latents_of_every_prior_are_the_same_to_float_rounding(model, expected, prior, label):
    latents = model.sample_latents(64, seed=7, prior=prior, label=label)
    tolerance = 1e-4 if prior in model.manifest.learned_priors else 1e-6
    assert np.allclose(latents, expected[f"{prior}-{label or 'all'}-latents"], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("prior", "label"), PRIORS)
def test_samples_of_every_prior_are_the_same_within_one_grey_level(model, expected, prior, label):
    samples = model.sample(6, seed=7, prior=prior, label=label, dtype="uint8")
    assert_within_one_level(samples, expected[f"{prior}-{label or 'all'}"])


def test_learned_prior_and_class_names_of_the_frozen_artifact_are_read(model):
    assert model.manifest.class_names == ("bright", "dark")
    assert model.manifest.learned_priors["flow"].evaluations == 2
    assert set(model.priors) == {prior for prior, _ in PRIORS}
