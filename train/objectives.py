"""What training minimises. Every error is summed over the pixels of a picture and averaged over the batch."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from .models import ACTIVATIONS
from .recipe import Recipe

Objective = Callable[[Tensor, Tensor], Tensor]


def objective(recipe: Recipe) -> Objective:
    """The recipe's reconstruction error, a function of logits and images (n, C, H, W), giving a scalar."""
    if recipe.loss == "bce":
        return cross_entropy
    activation = ACTIVATIONS[recipe.output]
    return lambda logits, images: squared_error(activation(logits), images)


def cross_entropy(logits: Tensor, images: Tensor) -> Tensor:
    """Binary cross-entropy in nats; a pixel in [0, 1] is the probability of white.

    Computed from the logits, where log sigmoid(x) does not overflow. For pixels that are neither black nor white its
    least value is their entropy, not 0.
    """
    return functional.binary_cross_entropy_with_logits(logits, images, reduction="sum") / len(images)


def squared_error(reconstructions: Tensor, images: Tensor) -> Tensor:
    """Sum of squared differences, in squared units of the pixel range."""
    return torch.sum((reconstructions - images) ** 2) / len(images)
