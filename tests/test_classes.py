"""Labels may have any integer values, and a class may have only a few images."""

import warnings

import aegen
import numpy as np
import pytest
from aegen.data.datasets import Dataset, load
from aegen.evaluation.feature_extractor import FeatureExtractor
from aegen.export.artifact import export
from aegen.export.feature_extractor import export_feature_extractor
from aegen.export.options import ExportOptions
from aegen.export.statistics import (
    KEPT_LATENTS,
    KEPT_PER_CLASS,
    LIKELIHOOD_LATENTS,
    fit,
    kept_rows,
    likelihood_latents,
    log_likelihoods,
)
from aegen.recipes.feature_extractor import FeatureExtractorRecipe
from aegen.recipes.learned_priors import FlowRecipe
from aegen.recipes.refinement import RefinementRecipe
from aegen.recipes.training import Recipe
from aegen.runtime.closed_form import PRIORS, stored_prior
from aegen.runtime.noise import Noise
from aegen.train import checkpoint, priors
from aegen.train.autoencoder import train
from aegen.train.feature_extractor import train_feature_extractor
from aegen.train.latents import EncodedLatents
from aegen.train.refinement import refine


def some_latents(mean, std, n=400, d=3):
    """Make normally distributed latents, float32 (n, d), and their labels, int64 (n,).

    Most labels are 0. The rare labels 5, 7 and 9 belong to 3, 2 and 1 latents.
    """
    labels = np.zeros(n, np.int64)
    labels[-7:-4], labels[-4:-2], labels[-2] = 5, 7, 9
    return (mean + std * np.random.default_rng(0).standard_normal((n, d))).astype(np.float32), labels


def sample(arrays, name, index=None, n=4000):
    """Sample latents (n, d) from a prior stored in `arrays`. index: a class index, or None for all classes."""
    prior = stored_prior(name, arrays, index)
    return prior.latents(prior.noise(Noise(1), 0, n), 1.0)


@pytest.mark.parametrize(("mean", "std"), [(100, 0.01), (0, 1), (1e5, 2e4), (-3e6, 1e6)])
def test_a_kernel_density_is_exact_at_any_mean_and_scale_of_the_latents(mean, std):
    latents, labels = some_latents(mean, std)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        arrays = fit(latents, latents[:100], labels, components=1)
        samples = sample(arrays, "kde")
    assert arrays["kde_latents"].dtype == np.float16
    centres = arrays["kde_mean"] + arrays["kde_scale"] * arrays["kde_latents"].astype(np.float32)
    assert np.abs(centres - latents).max() < 2e-3 * std
    assert np.abs(samples.mean(0) - latents.mean(0)).max() < 0.1 * std
    assert samples.std(0) == pytest.approx(np.hypot(latents.std(0), arrays["kde_bandwidth"]), rel=0.1)


