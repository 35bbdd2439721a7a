"""Measure how long a training step of each stage takes on this machine, with a few steps of untrained networks.

The time of a step depends on the size of the images and not on their content, so a few images are enough.
"""

import dataclasses
import statistics
import time
from typing import Any

import numpy as np
import torch

from ..data.datasets import Dataset
from ..data.images import LabelledImages
from ..recipes.feature_extractor import FeatureExtractorRecipe
from ..recipes.learned_priors import FlowRecipe
from ..recipes.refinement import RefinementRecipe
from ..recipes.training import Recipe
from . import processes
from .autoencoder import AutoencoderTraining
from .feature_extractor import FeatureNetwork, FeatureTraining
from .feature_moments import LayerFeatures, MomentTarget, feature_moments
from .flow import Flow
from .flow_prior import FlowTraining
from .latents import EncodedLatents
from .loop import Training
from .moment_matching import MomentMatching, RealImages
from .networks import build
from .objectives import Objective
from .pixels import unit_tensor

IMAGES = 512  # number of images to measure steps with; images are repeated if a set has fewer
NUM_CLASSES = 10  # number of classes in the measurements, which hardly changes the time


def autoencoder_seconds(recipe: Recipe, dataset: Dataset, seconds: float) -> float:
    """Median seconds of an autoencoder's training step. The measurement takes about `seconds`."""
    few = _few(dataset.train)
    return step_seconds(AutoencoderTraining(recipe, dataclasses.replace(dataset, train=few, validation=few)), seconds)


def prior_seconds(recipe: FlowRecipe, latent_dim: int, seconds: float) -> float:
    """Median seconds of a flow's training step, for latents (n, latent_dim). The measurement takes about `seconds`."""
    latents = _latents(recipe.batch_size, latent_dim)
    return step_seconds(FlowTraining(recipe, latents, latents, NUM_CLASSES), seconds)


def classifier_seconds(recipe: FeatureExtractorRecipe, dataset: Dataset, seconds: float) -> float:
    """Median seconds of a classifier's training step (NUM_CLASSES classes). The measurement takes about `seconds`."""
    few = _few(dataset.train)
    few = LabelledImages(few.images, np.arange(len(few)) % NUM_CLASSES)
    return step_seconds(FeatureTraining(recipe, few, few[:0]), seconds)


def refinement_seconds(
    recipe: RefinementRecipe,
    networks: tuple[Recipe, FlowRecipe, FeatureExtractorRecipe],
    dataset: Dataset,
    seconds: float,
) -> float:
    """Median seconds of a training step of refinement. The measurement takes about `seconds`.

    networks: the recipes of the autoencoder, the flow and the classifiers.
    """
    autoencoder, flow, classifier = networks
    few, device = _few(dataset.train)[: recipe.batch_size], processes.device()
    latents = _latents(len(few), autoencoder.latent_dim)
    latent, classes = (torch.from_numpy(part).to(device) for part in (latents.latent, latents.class_indices))
    images = unit_tensor(few.images, device)
    with processes.seeded(0):
        objective = Objective(build(autoencoder, dataset.shape), autoencoder).to(device)
        moments = torch.zeros(autoencoder.latent_dim), torch.eye(autoencoder.latent_dim)
        prior = Flow(*moments, NUM_CLASSES, flow).to(device)
        targets = []
        for _ in range(recipe.classifiers):
            features = LayerFeatures(FeatureNetwork(dataset.shape, NUM_CLASSES, classifier).to(device))
            real = feature_moments(features, [(images, classes)], match_second_moments=recipe.match_second_moments)
            targets.append(MomentTarget(features, real, recipe.class_loss_weight))
    real_images = RealImages(latent, classes, lambda rows: images[rows])
    return step_seconds(MomentMatching(objective, prior, recipe, real_images, targets), seconds)


def step_seconds(training: Training[Any], seconds: float) -> float:
    """Do training steps for about `seconds`, and return the median seconds of a step.

    The first step also allocates memory, so it is left out of the median, unless it is the only one.
    """
    times: list[float] = []
    while not times or sum(times) < seconds:
        began = time.perf_counter()
        training.update()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:] or times)


def _few(images: LabelledImages) -> LabelledImages:
    """The first IMAGES images; if there are fewer, they are repeated."""
    return images[np.arange(IMAGES) % len(images)]


def _latents(count: int, latent_dim: int) -> EncodedLatents:
    """Standard normal latents (count, latent_dim), with class indices from 0 to NUM_CLASSES - 1 in turn."""
    latent = np.random.default_rng(0).standard_normal((count, latent_dim), np.float32)
    return EncodedLatents(latent, np.arange(count) % NUM_CLASSES)
