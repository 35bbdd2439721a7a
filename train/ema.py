"""The running mean of a network's weights, which does better than the weights at any one step."""

import copy
from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def ema_of(network: Module) -> Module:
    """Where the mean starts: a copy that is not trained."""
    return copy.deepcopy(network).requires_grad_(False)


def update_ema(average: nn.Module, network: nn.Module, share: float, step: int) -> None:
    """Move the mean towards a network's weights after a step, from 1, in place.

    share: of its past that the mean keeps; less in the first steps, or a short run would end with a mean of weights
    that were never any good.
    """
    kept = min(share, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - kept)
