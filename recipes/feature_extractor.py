"""Hyperparameters of the feature extractor."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FeatureExtractorRecipe:
    """What decides, together with the data, what a feature extractor is. Its images are turned, scaled and moved at random."""

    features: int = 128  # units of the layer whose values images are compared by
    channels: int = 24  # at the full side; twice and four times as many at a half and a quarter of it
    epochs: int = 15  # passes over the training images
    batch_size: int = 128  # images in one step
    learning_rate: float = 2e-3  # AdamW's, at its peak
    warmup: float = 0.15  # share of all steps in which the rate rises
    weight_decay: float = 1e-2  # AdamW's, decoupled from the rate
    dropout: float = 0.3  # share of the features that a step leaves out
    turn: float = 0.2  # largest angle in radians
    zoom: float = 0.12  # largest change of size, as a share
    shift: float = 0.1  # largest move, as a share of the side
    seed: int = 0  # of the initial weights, the order of the images and all chance
