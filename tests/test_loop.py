"""Every stage of training, interrupted after any evaluation and resumed from a file, ends in the same state."""

import math

import numpy as np
import pytest
import torch
from aegen.data.datasets import load
from aegen.recipes.distillation import DistillationRecipe
from aegen.recipes.feature_extractor import FeatureExtractorRecipe
from aegen.recipes.learned_priors import FlowRecipe
from aegen.recipes.refinement import RefinementRecipe
from aegen.recipes.training import Recipe
from aegen.runtime.errors import InputError
from aegen.train import processes
from aegen.train.archives import write_archive
from aegen.train.autoencoder import AutoencoderTraining
from aegen.train.distillation import Distillation
from aegen.train.ema import ema_of
from aegen.train.feature_extractor import FeatureNetwork, FeatureTraining
from aegen.train.feature_moments import LayerFeatures, MomentTarget, feature_moments
from aegen.train.flow_prior import FlowTraining
from aegen.train.latents import EncodedLatents
from aegen.train.loop import run
from aegen.train.moment_matching import MomentMatching, RealImages
from aegen.train.networks import build
from aegen.train.objectives import Objective
from torch import nn

CLASSES = np.arange(90) % 2


@pytest.fixture
def dataset(tmp_path, bars):
    np.savez(tmp_path / "bars.npz", images=bars(90, (8, 8)), labels=CLASSES)
    return load(str(tmp_path / "bars.npz"))


def autoencoder(dataset):
    recipe = Recipe(kind="dae", corruption="mixed", widths=(8,), latent_dim=3, epochs=4, batch_size=32)
    return AutoencoderTraining(recipe, dataset)


def convolutional_autoencoder(dataset):
    recipe = Recipe(kind="vae", network="conv", channels=3, latent_dim=3, epochs=4, batch_size=32)
    return AutoencoderTraining(recipe, dataset)


def flow_training():
    latent = np.random.default_rng(0).standard_normal((90, 3), dtype=np.float32)
    latents = EncodedLatents(latent, CLASSES)
    training = FlowTraining(FlowRecipe(width=8, blocks=2, steps=11, batch_size=40), latents, latents, 2)
    training.interval = 3
    return training


def flow(dataset):
    return flow_training()


def distillation(dataset):
    recipe = DistillationRecipe(width=8, pairs=90, steps=11, batch_size=40, evaluations=2)
    training = Distillation(flow_training().flow, recipe)
    training.interval = 3
    return training


def refinement(dataset):
    recipe, device = RefinementRecipe(steps=11, batch_size=8, flow_steps=2, classifiers=1), processes.device()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        objective = Objective(build(Recipe(widths=(8,), latent_dim=3), dataset.shape), Recipe()).to(device)
        network = FeatureNetwork(dataset.shape, 2, FeatureExtractorRecipe(channels=2, features=4)).to(device)
    features, random = LayerFeatures(network), np.random.default_rng(0)
    images, latents, classes = (
        torch.from_numpy(part).to(device)
        for part in (
            random.random((90, *dataset.shape), np.float32),
            random.standard_normal((90, 3), np.float32),
            CLASSES,
        )
    )
    moments = feature_moments(features, [(images, classes)], match_second_moments=True)
    real = RealImages(latents, classes, lambda rows: images[rows])
    training = MomentMatching(objective, flow_training().flow, recipe, real, [MomentTarget(features, moments, 1.0)])
    training.interval = 3
    return training


def feature_extractor(dataset):
    recipe = FeatureExtractorRecipe(channels=3, features=4, epochs=4, batch_size=32)
    return FeatureTraining(recipe, dataset.train, dataset.validation)


STAGES = [autoencoder, convolutional_autoencoder, flow, distillation, refinement, feature_extractor]


def archive(tmp_path, state):
    """The bytes of the file in which a state is saved."""
    write_archive(tmp_path / "state.pt", state)
    return (tmp_path / "state.pt").read_bytes()


@pytest.mark.parametrize("stage", STAGES)
def test_a_training_that_is_resumed_after_any_evaluation_ends_in_the_same_state(tmp_path, dataset, stage):
    whole, saved, results = stage(dataset), [], []

    def keep(state, result):
        write_archive(tmp_path / f"{len(saved)}.pt", state)
        saved.append(torch.load(tmp_path / f"{len(saved)}.pt", weights_only=True))

    run(whole, keep=keep, report=results.append)
    assert len(saved) == len(results) == 4
    for number, state in enumerate(saved):
        resumed, later = stage(dataset), []
        assert archive(tmp_path, resumed.state_dict()) != archive(tmp_path, whole.state_dict())
        run(resumed, resume=state, report=later.append)
        assert archive(tmp_path, resumed.state_dict()) == archive(tmp_path, whole.state_dict())
        assert later == results[number + 1 :]


@pytest.mark.parametrize("stage", STAGES)
def test_a_training_that_is_interrupted_while_it_reports_has_saved_that_state(dataset, stage):
    training, saved = stage(dataset), []

    def report(result):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(training, keep=lambda state, result: saved.append(training.step), report=report)
    assert saved == [training.interval]


@pytest.mark.parametrize("stage", STAGES)
def test_the_state_of_another_training_is_an_error(dataset, stage):
    training = stage(dataset)
    state = training.state_dict()
    for other in ({}, {name: {} for name in state}, {**state, "updates": {**state["updates"], "optimiser": {}}}):
        with pytest.raises(InputError, match=f"training state of the {training.title}: found another or a damaged one"):
            run(stage(dataset), resume=other)


def test_a_flow_stops_early_after_evaluations_without_improvement(dataset):
    training = flow_training()
    object.__setattr__(training.recipe, "patience", 2)
    training.best_progress = type(training.best_progress)(0, -math.inf, -math.inf)
    results = []
    run(training, report=results.append)
    assert [result.step for result in results] == [3, 6]


def test_averaged_weights_follow_a_decay_that_rises_to_its_limit():
    module = nn.Linear(1, 1, bias=False)
    ema = ema_of(module, 0.5)
    expected = 0.0
    for update in range(1, 15):
        module.weight.data.fill_(update)
        ema.update_parameters(module)
        decay = 0 if update == 1 else min(0.5, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * update
        assert ema.module.weight.item() == pytest.approx(expected)
    assert not ema.module.weight.requires_grad
