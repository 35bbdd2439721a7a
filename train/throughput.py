"""Measure how long a training step of each stage takes on this machine, with a few steps of networks without training.

The images decide nothing but the sizes, so a few of them are enough.
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
NUM_CLASSES = 10  # number of classes of the measured networks, which hardly changes the time


def autoencoder_seconds(recipe: Recipe, dataset: Dataset, seconds: float) -> float:
    """Seconds of a training step of an autoencoder, measured for about `seconds`.

    Raises ShapeError when the network does not suit the size of the images.
    """
    few = _few(dataset.train)
    return step_seconds(AutoencoderTraining(recipe, dataclasses.replace(dataset, train=few, validation=few)), seconds)


def prior_seconds(recipe: FlowRecipe, latent_dim: int, seconds: float) -> float:
    """Seconds of a training step of a flow for latents (n, latent_dim)."""
    latents = _latents(recipe.batch_size, latent_dim)
    return step_seconds(FlowTraining(recipe, latents, latents, NUM_CLASSES), seconds)


def classifier_seconds(recipe: FeatureExtractorRecipe, dataset: Dataset, seconds: float) -> float:
    """Seconds of a training step of a classifier of these images, with NUM_CLASSES classes."""
    few = _few(dataset.train)
    few = LabelledImages(few.images, np.arange(len(few)) % NUM_CLASSES)
    return step_seconds(FeatureTraining(recipe, few, few[:0]), seconds)


def refinement_seconds(
    recipe: RefinementRecipe,
    networks: tuple[Recipe, FlowRecipe, FeatureExtractorRecipe],
    dataset: Dataset,
    seconds: float,
) -> float:
    """Seconds of a step of refinement. networks: the recipes of the autoencoder, the flow and the classifiers."""
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
    """Median seconds of a training step, measured for about `seconds`.

    The first step, which also allocates memory, counts only if it takes that long alone.
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
    """IMAGES of the images."""
    return images[np.arange(IMAGES) % len(images)]


def _latents(count: int, latent_dim: int) -> EncodedLatents:
    """Random latents of NUM_CLASSES classes."""
    latent = np.random.default_rng(0).standard_normal((count, latent_dim), np.float32)
    return EncodedLatents(latent, np.arange(count) % NUM_CLASSES)
