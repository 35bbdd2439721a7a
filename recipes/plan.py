"""The rules by which `aegen create` chooses network, sizes and numbers of steps from images, machine and budget.

Every number is a constant here, with its reason. The rules are pure functions, and their result is a `Plan`.
`mnist.md` is the page beside this module with what was tried on MNIST.
"""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

from .advice import FEW_STEPS
from .budget import divided
from .feature_extractor import FeatureExtractorRecipe
from .learned_priors import FlowRecipe
from .refinement import RefinementRecipe
from .settled import steps_per_epoch
from .stage_seconds import (
    CLASSIFIER_BATCH,
    EXPORT_SECONDS,
    Facts,
    StepSeconds,
    encoding_seconds,
    epoch_seconds,
    export_seconds,
    measure_seconds,
    passing_seconds,
)
from .training import Recipe

# Fraction of the budget that the plan uses. The rest is a reserve, because the speed of a machine varies.
PLANNED_FRACTION = 0.95
# The fraction of the training time for each stage. Time that a stage cannot use goes to the others. Refinement gets a
# large fraction, because it closes most of the gap between samples and real images (mnist.md: distance 22.5 before, 7.6
# after). A convolutional autoencoder needs more time than a fully connected one.
CONV_FRACTIONS = {"autoencoder": 0.45, "prior": 0.10, "classifiers": 0.15, "refinement": 0.30}
MLP_FRACTIONS = {"autoencoder": 0.30, "prior": 0.10, "classifiers": 0.25, "refinement": 0.35}
FEATURES_FRACTION = 0.08  # fraction of the training time for a feature extractor, if one must be trained

# Minimum number of training steps of a convolutional network. With fewer, a smaller network gives better images. On
# MNIST, images are still blurred after one epoch (391 steps); the best networks in mnist.md have 4,700 steps or more.
MIN_CONV_STEPS = FEW_STEPS
MIN_AUTOENCODER_STEPS, MIN_PRIOR_STEPS, MIN_REFINEMENT_STEPS = 200, 400, 40  # minimum numbers of steps, in any budget
MAX_AUTOENCODER_STEPS, MAX_EPOCHS = 20_000, 300  # maxima, at which the held-out loss no longer falls
# Maximum number of training steps of the prior: as many as PRIOR_PASSES passes over the latents take, but at least
# FEW_PRIOR_STEPS and at most MAX_PRIOR_STEPS. In mnist.md, the prior no longer improves after 8,500 steps (87 passes).
PRIOR_PASSES, FEW_PRIOR_STEPS, MAX_PRIOR_STEPS = 100, 3_000, 12_000
MAX_REFINEMENT_STEPS, MAX_FAST_REFINEMENT_STEPS = 2_500, 1_000  # maximum numbers, as in mnist and mnist-fast
# Number of classifiers for refinement. With a single one, samples adapt to its errors: in mnist.md, the distance to
# real images is 8.0 with one classifier and 7.6 with three.
CLASSIFIERS = 3
# Limits on the training steps of each classifier. In mnist.md, a classifier has 1,563 steps (4 epochs).
MIN_CLASSIFIER_STEPS, MAX_CLASSIFIER_STEPS = 400, 1_600
MAX_FEATURES_EPOCHS, MAX_FEATURES_STEPS = 40, 6_000  # maxima; features-mnist has 15 epochs, 5,865 steps

# Batch sizes to choose from, and the minimum number of steps in an epoch. Small sets get small batches, so that an
# epoch has enough steps: a network for a small set of icons had lost all colour after 12 epochs with a batch size of
# 128, but not with 32. For comparison, mnist has a batch size of 128 and mnist-fast one of 256.
BATCHES, EPOCH_STEPS = (16, 32, 64, 128), 40
MLP_BATCH, MLP_BATCH_IMAGES = 256, 20_000  # batch size of fully connected networks for sets of at least 20,000 images

