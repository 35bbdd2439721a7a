"""The interfaces that every learned prior implements.

The module `train/NAME_prior.py` of a learned prior NAME has two functions, which `train/priors.py` calls:

    train(recipe, latents, held_out, num_classes, *, threads, resume, report, keep) -> (PriorNetwork, Progress)
    build(recipe, state_dict, num_classes) -> PriorNetwork
"""

from abc import abstractmethod
from dataclasses import dataclass

from torch import Generator, Tensor, nn


@dataclass(frozen=True)
class Progress:
    """The losses of a learned prior at an evaluation, as means over latents and latent dimensions.

    step: number of training steps so far. train_loss: mean training loss since the last evaluation. held_out_loss: loss
    on held-out latents, with the weights that the training returns if this evaluation is the best.
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
    default_evaluations: int  # how often the network is evaluated for one latent, unless the user chooses a number

    def log_density(self, latents: Tensor, class_indices: Tensor) -> Tensor | None:
        """Log density (n,) in nats of latents (n, d) given their class indices (n,), or None if it cannot be computed.

        If there are no classes, all class indices are 0.
        """
        return None

    @abstractmethod
    def unrolled(self, evaluations: int) -> UnrolledPrior:
        """Return a module for export. It turns noise into latents by evaluating this network `evaluations` times.

        Raises InputError when the network cannot be evaluated so often.
        """


class RefinablePrior(PriorNetwork):
    """A learned prior that refinement can train further, together with the decoder."""

    @abstractmethod
    def trained_parameters(self) -> list[Tensor]:
        """The network's parameters that training changes."""

    @abstractmethod
    def normalise(self, latents: Tensor) -> Tensor:
        """Latents (n, d) -> normalised latents (n, d), with mean 0 and covariance I over the training latents."""

    @abstractmethod
    def sample(self, noise: Tensor, class_indices: Tensor, evaluations: int) -> Tensor:
        """Standard normal noise (n, d) and class indices (n,) -> latents (n, d), by `evaluations` of the network."""

    @abstractmethod
    def training_loss(self, x_1: Tensor, class_indices: Tensor, random: Generator) -> Tensor:
        """The loss, a scalar, with which the prior was trained before its refinement.

        x_1: normalised latents of real images (n, d). class_indices: the classes of these images, int64 (n,). random:
        the source of all noise.
        """
