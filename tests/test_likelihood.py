"""The importance-weighted bound of a VAE approaches log p(x) with more samples; results say how they were computed."""

import math
from itertools import pairwise

import aegen
import numpy as np
import pytest
import torch
from aegen.data.datasets import load
from aegen.evaluation.likelihood import likelihood_bound
from aegen.export.artifact import export
from aegen.export.options import ExportOptions
from aegen.recipes.training import Recipe
from aegen.runtime.errors import InputError
from aegen.runtime.noise import Noise
from aegen.train import checkpoint
from aegen.train.autoencoder import train
from aegen.train.objectives import Objective


@pytest.fixture(scope="module", params=["bce", "gaussian"])
def trained(request, tmp_path_factory, bars):
    """Return a VAE, its checkpoint and 20 images.

    The VAE has only one latent dimension, so that log p(x) can be integrated numerically.
    """
    folder = tmp_path_factory.mktemp("likelihood")
    images = bars(400, (6, 5))
    np.savez(folder / "bars.npz", images=images)
    activation = "sigmoid" if request.param == "bce" else "tanh"
    recipe = Recipe(
        kind="vae", widths=(16,), latent_dim=1, epochs=20, learning_rate=0.02, loss=request.param, activation=activation
    )
    dataset = load(str(folder / "bars.npz"))
    train(recipe, dataset, folder / "run")
    export(
        checkpoint.read(folder / "run"),
        dataset,
        folder / "artifact",
        options=ExportOptions(licence="CC0", components=2),
    )
    return aegen.load(folder / "artifact"), checkpoint.read(folder / "run"), images[:20]


def log_p(model, images):
    """Compute log p(x) in nats, (n,), by a Riemann sum over the one latent dimension. images: uint8 (n, H, W)."""
    z = np.linspace(-8, 8, 20_001)
    decoded = model.decode(z[:, None]).reshape(len(z), 1, -1).astype(np.float64)
    pixels = images.reshape(1, len(images), -1) / 255
    sigma = model.manifest.sigma
    if sigma is None:
        p = np.clip(decoded, 1e-7, 1 - 1e-7)
        likelihood = (pixels * np.log(p) + (1 - pixels) * np.log1p(-p)).sum(-1)
    else:  # sigma is for the tanh output in [-1, 1]; the factor 2 converts differences of pixels in [0, 1]
        scaled = 2 * (pixels - decoded) / sigma
        likelihood = -0.5 * (scaled**2).sum(-1) - pixels.shape[-1] * math.log(sigma * math.sqrt(2 * math.pi))
    joint = likelihood - 0.5 * z[:, None] ** 2 - 0.5 * math.log(2 * math.pi)
    top = joint.max(0)
    return top + np.log(np.exp(joint - top).sum(0) * (z[1] - z[0]))


def test_many_samples_give_the_likelihood(trained):
    model, _, images = trained
    bound = likelihood_bound(model, images, samples=5000)
    assert bound.samples == 5000
    assert not bound.binarised
    differences = bound.nats - log_p(model, images)
    assert np.median(np.abs(differences)) < 0.02
    assert np.abs(differences.mean()) < 0.05  # the limit is loose, because some images need more samples


def test_more_samples_give_a_tighter_bound(trained):
    model, _, images = trained
    repeated = np.repeat(images, 500, 0)
    means = [likelihood_bound(model, repeated, samples=k).nats.mean() for k in (1, 4, 16)]
    assert all(loose < tight for loose, tight in pairwise(means))
    assert means[-1] < log_p(model, images).mean() + 0.02


def test_with_one_sample_the_bound_is_the_negative_training_loss_on_average(trained):
    model, run, images = trained
    objective = Objective(run.network(), run.recipe)
    objective.load_state_dict(run.state_dict)
    objective.eval()
    low, high = run.recipe.pixel_range
    tensor = torch.from_numpy(images[:, None] / np.float32(255)) * (high - low) + low
    noise = [torch.from_numpy(Noise(seed).normals(0, len(images), 1)) for seed in range(400)]
    with torch.inference_mode():
        losses = [objective(tensor, tensor, normals)[2].item() for normals in noise]
    bounds = [likelihood_bound(model, images, samples=1, seed=seed).nats.mean() for seed in range(400)]
    # The loss has the KL divergence in closed form; the bound estimates it from samples, so only the means are equal.
    assert np.mean(bounds) == pytest.approx(-np.mean(losses), abs=4 * np.std(np.add(bounds, losses)) / math.sqrt(400))


def test_binarised_images_have_a_likelihood_of_their_own(trained):
    model, _, images = trained
    bound = likelihood_bound(model, images, samples=50, binarise=True, seed=3)
    assert bound.binarised
    black_or_white = (images > 127).astype(np.uint8) * 255
    nats = likelihood_bound(model, black_or_white, samples=50, binarise=True, seed=3).nats
    assert np.array_equal(nats, likelihood_bound(model, black_or_white, samples=50, seed=3).nats)
    assert not np.array_equal(bound.nats, likelihood_bound(model, images, samples=50, seed=3).nats)


def test_models_without_a_posterior_have_no_likelihood(model, images):
    with pytest.raises(InputError, match="found kind ae, expected kind vae"):
        likelihood_bound(model, images)
    with pytest.raises(InputError, match="found kind ae, expected kind vae"):
        model.posterior(images)


def test_the_bound_of_an_image_is_the_same_whatever_follows_it(trained):
    model, _, images = trained
    nats = likelihood_bound(model, images, samples=4, seed=1).nats
    assert np.allclose(likelihood_bound(model, images[:3], samples=4, seed=1).nats, nats[:3])
