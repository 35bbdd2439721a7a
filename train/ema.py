"""Exponential moving average (EMA) of a network's weights. It usually generalises better than the final weights."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

Tensors = tuple[Tensor, ...] | list[Tensor]


def ema_of(module: nn.Module, decay: float) -> AveragedModel:
    """Make an EMA of a module's weights. Call its method `update_parameters(module)` after every training step.

    The attribute `module` of the result is a copy with the averaged weights. The decay starts low and grows to `decay`,
    so that the average soon forgets the initial weights.
    """

    def update(ema: Tensors, current: Tensors, updates: Tensor | int) -> None:
        number = int(updates) + 1
        torch._foreach_lerp_(ema, current, 1 - min(decay, (1 + number) / (10 + number)))

    return AveragedModel(module, multi_avg_fn=update).requires_grad_(False)
