"""How long the stages of `aegen create` take, from the measured seconds of their training steps."""

import math
from dataclasses import dataclass

from ..runtime.pixels import Shape
from .settled import steps_per_epoch
from .training import Recipe

CLASSIFIER_BATCH = 128  # batch size for training the classifiers and the feature extractor
MAX_NEAREST_IMAGES = 20_000  # maximum number of training images that samples are compared with, to find copies
# Expected seconds of an export, and additional seconds for each training image, on a machine where a training step of
# the flow takes FLOW_STEP_SECONDS. On a slower machine both grow in proportion to that step, up to MAX_SLOWNESS times.
EXPORT_SECONDS, FITTING_SECONDS, MAX_SLOWNESS = 20.0, 4e-4, 4.0
FLOW_STEP_SECONDS = {"fast": 0.004, "other": 0.012}


@dataclass(frozen=True)
class Facts:
    """The facts about a set of images from which the plan is made.

    shape: (C, H, W). num_classes: number of classes, 0 without labels. has_features: whether a feature extractor for
    these images ships with aegen, so that none must be trained.
    """

    shape: Shape
    training_images: int
    test_images: int
    num_classes: int
    has_features: bool = False

    @property
    def values(self) -> int:
        """Number of values in an image."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class StepSeconds:
    """Measured seconds of one training step of each stage, with the networks of the plan.

    classifier: a step of one classifier. refinement: a step of the refinement with CLASSIFIERS classifiers.
    """

    autoencoder: float
    prior: float
    classifier: float
    refinement: float


def epoch_seconds(images: int, autoencoder: Recipe, steps: StepSeconds) -> float:
    """Expected seconds of an epoch with its evaluation.

    images: number of training images. There is one validation image for every five training images, and it takes a
    third of a training image's time.
    """
    return steps_per_epoch(images, autoencoder.batch_size) * steps.autoencoder * (1 + 1 / 15)


def encoding_seconds(facts: Facts, autoencoder: Recipe, steps: StepSeconds) -> float:
    """Expected seconds to encode the training images once, as prior, refinement and export do: a third of an epoch."""
    return steps_per_epoch(facts.training_images, autoencoder.batch_size) * steps.autoencoder / 3


def passing_seconds(images: int, steps: StepSeconds) -> float:
    """Expected seconds in which a classifier evaluates images: a third of the time to train on them.

    images: number of images.
    """
    return images / CLASSIFIER_BATCH * steps.classifier / 3


def export_seconds(facts: Facts, steps: StepSeconds, *, fast: bool) -> float:
    """Expected seconds of the export, without the time to encode the images. fast: whether the light flow is used."""
    slowness = steps.prior / FLOW_STEP_SECONDS["fast" if fast else "other"]
    return (EXPORT_SECONDS + FITTING_SECONDS * facts.training_images) * min(max(slowness, 0.5), MAX_SLOWNESS)


def measure_seconds(facts: Facts, evaluated_images: int, steps: StepSeconds) -> float:
    """Expected seconds of the measurement, most of which computes features of real images and of samples."""
    images = 3 * evaluated_images + min(facts.training_images, MAX_NEAREST_IMAGES)
    return 5 + 3 * passing_seconds(images, steps)
