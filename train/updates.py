"""Updates of the weights: backward pass, gradient clipping, optimiser step and learning-rate schedule."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from .schedule import warm_cosine


class Updates:
    """An optimiser and its learning-rate schedule, which step together.

    The optimiser's initial learning rate is the peak of the schedule. steps: number of updates in the whole training.
    warmup: fraction of the updates in which the learning rate rises to the peak.
    """

    def __init__(self, optimiser: Optimizer, warmup: float, steps: int) -> None:
        self.optimiser = optimiser
        self.schedule = LambdaLR(optimiser, warm_cosine(warmup, steps))

    @property
    def step(self) -> int:
        """Number of updates so far."""
        return int(self.schedule.last_epoch)

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next update."""
        return float(self.schedule.get_last_lr()[0])

    def apply(self, loss: Tensor, *clipped: tuple[Iterable[Tensor], float]) -> None:
        """Update the weights by the gradient of a scalar loss.

        clipped: pairs of parameters and a maximum norm. A gradient of the parameters with a larger norm is scaled down
        to that norm.
        """
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        for parameters, max_norm in clipped:
            torch.nn.utils.clip_grad_norm_(parameters, max_norm)
        self.optimiser.step()
        self.schedule.step()

    def state_dict(self) -> dict[str, Any]:
        """The states of the optimiser and the schedule."""
        return {"optimiser": self.optimiser.state_dict(), "schedule": self.schedule.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
