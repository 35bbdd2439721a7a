"""Hyperparameters of the feature extractor, a classifier whose features measure how similar images are."""

from dataclasses import dataclass
from typing import ClassVar

from .hyperparameters import MAX_SEED, MAX_STEPS, Hyperparameters, hyperparameter

MAX_WIDTH = 65_536  # limit on units or channels of a layer; a larger number is probably a typo


@dataclass(frozen=True)
class FeatureExtractorRecipe(Hyperparameters):
    """Hyperparameters of the feature extractor, trained on images that are randomly rotated, zoomed and translated."""

    stage: ClassVar[str] = "feature extractor"

    features: int = hyperparameter(
        128, "Units of the layer whose values are the features.", at_least=1, at_most=MAX_WIDTH
    )
    channels: int = hyperparameter(
        24,
        "Channels at the full side; twice and four times as many at a half and a quarter.",
        at_least=1,
        at_most=MAX_WIDTH,
    )
    epochs: int = hyperparameter(15, "Passes over the training images.", at_least=1, at_most=MAX_STEPS)
    batch_size: int = hyperparameter(128, "Images in one step.", at_least=1, at_most=MAX_STEPS)
    learning_rate: float = hyperparameter(2e-3, "Peak learning rate of AdamW.", above=0, at_most=1)
    warmup: float = hyperparameter(0.15, "Fraction of all steps in which the learning rate rises.", at_least=0, below=1)
    weight_decay: float = hyperparameter(1e-2, "Decoupled weight decay of AdamW.", at_least=0, at_most=1)
    dropout: float = hyperparameter(0.3, "Fraction of the features that are dropped in a step.", at_least=0, below=1)
    max_rotation: float = hyperparameter(0.2, "Largest random rotation, in radians.", at_least=0)
    max_zoom: float = hyperparameter(0.12, "Largest random zoom, as a fraction of the size.", at_least=0, below=1)
    max_translation: float = hyperparameter(
        0.1, "Largest random translation, as a fraction of the side.", at_least=0, at_most=1
    )
    orientations: bool = hyperparameter(
        False, "Whether the classes are quarter turns and mirrorings of the images, for images without labels."
    )
    seed: int = hyperparameter(
        0, "Seed of the initial weights, the order of the images and all random changes.", at_least=0, at_most=MAX_SEED
    )
