"""Refining a flow prior and a decoder together brings samples closer to real images; the encoder stays unchanged."""

import copy
import dataclasses
import functools
import math
import shutil

import aegen
import numpy as np
import pytest
import torch
from aegen.cli.refine import command as refine_command
from aegen.data.datasets import load
from aegen.data.images import LabelledImages
from aegen.export.commands import recorded_commands
from aegen.recipes.feature_extractor import FeatureExtractorRecipe
from aegen.recipes.learned_priors import FlowRecipe
from aegen.recipes.refinement import RefinementRecipe
from aegen.recipes.training import Recipe
from aegen.runtime.errors import ExecutionError, InputError, NotFoundError
from aegen.train import checkpoint, moment_matching, priors
from aegen.train.autoencoder import train
from aegen.train.feature_extractor import FeatureNetwork, train_feature_extractor
from aegen.train.feature_moments import LayerFeatures, MomentTarget, feature_moments
from aegen.train.pseudo_labels import pseudo_labelled
from aegen.train.refinement import refine
from click.testing import CliRunner

QUICK = RefinementRecipe(
    steps=100,
    learning_rate=2e-4,
    flow_loss_weight=30.0,
    moment_ema_decay=0.9,
    flow_steps=4,
    classifiers=2,
    classifier_epochs=5,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory, bars):
    """The folder of a training run on labelled images, which also holds a trained flow prior."""
    folder = tmp_path_factory.mktemp("refinement")
    images = bars(800, (8, 8))
    labels = (images.reshape(800, -1).mean(1) > np.median(images.reshape(800, -1).mean(1))).astype(np.int64)
    data = str(folder / "bars.npz")
    np.savez(data, images=images, labels=labels)
    recipe = Recipe(kind="vae", beta=0.01, network="conv", channels=8, latent_dim=4, epochs=10)
    train(recipe, load(data), folder / "run", data=data)
    trained = checkpoint.read(folder / "run")
    learned = priors.train_prior(trained, load(data), FlowRecipe(width=32, blocks=1, steps=300, batch_size=128))
    priors.save(learned, folder / "run" / "prior.pt")
    return folder / "run"


@pytest.fixture(scope="module")
def refined(run):
    """Return (checkpoint, prior) before refinement, (checkpoint, prior) after it, and the progress reports."""
    before, reports = checkpoint.read(run), []
    prior = priors.read(run / "prior.pt", before)
    after = refine(before, prior, load(before.data), QUICK, threads=1, report=reports.append)
    return (before, prior), after, reports


@pytest.fixture(scope="module")
def unlabelled(run):
    """A checkpoint, its prior and its data set, all without labels. The images are those of `run`."""
    trained = checkpoint.read(run)
    dataset = without_labels(load(trained.data))
    recipe = FlowRecipe(width=32, blocks=1, steps=300, batch_size=128)
    return trained, priors.train_prior(trained, dataset, recipe, threads=1), dataset


def without_labels(dataset):
    parts = {name: LabelledImages(getattr(dataset, name).images) for name in ("train", "validation", "test")}
    return dataclasses.replace(dataset, **parts)


@pytest.fixture(scope="module")
def layer_features():
    torch.manual_seed(0)
    return LayerFeatures(FeatureNetwork((1, 8, 8), 2, FeatureExtractorRecipe(channels=4, features=6)))


