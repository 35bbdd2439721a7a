"""Exponential moving average (EMA) of a network's weights. It usually generalises better than the final weights."""

import copy
from typing import Any, Generic, TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


class EMA(Generic[Module]):
    """Moving average of a module's weights. The attribute `module` is a copy with the averaged weights."""

    def __init__(self, module: Module, decay: float) -> None:
        self.module = copy.deepcopy(module).requires_grad_(False)
        self.decay = decay

    def update(self, module: nn.Module, step: int) -> None:
        """Move the average towards the weights of `module` after training step `step`, counted from 1.

        The decay starts low and grows to `self.decay`, so that the average soon forgets the initial weights.
        """
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.module.parameters()), list(module.parameters()), 1 - decay)

    def state_dict(self) -> dict[str, Any]:
        """Return the averaged weights by tensor name."""
        return self.module.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore averaged weights that `state_dict` returned."""
        self.module.load_state_dict(state)
