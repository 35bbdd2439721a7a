"""Refined, a prior and its decoder draw images that look more real, and the encoder has not changed."""

import dataclasses
import math
import shlex
import shutil
import time

import aegen
import numpy as np
import pytest
import torch
from aegen.cli.refine import OPTIONS
from aegen.cli.refine import command as refine_command
from aegen.data.datasets import load
from aegen.export.commands import recorded_commands
from aegen.recipes.feature_extractor import FeatureExtractorRecipe
from aegen.recipes.flow import FlowRecipe
from aegen.recipes.refinement import RefinementRecipe
from aegen.recipes.training import Recipe
from aegen.runtime.errors import ExecutionError, InputError, NotFoundError
from aegen.train import checkpoint, priors
from aegen.train.feature_extractor import FeatureNetwork, train_feature_extractor
from aegen.train.loop import train
from aegen.train.perception import Critic, Perception, feature_moments
from aegen.train.refinement import TRAINING, refine
from click.testing import CliRunner

QUICK = RefinementRecipe(
    steps=250,
    learning_rate=2e-4,
    flow_loss_weight=30.0,
    moment_ema_decay=0.9,
    flow_steps=4,
    classifiers=2,
    classifier_epochs=10,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory, bars):
    """The folder of a run on labelled images, with a prior."""
    folder = tmp_path_factory.mktemp("refinement")
    images = bars(800, (8, 8))
    labels = (images.reshape(800, -1).mean(1) > np.median(images.reshape(800, -1).mean(1))).astype(np.int64)
    data = str(folder / "bars.npz")
    np.savez(data, images=images, labels=labels)
    recipe = Recipe(kind="vae", beta=0.01, network="conv", channels=8, latent_dim=4, epochs=40)
    train(recipe, load(data), folder / "run", data=data)
    trained = checkpoint.read(folder / "run")
    learned = priors.train_prior(trained, load(data), FlowRecipe(width=32, blocks=1, steps=300))
    priors.save(learned, folder / "run" / "prior.pt")
    return folder / "run"


@pytest.fixture(scope="module")
def refined(run):
    """The run and its prior before and after, and what was reported."""
    before, reports = checkpoint.read(run), []
    prior = priors.read(run / "prior.pt", before)
    after = refine(before, prior, load(before.data), QUICK, threads=1, report=reports.append)
    return (before, prior), after, reports


@pytest.fixture(scope="module")
def perception():
    torch.manual_seed(0)
    return Perception(FeatureNetwork((1, 8, 8), 2, FeatureExtractorRecipe(channels=4, features=6)))


