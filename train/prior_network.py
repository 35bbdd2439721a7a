"""The interface that every learned prior implements.

The module `train/NAME_prior.py` of a learned prior NAME has two functions, which `train/priors.py` calls:

    train(recipe, latents, held_out, num_classes, *, threads, resume, report, keep) -> (PriorNetwork, Progress)
    build(recipe, state_dict, num_classes) -> PriorNetwork
"""

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Progress:
    """The losses of a learned prior at an evaluation, as means over latents and latent dimensions.

    step: number of training steps so far. train_loss: mean training loss since the last evaluation. held_out_loss: loss
    on held-out latents, with the weights that `train` returns if this evaluation is the best.
    """

    step: int
    train_loss: float
    held_out_loss: float


class UnrolledPrior(nn.Module):
    """A learned prior as a module for export, without control flow. It evaluates its network `evaluations` times."""

    network: "PriorNetwork"
    evaluations: int

    @abstractmethod
    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """Standard normal noise (n, d) and class indices int64 (n,) -> latents (n, d).

        label: the class indices, or None if there are no classes.
        """


class PriorNetwork(nn.Module):
    """A network that maps standard normal noise to latents."""

    latent_dim: int
    num_classes: int  # number of image classes, or 0 if images have no classes

    def log_density(self, latents: Tensor, class_indices: Tensor) -> Tensor | None:
        """Log density (n,) in nats of latents (n, d) given their class indices (n,), or None if it cannot be computed.

        If there are no classes, all class indices are 0.
        """
        return None

    @abstractmethod
    def unrolled(self, evaluations: int) -> UnrolledPrior:
        """Return a module for export. It turns noise into latents by evaluating this network `evaluations` times."""
