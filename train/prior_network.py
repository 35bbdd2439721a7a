"""What every learned prior provides.

The module `train/NAME_prior.py` of a learned prior NAME has two functions, which `train/priors.py` calls:

    train(recipe, latents, held_out, num_classes, *, threads, resume, report, keep) -> (PriorNetwork, Progress)
    build(recipe, state_dict, num_classes) -> PriorNetwork
"""

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Progress:
    """A validation of a learned prior. The losses are means over latents and latent dimensions.

    train_loss: since the last validation. held_out_loss: on held-out latents, of the weights that would be returned.
    """

    step: int
    train_loss: float
    held_out_loss: float


class UnrolledPrior(nn.Module):
    """Noise -> latents in a fixed number of evaluations, as one graph without control flow, for the export."""

    network: "PriorNetwork"
    evaluations: int

    @abstractmethod
    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """Standard normal noise (n, d) and class indices int64 (n,) -> latents (n, d).

        label: None when there are no classes.
        """


class PriorNetwork(nn.Module):
    """A network that maps standard normal noise to latents."""

    latent_dim: int
    num_classes: int  # 0 without classes

    @abstractmethod
    def log_density(self, latents: Tensor, class_indices: Tensor) -> Tensor:
        """Log density (n,) in nats of latents (n, d) given their classes (n,); all 0 without classes."""

    @abstractmethod
    def unrolled(self, evaluations: int) -> UnrolledPrior:
        """The network as one graph, from noise to latents."""