@pytest.mark.parametrize(("squares", "doubt", "moments"), [(True, 0, 6), (False, 0, 4), (False, 0.5, 5)])
def test_moments_of_the_same_images_do_not_differ(perception, match_second_moments, class_loss_weight, moments):
    images = torch.rand(300, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(300) % 2
    batches = zip(torch.split(images, 70), torch.split(labels, 70), strict=True)
    critic = Critic(
        perception, feature_moments(perception, batches, match_second_moments=match_second_moments), class_loss_weight
    )
    differences = critic.differences(images, labels)
    assert len(differences) == moments
    assert max(float(difference.abs().max()) for difference in differences) < 1e-4


def test_doubt_of_a_label_is_the_classifiers_cross_entropy():
    torch.manual_seed(0)
    classifier = FeatureNetwork((1, 8, 8), 2, FeatureExtractorRecipe(channels=4, features=6)).eval()
    images, labels = torch.rand(30, 1, 8, 8), torch.arange(30) % 2
    class_loss = Perception(classifier)(images, labels)[-2]
    expected = torch.nn.functional.cross_entropy(classifier(images)[1], labels, reduction="none")
    assert torch.allclose(class_loss, expected[:, None])


def test_moments_of_shifted_features_differ_by_the_shift(perception):
    images = torch.rand(300, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(300) % 2
    moments = feature_moments(perception, [(images, labels)])[-1]
    features = perception(images, labels)[-1]
    shift = torch.linspace(-1, 1, features.shape[1])
    first, second = moments.differences(features + shift * moments.checked_temperature)
    root = math.sqrt(len(shift))
    assert torch.allclose(first * root, shift, atol=1e-3)
    assert torch.allclose(second * root, torch.outer(shift, shift), atol=1e-3)


def test_drawn_images_come_nearer_to_real_ones(refined):
    before, after, reports = refined
    assert after[0].refinement == QUICK
    dataset = load(before[0].data)
    classifier = FeatureExtractorRecipe(channels=8, features=16, epochs=10, seed=11)
    other = Perception(train_feature_extractor(classifier, dataset.train, dataset.validation))  # played no part in it
    labels = torch.from_numpy(dataset.train.labels)
    real = feature_moments(other, [(torch.from_numpy(dataset.train.images[:, None] / np.float32(255)), labels)])
    critic = Critic(other, real)
    noise = torch.randn((5000, 4), generator=torch.Generator().manual_seed(99))
    asked = labels[torch.arange(5000) % len(labels)]
    found = []
    for trained, prior in (before, after):
        with torch.inference_mode():
            drawn = trained.network().decode(prior.flow.carry(noise, asked, QUICK.flow_steps))
            found.append(sum(float((difference**2).sum()) for difference in critic.differences(drawn, asked)))
    assert found[1] < 0.8 * found[0]
    assert math.isfinite(reports[-1].mismatch)


def test_flow_and_decoder_change_and_still_belong_to_the_encoder(refined, tmp_path):
    (before, prior), (after, drawer), _ = refined
    changed = {name for name, value in before.state_dict.items() if not torch.equal(value, after.state_dict[name])}
    assert changed
    assert all(name.startswith("network.decoder.") for name in changed)
    assert not any("running" in name for name in changed)
    priors.save(drawer, tmp_path / "prior.pt")
    flow = priors.read(tmp_path / "prior.pt", after).flow.state_dict()
    fixed = {name for name, value in prior.flow.state_dict().items() if torch.equal(value, flow[name])}
    assert fixed == {"mean", "factor"}
    assert after.fingerprint == before.fingerprint


def test_the_same_seed_refines_the_same(refined):
    before, after, _ = refined
    again, drawer = refine(*before, load(before[0].data), QUICK, threads=1)
    assert all(torch.equal(value, again.state_dict[name]) for name, value in after[0].state_dict.items())
    assert all(torch.equal(value, drawer.flow.state_dict()[name]) for name, value in after[1].flow.state_dict().items())


def test_a_killed_refinement_is_resumed(run, start, cli, tmp_path):
    hyperparameters = shlex.split(
        "--steps 500 --classifiers 2 --classifier-epochs 1 --batch-size 8 --flow-steps 2 --threads 1"
    )
    assert cli("refine", run, "-o", "whole", *hyperparameters).returncode == 0
    left = tmp_path / "cut" / TRAINING
    process = start("refine", run, "-o", "cut", *hyperparameters)
    while process.poll() is None and not left.exists():
        time.sleep(0.01)
    process.kill()
    process.communicate()
    taken = cli("refine", run, "-o", "cut", *hyperparameters)
    assert (taken.returncode, "Go on from it with --resume" in taken.stderr) == (1, True)
    assert cli("refine", run, "-o", "cut", "--resume", "--steps", "9").returncode == 2
    done = cli("refine", run, "-o", "cut", "--resume", "--threads", "1")
    assert done.returncode == 0, done.stderr
    whole, cut = (checkpoint.read(tmp_path / name) for name in ("whole", "cut"))
    assert cut.refinement == whole.refinement
    assert all(torch.equal(value, cut.state_dict[name]) for name, value in whole.state_dict.items())
    flows = [priors.read(tmp_path / name / "prior.pt", whole).flow.state_dict() for name in ("whole", "cut")]
    assert all(torch.equal(value, flows[1][name]) for name, value in flows[0].items())
    assert not left.exists()


def test_what_cannot_be_refined_is_an_error(refined, tmp_path, bars):
    (before, prior), (after, _), _ = refined
    dataset = load(before.data)
    with pytest.raises(InputError, match="found a refined run, expected the run that it was made from"):
        refine(after, prior, dataset, QUICK)
    with pytest.raises(NotFoundError, match="Run `aegen train-prior`"):
        priors.read(tmp_path / "prior.pt", before)
    with pytest.raises(ExecutionError, match="Lower the learning rate"):
        broken = {name: value * math.nan for name, value in before.state_dict.items() if "decoder" in name}
        noisy = dataclasses.replace(before, state_dict={**before.state_dict, **broken})
        refine(noisy, prior, dataset, dataclasses.replace(QUICK, steps=1))
    np.savez(tmp_path / "plain.npz", images=bars(60, (8, 8)))
    plain = load(str(tmp_path / "plain.npz"))
    train(Recipe(widths=(4,), latent_dim=2, epochs=1), plain, tmp_path / "plain")
    unlabelled = checkpoint.read(tmp_path / "plain")
    learned = priors.train_prior(unlabelled, plain, FlowRecipe(width=4, blocks=1, steps=2))
    with pytest.raises(InputError, match="found no labels"):
        refine(unlabelled, learned, plain, QUICK)


@pytest.mark.parametrize(
    "hyperparameter",
    [{"steps": 0}, {"weight": math.nan}, {"memory": 1}, {"classifiers": 0}, {"lessons": 0}, {"seed": -1}],
)
def test_a_useless_knob_is_refused(hyperparameter):
    with pytest.raises(InputError, match=f"refinement: {next(iter(hyperparameter))}"):
        RefinementRecipe(**hyperparameter)


def test_every_knob_is_an_option():
    options = [flag.removeprefix("--").replace("-", "_") for flag, _ in OPTIONS]
    assert options == [field.name for field in dataclasses.fields(RefinementRecipe)]


def test_what_was_refined_of_another_epoch_is_made_again_from_that_epoch(refined):
    (_, prior), (after, _), _ = refined
    last = dataclasses.replace(after, file="last.pt")
    assert recorded_commands(last, prior, "bars", "made", {})[1:] == (
        "aegen train-prior runs/made/last.pt --width 32 --blocks 1 --steps 300",
        "aegen refine runs/made/last.pt --steps 250 --learning-rate 0.0002 --flow-loss-weight 30.0 --moment-ema-decay 0.9 "
        "--flow-steps 4 --classifiers 2 --classifier-epochs 10 -o runs/made-refined",
        "aegen export runs/made-refined/last.pt -o made",
    )


def test_one_command_refines_a_run_and_an_export_says_how_it_was_made(run, cli, tmp_path):
    assert CliRunner().invoke(refine_command, [str(run), "-o", "x", "--learning-rate", "-1"]).exit_code == 2
    shutil.copy(run / "best.pt", run / "copy.pt")
    shutil.copy(run / "prior.pt", run / "copy-prior.pt")
    done = cli("refine", run / "copy.pt", "-o", "other", "--steps", "1", "--classifier-epochs", "1")
    assert done.returncode == 0, done.stderr
    assert {file.name for file in (tmp_path / "other").iterdir()} == {"copy.pt", "copy-prior.pt"}
    done = cli("refine", run, "-o", "better", "--steps", "3", "--classifier-epochs", "1", "--flow-steps", "4")
    assert done.returncode == 0, done.stderr
    assert "step 3/3" in done.stderr
    taken = cli("refine", run, "-o", "better", "--steps", "3")
    assert (taken.returncode, "something there already" in taken.stderr) == (1, True)
    none = cli("refine", run, "-o", "other", "--resume")
    assert (none.returncode, "expected a refinement of this run that was cut off" in none.stderr) == (1, True)
    done = cli("export", "better", "-o", "made", "--components", "2", "--precision", "fp16")
    assert done.returncode == 0, done.stderr
    model = aegen.load(tmp_path / "made")
    assert model.verify().passed
    assert model.manifest.commands[2:] == (
        "aegen refine runs/made --steps 3 --flow-steps 4 --classifier-epochs 1 -o runs/made-refined",
        "aegen export runs/made-refined --prior flow --temperature 1 --components 2 --flow-steps 4 --precision fp16 "
        "-o made",
    )