@pytest.mark.parametrize("identical", [False, True])
@pytest.mark.parametrize("d", [1, 4])
def test_classes_of_two_and_three_latents_are_fitted_and_sampled_without_a_warning(identical, d):
    latents, labels = some_latents(0, 1, d=d)
    if identical:
        latents[labels == 7] = latents[labels == 7][0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        arrays = fit(latents, latents[:100], labels, components=6)
        for name in PRIORS:
            for index in range(3) if name != "standard" else ():
                assert np.isfinite(sample(arrays, name, index)).all()
    assert arrays["labels"].tolist() == [0, 5, 7]


def test_labels_that_occur_once_each_give_a_model_without_classes(tmp_path, bars):
    images = bars(60, (6, 5))
    np.savez(tmp_path / "bars.npz", images=images, labels=np.arange(len(images)))
    dataset = load(str(tmp_path / "bars.npz"))
    train(Recipe(widths=(16,), latent_dim=2, epochs=1), dataset, tmp_path / "run")
    options = ExportOptions(licence="CC0", components=2)
    export(checkpoint.read(tmp_path / "run"), dataset, tmp_path / "made", options=options)
    model = aegen.load(tmp_path / "made")
    assert model.manifest.labels == ()
    assert {array.name for array in model.manifest.latents} & {"labels", "class_fractions", "kde_classes"} == set()
    for prior in model.priors:
        assert len(model.sample(3, seed=0, prior=prior)) == 3


def test_some_latents_of_every_class_are_kept():
    labels = np.zeros(3 * KEPT_LATENTS, np.int64)
    labels[np.random.default_rng(1).permutation(len(labels))[:11]] = [1] * 2 + [2] * 8 + [3]
    kept = kept_rows(len(labels), labels)
    assert np.array_equal(kept, kept_rows(len(labels), labels))
    assert len(np.unique(kept)) == len(kept) == KEPT_LATENTS
    counts = np.bincount(labels[kept], minlength=4)
    assert counts[1] == 2
    assert counts[2] >= KEPT_PER_CLASS
    many = np.arange(3 * KEPT_LATENTS) // 2
    assert np.array_equal(kept_rows(len(many), many), np.arange(len(many)))
    even = np.arange(3 * KEPT_LATENTS) % 10
    usual = np.sort(np.random.default_rng(0).permutation(len(even))[:KEPT_LATENTS])
    assert np.array_equal(kept_rows(len(even), even), usual)


def test_priors_are_compared_on_the_first_latents_of_known_classes():
    classes = np.arange(3000) % 3
    held_out = EncodedLatents(np.arange(3000, dtype=np.float32)[:, None], classes)
    chosen = likelihood_latents(held_out, 2)
    assert len(chosen.latent) == LIKELIHOOD_LATENTS
    assert np.array_equal(chosen.latent[:, 0] % 3, chosen.class_indices)
    assert chosen.class_indices.max() == 1


@pytest.fixture(scope="module")
def sparse_labels(tmp_path_factory, bars):
    """Train a VAE and a prior on images with the labels 2, 10 and, for two images only, 77.

    Returns (folder, data set, checkpoint, prior).
    """
    folder = tmp_path_factory.mktemp("sparse")
    images = bars(300, (8, 8))
    labels = np.where(np.arange(300) % 2 == 0, 2, 10)
    images[labels == 10] = 255 - images[labels == 10]
    labels[:2] = 77
    data = str(folder / "sparse.npz")
    np.savez(data, images=images, labels=labels)
    train(Recipe(kind="vae", beta=0.1, widths=(16,), latent_dim=3, epochs=4), load(data), folder / "run", data=data)
    trained = checkpoint.read(folder / "run")
    learned = priors.train_prior(trained, load(data), FlowRecipe(width=8, blocks=1, steps=40))
    return folder, load(data), trained, learned


def test_a_feature_extractor_learns_labels_of_any_values(sparse_labels, tmp_path):
    _, dataset, _, _ = sparse_labels
    recipe = FeatureExtractorRecipe(channels=4, features=8, epochs=8, batch_size=32, dropout=0.0)
    reported = []
    network = train_feature_extractor(recipe, dataset.train, dataset.validation, report=reported.append)
    facts = export_feature_extractor(network, recipe, dataset, tmp_path / "features")
    extractor = FeatureExtractor(tmp_path / "features")
    predicted = extractor.extract(dataset.test.images).predicted_labels
    assert facts.label_values == extractor.record.label_values == tuple(np.unique(dataset.train.labels).tolist())
    assert reported[-1].accuracy > 0.9
    assert np.mean(predicted == dataset.test.labels) == pytest.approx(facts.accuracy)
    assert facts.accuracy > 0.9


def test_a_run_with_labels_of_any_values_can_be_refined(sparse_labels):
    _, dataset, trained, learned = sparse_labels
    recipe = RefinementRecipe(steps=1, flow_steps=1, classifiers=1, classifier_epochs=1, batch_size=4)
    refined, _ = refine(trained, learned, dataset, recipe, threads=1)
    assert refined.refinement == recipe


def test_an_export_without_test_images_is_measured_on_the_validation_images(sparse_labels, tmp_path):
    _, dataset, trained, learned = sparse_labels
    options = ExportOptions(licence="CC0", components=1, evaluations=1)
    manifest = export(trained, dataset, tmp_path / "made", learned=learned, options=options)
    assert manifest.data.test_images == 0
    card = (tmp_path / "made" / "README.md").read_text()
    assert "never saw" not in card
    assert f"on the {len(dataset.validation)} validation images, by which the best epoch was chosen" in card
    model = aegen.load(tmp_path / "made")
    known = np.isin(dataset.validation.labels, manifest.labels)
    images = dataset.validation.images[known]
    expected = log_likelihoods(dict(np.load(tmp_path / "made" / "latents.npz")), model.encode(images))
    assert expected == pytest.approx({name: manifest.log_likelihood[name] for name in expected}, rel=1e-3)
    assert manifest.default_prior == max(manifest.log_likelihood, key=manifest.log_likelihood.get)


def test_an_export_records_class_names_and_the_number_of_test_images(sparse_labels, tmp_path, bars):
    images, labels = bars(120, (8, 8)), np.arange(120) % 3
    np.savez(tmp_path / "named.npz", images=images, labels=labels)
    plain = load(str(tmp_path / "named.npz"))
    facts = plain.facts.__class__(**{**vars(plain.facts), "test_images": 20})
    dataset = Dataset(facts, plain.train, plain.validation, plain.train[:20], ("cat", "dog", "eel"))
    train(Recipe(widths=(4,), latent_dim=2, epochs=1), dataset, tmp_path / "run")
    options = ExportOptions(licence="CC0", components=1)
    manifest = export(checkpoint.read(tmp_path / "run"), dataset, tmp_path / "made", options=options)
    assert manifest.class_names == ("cat", "dog", "eel")
    assert "on the 20 test images, which training never saw" in (tmp_path / "made" / "README.md").read_text()