# Numbers of latent dimensions for grey, colour and large images, each for the light network and for the other one.
# mnist-fast has 24 and mnist has 32.
GREY_LATENTS, COLOUR_LATENTS, LARGE_LATENTS = (24, 32), (48, 64), (64, 96)
LARGE_VALUES = 4_096  # images with more values count as large, such as 48x48 in colour
FEW_IMAGES, FEW_IMAGES_LATENTS = 1_000, 24  # sets of fewer than 1,000 images get at most 24 latent dimensions
BETA = 0.01  # weight of the KL; leaves latents without gaps, and reconstructions nearly unchanged (mnist.md)
MLP_WIDTHS = (512, 256)  # units of the hidden layers, as in mnist-fast
CONV_CHANNELS = (32, 16)  # channels of the larger network, as in mnist, and of the smaller one
FAST_FLOW, FAST_EVALUATIONS = {"width": 128, "blocks": 2}, 3  # the light flow, as in mnist-fast
# Settings of refinement: without second moments samples are more varied, and a small class loss keeps their classes
# clear. In mnist.md, both together lower the distance to real images from 6.8 to 4.7.
MATCH_SECOND_MOMENTS, CLASS_LOSS_WEIGHT = False, 0.1
MIXTURE_COMPONENTS, COMPONENT_IMAGES = 20, 50  # maximum number of mixture components; minimum number of images for each

FEATURES_CHANNELS = 16  # as many as in the classifiers, so that one measured step time serves both
# Maximum budget in seconds -> maximum number of samples to measure.
EVALUATED_IMAGES = {300: 1_000, 900: 3_000, math.inf: 10_000}
# Maximum number of test images -> number of features of the extractor. A covariance of more features needs more images.
FEATURES = {1_000: 32, 3_000: 64, math.inf: 128}


@dataclass(frozen=True)
class Budget:
    """The time of `aegen create`, in seconds: what the user allows, and what had passed when the plan was made."""

    seconds: float
    spent: float = 0.0


@dataclass(frozen=True)
class Plan:
    """All that `aegen create` chooses before the first stage begins.

    threads: number of CPU threads, on which the result depends. features: recipe of the feature extractor; None if none
    is trained. components: number of components of the Gaussian mixture. evaluated_images: number of samples that are
    measured. seconds: expected seconds of each stage, by name. steps: measured seconds of a training step of each
    stage. reasons: sentences that explain the plan to the user.
    """

    threads: int
    autoencoder: Recipe
    prior: FlowRecipe
    refinement: RefinementRecipe
    features: FeatureExtractorRecipe | None
    components: int
    evaluated_images: int
    seconds: dict[str, float]
    steps: StepSeconds
    reasons: tuple[str, ...]


def candidates(facts: Facts, *, fast: bool) -> tuple[Recipe, ...]:
    """The recipes of autoencoders to choose from, the largest first. `make_plan` sets their number of epochs later."""
    latent_dim, images = _latent_dim(facts, fast=fast), facts.training_images
    conv = tuple(_autoencoder("conv", latent_dim, _batch(images), channels=channels) for channels in CONV_CHANNELS)
    mlp = _autoencoder("mlp", latent_dim, _mlp_batch(images), widths=MLP_WIDTHS)
    if facts.values > LARGE_VALUES:  # a fully connected network would have too many weights for such images
        return conv[-1:] if fast else conv
    return (mlp,) if fast else (*conv, mlp)


def is_affordable(autoencoder: Recipe, step_seconds: float, facts: Facts, budget: Budget) -> bool:
    """Whether the budget allows an autoencoder at least MIN_CONV_STEPS steps; always True for a fully connected one.

    step_seconds: measured seconds of a training step of this autoencoder. facts: describes the images.
    """
    epoch = steps_per_epoch(facts.training_images, autoencoder.batch_size) * step_seconds
    # Prior, refinement and export each encode the images, which takes as long as one training epoch in all.
    seconds = PLANNED_FRACTION * budget.seconds - budget.spent - EXPORT_SECONDS - epoch
    if not facts.has_features:
        seconds *= 1 - FEATURES_FRACTION
    enough = _fractions(autoencoder)["autoencoder"] * seconds >= MIN_CONV_STEPS * step_seconds
    return autoencoder.network == "mlp" or enough


def prior_recipe(*, fast: bool) -> FlowRecipe:
    """The recipe of the flow prior. `make_plan` sets its number of steps. fast: whether the light flow is used."""
    return FlowRecipe(**FAST_FLOW) if fast else FlowRecipe()


def classifier_recipe() -> FeatureExtractorRecipe:
    """The recipe of the classifier whose training step is timed.

    The classifiers of refinement and the feature extractor have about the same size, so the time serves for both.
    """
    return FeatureExtractorRecipe(channels=FEATURES_CHANNELS, batch_size=CLASSIFIER_BATCH)


