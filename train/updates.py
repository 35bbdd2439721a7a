"""Updates of the weights: backward pass, gradient clipping, optimiser step and learning-rate schedule."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from .schedule import warm_cosine

ADAM_MOMENTS = ("exp_avg", "exp_avg_sq")  # names of the two moving averages that Adam keeps for each parameter


class Updates:
    """An optimiser and its learning-rate schedule, which step together.

    The optimiser's initial learning rate is the peak of the schedule. steps: number of updates in the whole training.
    warmup: fraction of the updates in which the learning rate rises to the peak.
    """

    def __init__(self, optimiser: Optimizer, warmup: float, steps: int) -> None:
        self.optimiser = optimiser
        self.steps = steps
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

        clipped: pairs (parameters, maximum norm). The joint gradient of a pair's parameters is scaled down to the
        maximum norm if its norm is larger.
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
        """Restore a state that `state_dict` returned. Raises ValueError if it is the state of other parameters."""
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        for parameters in self.optimiser.param_groups:
            for parameter in parameters["params"]:
                moments = self.optimiser.state[parameter]
                for name in ADAM_MOMENTS:
                    moments[name] = _stored_like(parameter, moments[name])


def _stored_like(parameter: Tensor, moment: Tensor) -> Tensor:
    """Copy one of Adam's moments into the memory layout of its parameter.

    The fused optimiser of torch pairs weights and moments by their position in memory. A saved moment is contiguous,
    but its parameter may have its channels last in memory. Raises ValueError if the shapes differ.
    """
    if moment.shape != parameter.shape:
        raise ValueError(f"moment of shape {tuple(moment.shape)}")
    return torch.empty_like(parameter).copy_(moment)
