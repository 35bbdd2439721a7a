"""The interface of every learned prior.

The module `train/NAME_prior.py` of a learned prior NAME has two functions, which `train/priors.py` calls:

    train(recipe, latents, held_out, num_classes, *, threads, resume, report, keep) -> (PriorNetwork, Progress)
    build(recipe, state_dict, num_classes) -> PriorNetwork
"""

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Progress:
    """The losses of a learned prior at a validation, as means over latents and latent dimensions.

    train_loss: mean since the last validation. held_out_loss: on held-out latents, with the weights that training
    would return.
    """

    step: int
    train_loss: float
    held_out_loss: float


class UnrolledPrior(nn.Module):
    """A learned prior as one graph without control flow, for the export. The number of evaluations is fixed."""

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
    num_classes: int  # 0 if there are no classes

    def log_density(self, latents: Tensor, class_indices: Tensor) -> Tensor | None:
        """Log density (n,) in nats of latents (n, d) given their class indices (n,), or None if it cannot be computed.

        Without classes, all class indices are 0.
        """
        return None

    @abstractmethod
    def unrolled(self, evaluations: int) -> UnrolledPrior:
        """The prior as one graph from noise to latents, with a fixed number of evaluations."""
