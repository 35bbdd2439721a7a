"""Classes are treated alike however their labels are numbered, and however few images they have."""

import warnings

import aegen
import numpy as np
import pytest
from aegen.data.datasets import Dataset, load
from aegen.evaluation.feature_extractor import FeatureExtractor
from aegen.export.bundle import export
from aegen.export.feature_extractor import export_feature_extractor
from aegen.export.statistics import FOLLOWED, KERNELS, KERNELS_OF_CLASS, fit, kept_rows, log_likelihoods, measured
from aegen.recipes.feature_extractor import FeatureExtractorRecipe
from aegen.recipes.flow import FlowRecipe
from aegen.recipes.refinement import RefinementRecipe
from aegen.recipes.training import Recipe
from aegen.runtime.noise import Noise
from aegen.runtime.priors import PRIORS, stored_prior
from aegen.train import checkpoint, priors
from aegen.train.feature_extractor import train_feature_extractor
from aegen.train.latents import EncodedLatents
from aegen.train.loop import train
from aegen.train.refinement import refine


def some_latents(mean, std, n=400, d=3):
    """Normal latents, the last 7 of rare classes, one of them with a single latent."""
    labels = np.zeros(n, np.int64)
    labels[-7:-4], labels[-4:-2], labels[-2] = 5, 7, 9
    return (mean + std * np.random.default_rng(0).standard_normal((n, d))).astype(np.float32), labels


def sample(arrays, name, index=None, n=4000):
    prior = stored_prior(name, arrays, index)
    return prior.latents(prior.base_noise(Noise(1), n), 1.0)


@pytest.mark.parametrize(("mean", "std"), [(100, 0.01), (0, 1), (1e5, 2e4), (-3e6, 1e6)])
def test_a_kernel_density_keeps_latents_far_from_0_and_far_apart(mean, std):
    latents, labels = some_latents(mean, std)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        arrays = fit(latents, latents[:100], labels, components=1)
        found = sample(arrays, "kde")
    assert arrays["kde_latents"].dtype == np.float16
    centres = arrays["kde_mean"] + arrays["kde_scale"] * arrays["kde_latents"].astype(np.float32)
    assert np.abs(centres - latents).max() < 2e-3 * std
    assert np.abs(found.mean(0) - mean).max() < 0.15 * std
    assert found.std(0) == pytest.approx(np.hypot(latents.std(0), arrays["kde_bandwidth"]), rel=0.1)


@pytest.mark.parametrize("alike", [False, True])
@pytest.mark.parametrize("d", [1, 4])
def test_classes_of_two_and_three_latents_are_fitted_and_sampled_without_a_warning(alike, d):
    latents, labels = some_latents(0, 1, d=d)
    if alike:
        latents[labels == 7] = latents[labels == 7][0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        arrays = fit(latents, latents[:100], labels, components=6)
        for name in PRIORS:
            for index in range(3) if name != "standard" else ():
                assert np.isfinite(sample(arrays, name, index)).all()
    assert arrays["labels"].tolist() == [0, 5, 7]


def test_some_latents_of_every_class_are_kept():
    labels = np.zeros(3 * KERNELS, np.int64)
    labels[np.random.default_rng(1).permutation(len(labels))[:11]] = [1] * 2 + [2] * 8 + [3]
    kept = kept_rows(len(labels), labels)
    assert np.array_equal(kept, kept_rows(len(labels), labels))
    assert len(np.unique(kept)) == len(kept) == KERNELS
    counts = np.bincount(labels[kept], minlength=4)
    assert counts[1] == 2
    assert counts[2] >= KERNELS_OF_CLASS
    many = np.arange(3 * KERNELS) // 2
    assert np.array_equal(kept_rows(len(many), many), np.arange(len(many)))
    even = np.arange(3 * KERNELS) % 10
    usual = np.sort(np.random.default_rng(0).permutation(len(even))[:KERNELS])
    assert np.array_equal(kept_rows(len(even), even), usual)


def test_every_prior_is_measured_on_the_same_latents():
    labels = np.arange(3000) % 3
    held_out = EncodedLatents(np.arange(3000, dtype=np.float32)[:, None], labels)
    chosen = measured(held_out, 2)
    assert len(chosen.latent) == FOLLOWED
    assert np.array_equal(chosen.latent[:, 0] % 3, chosen.labels)
    assert chosen.labels.max() == 1


@pytest.fixture(scope="module")
def odd(tmp_path_factory, bars):
    """A data set whose labels are 2 and 10, and a run with a prior on it."""
    folder = tmp_path_factory.mktemp("odd")
    images = bars(300, (8, 8))
    labels = np.where(np.arange(300) % 2 == 0, 2, 10)
    images[labels == 10] = 255 - images[labels == 10]
    labels[:2] = 77  # too few in validation to matter, enough to ask for
    data = str(folder / "odd.npz")
    np.savez(data, images=images, labels=labels)
    train(Recipe(kind="vae", beta=0.1, widths=(16,), latent_dim=3, epochs=4), load(data), folder / "run", data=data)
    trained = checkpoint.read(folder / "run")
    learned = priors.train_prior(trained, load(data), FlowRecipe(width=8, blocks=1, steps=40))
    return folder, load(data), trained, learned


def test_a_judge_learns_labels_of_any_values(odd, tmp_path):
    _, dataset, _, _ = odd
    recipe = FeatureExtractorRecipe(channels=4, features=8, epochs=8, batch_size=32, dropout=0.0)
    reported = []
    network = train_feature_extractor(
        recipe, dataset.train, dataset.validation, report=lambda *epoch: reported.append(epoch)
    )
    facts = export_feature_extractor(network, recipe, dataset, tmp_path / "feature extractor")
    extractor = FeatureExtractor(tmp_path / "feature extractor")
    predicted = extractor.extract(dataset.test.images).predicted
    assert facts.label_values == extractor.facts.label_values == tuple(np.unique(dataset.train.labels).tolist())
    assert reported[-1][1] > 0.9
    assert np.mean(predicted == dataset.test.labels) == pytest.approx(facts.accuracy)
    assert facts.accuracy > 0.9


def test_a_run_on_labels_of_any_values_is_refined(odd):
    _, dataset, trained, learned = odd
    recipe = RefinementRecipe(steps=1, flow_steps=1, classifiers=1, classifier_epochs=1, batch_size=4)
    refined, _ = refine(trained, learned, dataset, recipe, threads=1)
    assert refined.refinement == recipe


def test_an_export_says_on_which_images_it_was_measured_and_compares_priors_on_the_same(odd, tmp_path):
    _, dataset, trained, learned = odd
    manifest = export(trained, dataset, tmp_path / "made", licence="CC0", components=1, learned=learned, flow_steps=1)
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


def test_an_export_names_its_classes_and_its_test_images(odd, tmp_path, bars):
    images, labels = bars(120, (8, 8)), np.arange(120) % 3
    np.savez(tmp_path / "named.npz", images=images, labels=labels)
    plain = load(str(tmp_path / "named.npz"))
    facts = plain.facts.__class__(**{**vars(plain.facts), "test_images": 20})
    dataset = Dataset(facts, plain.train, plain.validation, plain.train[:20], ("cat", "dog", "eel"))
    train(Recipe(widths=(4,), latent_dim=2, epochs=1), dataset, tmp_path / "run")
    manifest = export(checkpoint.read(tmp_path / "run"), dataset, tmp_path / "made", licence="CC0", components=1)
    assert manifest.class_names == ("cat", "dog", "eel")
    assert "on the 20 test images, which training never saw" in (tmp_path / "made" / "README.md").read_text()