@pytest.mark.parametrize(
    ("match_second_moments", "class_loss_weight", "count"), [(True, 0, 6), (False, 0, 4), (False, 0.5, 5)]
)
def test_moment_gaps_of_the_same_images_are_zero(layer_features, match_second_moments, class_loss_weight, count):
    images = torch.rand(300, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(300) % 2
    batches = zip(torch.split(images, 70), torch.split(labels, 70), strict=True)
    real = feature_moments(layer_features, batches, match_second_moments=match_second_moments)
    gaps = MomentTarget(layer_features, real, class_loss_weight).gaps(images, labels)
    assert len(gaps) == count
    assert max(float(gap.abs().max()) for gap in gaps) < 1e-4


def test_the_class_loss_is_the_classifiers_cross_entropy():
    torch.manual_seed(0)
    classifier = FeatureNetwork((1, 8, 8), 2, FeatureExtractorRecipe(channels=4, features=6)).eval()
    images, labels = torch.rand(30, 1, 8, 8), torch.arange(30) % 2
    class_loss = LayerFeatures(classifier)(images, labels)[-2]
    expected = torch.nn.functional.cross_entropy(classifier(images)[1], labels, reduction="none")
    assert torch.allclose(class_loss, expected[:, None])


def test_the_moment_gaps_of_shifted_features_are_the_shift(layer_features):
    images = torch.rand(300, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(300) % 2
    moments = feature_moments(layer_features, [(images, labels)])[-1]
    features = layer_features(images, labels)[-1]
    shift = torch.linspace(-1, 1, features.shape[1])
    first, second = moments.gaps(features + shift * moments.std)
    root = math.sqrt(len(shift))
    assert torch.allclose(first * root, shift, atol=1e-3)
    assert torch.allclose(second * root, torch.outer(shift, shift), atol=1e-3)


def test_refined_samples_are_closer_to_real_images_for_another_classifier(refined):
    before, after, reports = refined
    assert after[0].refinement == QUICK
    squared_gaps = squared_moment_gaps([before, after])
    assert squared_gaps[1] < 0.8 * squared_gaps[0]
    assert math.isfinite(reports[-1].moment_gap)


def test_without_labels_refined_samples_are_closer_to_real_images_for_a_classifier_of_labels(unlabelled):
    before, dataset = unlabelled[:2], unlabelled[2]
    after = refine(*before, dataset, QUICK, threads=1)
    assert after[1].label_values == ()
    squared_gaps = squared_moment_gaps([before, after])
    assert squared_gaps[1] < 0.8 * squared_gaps[0]


def squared_moment_gaps(runs):
    """Squared differences between feature moments of samples and of real images, for each run (checkpoint, prior)."""
    dataset = load(runs[0][0].data)
    classifier = FeatureExtractorRecipe(channels=8, features=16, epochs=10, seed=11)
    # Compare samples with real images by the features of a classifier that refinement did not use.
    network = train_feature_extractor(classifier, dataset.train, dataset.validation)
    other = LayerFeatures(network, classes_known=bool(runs[0][1].label_values))
    labels = torch.from_numpy(dataset.train.labels)
    real = feature_moments(other, [(torch.from_numpy(dataset.train.images[:, None] / np.float32(255)), labels)])
    target = MomentTarget(other, real)
    noise = torch.randn((5000, 4), generator=torch.Generator().manual_seed(99))
    classes = labels[torch.arange(5000) % len(labels)]
    squared_gaps = []
    for trained, prior in runs:
        sampled_classes = classes if prior.label_values else torch.zeros_like(classes)
        with torch.inference_mode():
            samples = trained.network().decode(prior.network.sample(noise, sampled_classes, QUICK.flow_steps))
            squared_gaps.append(sum(float((gap**2).sum()) for gap in target.gaps(samples, classes)))
    return squared_gaps


def test_refinement_changes_flow_and_decoder_and_keeps_the_encoder(refined, tmp_path):
    (before, prior), (after, refined_prior), _ = refined
    changed = {name for name, value in before.state_dict.items() if not torch.equal(value, after.state_dict[name])}
    assert changed
    assert all(name.startswith("network.decoder.") for name in changed)
    assert not any("running" in name for name in changed)
    priors.save(refined_prior, tmp_path / "prior.pt")
    flow = priors.read(tmp_path / "prior.pt", after).network.state_dict()
    fixed = {name for name, value in prior.network.state_dict().items() if torch.equal(value, flow[name])}
    assert fixed == {"mean", "factor"}
    assert after.fingerprint == before.fingerprint


def test_the_same_seed_gives_the_same_refined_run(refined):
    before, _, _ = refined
    few = dataclasses.replace(QUICK, steps=8, classifier_epochs=1)
    (one, prior), (other, other_prior) = (refine(*before, load(before[0].data), few, threads=1) for _ in range(2))
    assert all(torch.equal(value, other.state_dict[name]) for name, value in one.state_dict.items())
    first, second = prior.network.state_dict(), other_prior.network.state_dict()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_run_that_cannot_be_refined_is_an_error(refined, tmp_path):
    (before, prior), _, _ = refined
    dataset = load(before.data)
    with pytest.raises(NotFoundError, match="Run `aegen train-prior`"):
        priors.read(tmp_path / "prior.pt", before)
    with pytest.raises(ExecutionError, match="Lower the learning rate"):
        broken = {name: value * math.nan for name, value in before.state_dict.items() if "decoder" in name}
        noisy = dataclasses.replace(before, state_dict={**before.state_dict, **broken})
        refine(noisy, prior, dataset, dataclasses.replace(QUICK, steps=1))


@pytest.mark.parametrize(("shape", "count"), [((8, 8), 60), ((9, 14, 3), 60), ((4, 5), 6)])
def test_few_images_without_labels_of_any_size_are_refined_and_resumed_to_the_same_result(
    tmp_path, monkeypatch, shape, count
):
    monkeypatch.setattr(moment_matching, "INTERVAL", 1)
    images = np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)
    np.savez(tmp_path / "plain.npz", images=images)
    dataset = load(str(tmp_path / "plain.npz"))
    train(Recipe(widths=(4,), latent_dim=2, epochs=1), dataset, tmp_path / "plain")
    trained = checkpoint.read(tmp_path / "plain")
    prior = priors.train_prior(trained, dataset, FlowRecipe(width=4, blocks=1, steps=2))
    few = dataclasses.replace(QUICK, steps=2, classifier_epochs=1, class_loss_weight=0.1)
    states, notes = [], []
    run = functools.partial(refine, trained, prior, dataset, few, threads=1)
    one, flow = run(keep=lambda state: states.append(copy.deepcopy(state)), note=notes.append)
    other, other_flow = run(resume=states[0])
    assert notes[0] == "no labels: the classifiers learn clusters of the latents"
    assert any(not torch.equal(value, one.state_dict[name]) for name, value in trained.state_dict.items())
    assert all(torch.equal(value, other.state_dict[name]) for name, value in one.state_dict.items())
    assert flow.fingerprint == other_flow.fingerprint


def test_pseudo_labels_are_the_clusters_of_the_latents():
    centres = np.repeat(np.eye(4, dtype=np.float32) * 10, 100, axis=0)
    latents = centres + np.random.default_rng(0).normal(size=centres.shape).astype(np.float32)
    images = LabelledImages(np.zeros((400, 4, 4), np.uint8))
    labelled = pseudo_labelled(images, latents, 4, seed=0)
    values, counts = np.unique(labelled.labels.reshape(4, 100), return_counts=True)
    assert (values.tolist(), counts.tolist()) == ([0, 1, 2, 3], [100] * 4)
    assert all(len(np.unique(labels)) == 1 for labels in labelled.labels.reshape(4, 100))
    assert len(np.unique(pseudo_labelled(images, latents, 1000, seed=0).labels)) == 20
    assert set(pseudo_labelled(images, np.zeros_like(latents), 4, seed=0).labels) == {0}


def test_without_known_classes_the_predicted_probabilities_replace_the_class():
    torch.manual_seed(0)
    classifier = FeatureNetwork((1, 8, 8), 2, FeatureExtractorRecipe(channels=4, features=6)).eval()
    images, labels = torch.rand(30, 1, 8, 8), torch.zeros(30, dtype=torch.int64)
    *_, class_loss, deepest = LayerFeatures(classifier, classes_known=False)(images, labels)
    probabilities = classifier(images)[1].softmax(1)
    assert torch.allclose(deepest[:, -2:], probabilities)
    assert torch.allclose(class_loss[:, 0], torch.distributions.Categorical(probabilities).entropy(), atol=1e-6)


@pytest.mark.parametrize(
    "hyperparameter",
    [
        {"steps": 0},
        {"moment_loss_weight": math.nan},
        {"moment_ema_decay": 1},
        {"classifiers": 0},
        {"classifier_epochs": 0},
        {"seed": -1},
    ],
)
def test_an_unusable_hyperparameter_is_rejected(hyperparameter):
    with pytest.raises(InputError, match=f"refinement: {next(iter(hyperparameter))}"):
        RefinementRecipe(**hyperparameter)


def test_the_recorded_commands_of_a_refined_last_epoch_name_that_epoch(refined):
    _, (after, refined_prior), _ = refined
    last = dataclasses.replace(after, file="last.pt")
    assert [stage.recipe.stage for stage in refined_prior.stages] == ["flow", "refinement"]
    last = dataclasses.replace(last, threads=3)
    stages = tuple(dataclasses.replace(stage, threads=3) for stage in refined_prior.stages)
    prior, threads = dataclasses.replace(refined_prior, stages=stages), " --threads 3"
    commands = recorded_commands(last, prior, "bars", "made", {})
    assert [command.count(threads) for command in commands] == [1, 1, 1, 0]
    assert [command.replace(threads, "") for command in commands][1:] == [
        "aegen train-prior runs/made/last.pt --width 32 --blocks 1 --steps 300 --batch-size 128",
        "aegen refine runs/made/last.pt --steps 100 --learning-rate 0.0002 --flow-loss-weight 30.0 "
        "--moment-ema-decay 0.9 --flow-steps 4 --classifiers 2 --classifier-epochs 5 -o runs/made-refined",
        "aegen export runs/made-refined/last.pt -o made",
    ]


def test_the_command_refines_a_run_and_an_export_records_how(run, cli, tmp_path):
    assert CliRunner().invoke(refine_command, [str(run), "-o", "x", "--learning-rate", "-1"]).exit_code == 2
    shutil.copy(run / "best.pt", run / "copy.pt")
    shutil.copy(run / "prior.pt", run / "copy-prior.pt")
    few = ("--classifiers", "1", "--classifier-epochs", "1")
    done = cli("refine", run / "copy.pt", "-o", "other", "--steps", "1", *few)
    assert done.returncode == 0, done.stderr
    assert {file.name for file in (tmp_path / "other").iterdir()} == {"copy.pt", "copy-prior.pt"}
    done = cli("refine", run, "-o", "better", "--steps", "3", "--flow-steps", "4", "--threads", "1", *few)
    assert done.returncode == 0, done.stderr
    assert "step 3/3" in done.stderr
    again = cli("refine", run, "-o", "better", "--steps", "3")
    assert (again.returncode, "something there already" in again.stderr) == (1, True)
    missing = cli("refine", run, "-o", "other", "--resume")
    assert (missing.returncode, "expected an unfinished refinement of this run" in missing.stderr) == (1, True)
    done = cli("export", "better", "-o", "made", "--components", "2", "--precision", "fp16")
    assert done.returncode == 0, done.stderr
    model = aegen.load(tmp_path / "made")
    assert model.verify().passed
    assert model.manifest.commands[2:] == (
        "aegen refine runs/made --steps 3 --flow-steps 4 --classifiers 1 --classifier-epochs 1 --threads 1 "
        "-o runs/made-refined",
        "aegen export runs/made-refined --prior flow --temperature 1 --components 2 --evaluations 4 --precision fp16 "
        "-o made",
    )