def refinement_recipe(*, fast: bool) -> RefinementRecipe:
    """The recipe of the refinement. `make_plan` sets its numbers of steps. fast: whether the light flow is used."""
    if fast:
        return RefinementRecipe(classifiers=CLASSIFIERS, flow_steps=FAST_EVALUATIONS)
    return RefinementRecipe(
        classifiers=CLASSIFIERS, match_second_moments=MATCH_SECOND_MOMENTS, class_loss_weight=CLASS_LOSS_WEIGHT
    )


def make_plan(
    facts: Facts, autoencoder: Recipe, steps: StepSeconds, budget: Budget, *, fast: bool, threads: int
) -> Plan:
    """The plan for images, with the chosen autoencoder and the measured times of training steps.

    If the budget is too small even for the smallest plan, the smallest plan is returned, which exceeds the budget.
    """
    images, evaluated = facts.training_images, _evaluated_images(facts, budget)
    encoding = encoding_seconds(facts, autoencoder, steps)
    seconds = {
        "export": export_seconds(facts, steps, fast=fast) + encoding,
        "measure": measure_seconds(facts, evaluated, steps),
    }
    seconds |= {"prior": encoding, "classifiers": CLASSIFIERS * passing_seconds(images, steps), "refinement": encoding}
    available = max(PLANNED_FRACTION * budget.seconds - budget.spent - sum(seconds.values()), 0)
    features = None
    if not facts.has_features:
        features = _features(facts, FEATURES_FRACTION * available / steps.classifier)
        seconds["features"] = steps_per_epoch(images, features.batch_size) * features.epochs * steps.classifier
        available = max(available - seconds["features"], 0)
    granted = divided(available, _fractions(autoencoder), _limits(facts, autoencoder, steps, fast=fast))
    epoch = epoch_seconds(images, autoencoder, steps)
    least = math.ceil(MIN_AUTOENCODER_STEPS / steps_per_epoch(images, autoencoder.batch_size))
    autoencoder = dataclasses.replace(autoencoder, epochs=max(int(granted["autoencoder"] / epoch), least))
    prior_steps = max(int(granted["prior"] / steps.prior), MIN_PRIOR_STEPS)
    refinement = _refinement(facts, granted, steps, fast=fast)
    classifiers = refinement.classifiers * refinement.classifier_epochs * steps_per_epoch(images, CLASSIFIER_BATCH)
    seconds["autoencoder"] = autoencoder.epochs * epoch
    seconds["prior"] += prior_steps * steps.prior
    seconds["classifiers"] += classifiers * steps.classifier
    seconds["refinement"] += refinement.steps * steps.refinement
    return Plan(
        threads=threads,
        autoencoder=autoencoder,
        prior=dataclasses.replace(prior_recipe(fast=fast), steps=prior_steps),
        refinement=refinement,
        features=features,
        components=min(MIXTURE_COMPONENTS, max(1, images // COMPONENT_IMAGES)),
        evaluated_images=evaluated,
        seconds=seconds,
        steps=steps,
        reasons=tuple(_reasons(facts, autoencoder, steps, fast=fast)),
    )


def _autoencoder(network: str, latent_dim: int, batch_size: int, **sizes: object) -> Recipe:
    settings: dict[str, object] = {"kind": "vae", "beta": BETA, "epochs": 1, **sizes}
    return Recipe(network=network, latent_dim=latent_dim, batch_size=batch_size, **settings)  # type: ignore[arg-type]


def _latent_dim(facts: Facts, *, fast: bool) -> int:
    """Number of latent dimensions, which depends on the shape and the number of the images."""
    light, other = GREY_LATENTS if facts.shape[0] == 1 else COLOUR_LATENTS
    if facts.values > LARGE_VALUES:
        light, other = LARGE_LATENTS
    size = light if fast else other
    return min(size, FEW_IMAGES_LATENTS) if facts.training_images < FEW_IMAGES else size


def _batch(images: int) -> int:
    """The largest batch size in BATCHES with which an epoch has at least EPOCH_STEPS steps, or else the smallest."""
    return max((size for size in BATCHES if images >= EPOCH_STEPS * size), default=BATCHES[0])


def _mlp_batch(images: int) -> int:
    """The batch size of a fully connected network: MLP_BATCH for large sets, otherwise that of other networks."""
    return MLP_BATCH if images >= MLP_BATCH_IMAGES else _batch(images)


def _fractions(autoencoder: Recipe) -> dict[str, float]:
    """The fraction of the training time that each stage gets, by name. The fractions add up to 1."""
    return CONV_FRACTIONS if autoencoder.network == "conv" else MLP_FRACTIONS


def _limits(facts: Facts, autoencoder: Recipe, steps: StepSeconds, *, fast: bool) -> dict[str, float]:
    """The maximum number of seconds that each stage can use, by name."""
    images = facts.training_images
    epochs = min(MAX_EPOCHS, math.ceil(MAX_AUTOENCODER_STEPS / steps_per_epoch(images, autoencoder.batch_size)))
    passes = PRIOR_PASSES * images // prior_recipe(fast=fast).batch_size
    return {
        "autoencoder": (epochs + 0.5) * epoch_seconds(images, autoencoder, steps),
        "prior": min(max(passes, FEW_PRIOR_STEPS), MAX_PRIOR_STEPS) * steps.prior,
        "classifiers": CLASSIFIERS * MAX_CLASSIFIER_STEPS * steps.classifier,
        "refinement": (MAX_FAST_REFINEMENT_STEPS if fast else MAX_REFINEMENT_STEPS) * steps.refinement,
    }


def _refinement(facts: Facts, granted: dict[str, float], steps: StepSeconds, *, fast: bool) -> RefinementRecipe:
    """The recipe of the refinement, with as many steps as fit into `granted`, the seconds of each stage by name."""
    epoch = steps_per_epoch(facts.training_images, CLASSIFIER_BATCH)
    in_all = granted["classifiers"] / steps.classifier
    classifiers = min(max(int(in_all / max(MIN_CLASSIFIER_STEPS, epoch)), 1), CLASSIFIERS)
    return dataclasses.replace(
        refinement_recipe(fast=fast),
        steps=max(int(granted["refinement"] / steps.refinement), MIN_REFINEMENT_STEPS),
        classifiers=classifiers,
        classifier_epochs=min(max(int(in_all / classifiers / epoch), 1), MAX_EPOCHS),
    )


def _features(facts: Facts, training_steps: float) -> FeatureExtractorRecipe:
    """The recipe of the feature extractor, with as many epochs as fit into `training_steps`, but at least one."""
    features = next(count for most, count in FEATURES.items() if facts.test_images <= most)
    recipe = dataclasses.replace(classifier_recipe(), features=features, orientations=not facts.num_classes)
    epoch = steps_per_epoch(facts.training_images, recipe.batch_size)
    epochs = int(min(training_steps, MAX_FEATURES_STEPS) / epoch)
    return dataclasses.replace(recipe, epochs=min(max(epochs, 1), MAX_FEATURES_EPOCHS))


def _evaluated_images(facts: Facts, budget: Budget) -> int:
    """Number of samples to measure: limited by the budget, the test images, and half of the training images."""
    most = next(count for seconds, count in EVALUATED_IMAGES.items() if budget.seconds <= seconds)
    return min(most, facts.test_images, facts.training_images // 2)


def _reasons(facts: Facts, autoencoder: Recipe, steps: StepSeconds, *, fast: bool) -> Iterator[str]:
    """Sentences that explain the plan."""
    batch, network = autoencoder.batch_size, autoencoder.network
    size = f"{autoencoder.channels} channels" if network == "conv" else f"widths {autoencoder.widths}"
    speed = f"{batch / steps.autoencoder:,.0f} images a second"
    done = autoencoder.epochs * steps_per_epoch(facts.training_images, batch)
    reason = f"the largest that gets {MIN_CONV_STEPS:,} optimiser steps"
    if fast:
        reason = "the light one"
    elif network == "mlp":
        reason = f"no convolutional one gets {MIN_CONV_STEPS:,} optimiser steps"
    elif done < MIN_CONV_STEPS:
        reason = "the smallest for images of this size"
    yield f"network {network}, {size}: {reason}; it trains at {speed} here"
    few = "" if facts.training_images >= FEW_IMAGES else f", as there are fewer than {FEW_IMAGES:,} images"
    yield f"{autoencoder.latent_dim} latent dimensions{few}; batches of {batch}, so that an epoch has enough steps"
    yield f"{autoencoder.epochs} epochs of the autoencoder are {done:,} optimiser steps" + (
        ": few, expect blur" if done < FEW_STEPS else ""
    )
    if not facts.num_classes:
        yield "no labels: refinement uses clusters of latents instead of classes"
