"""Training losses of autoencoders. A loss is summed over pixels or latent dimensions, and averaged over the batch."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..recipes.training import Recipe
from .networks import EncoderDecoder, Variational


class Losses(NamedTuple):
    """The losses of a batch of n images, as scalars, and the latents that they were computed with.

    total: the reconstruction error plus the weighted penalty. penalty: the KL in nats for a VAE, and half the squared
    norm of the latents for other models. mean: the latents, or for a VAE the means of q(z|x), (n, d). logvar: the log
    variances of q(z|x), (n, d), or None if the model is no VAE.
    """

    reconstruction: Tensor
    penalty: Tensor
    total: Tensor
    mean: Tensor
    logvar: Tensor | None


class Objective(nn.Module):
    """A network together with the loss that its recipe selects.

    It is a torch module, because the loss "gaussian" has a trainable parameter: the log of the standard deviation
    sigma, one number for all pixels.
    """

    def __init__(self, network: EncoderDecoder, recipe: Recipe) -> None:
        super().__init__()
        self.network = network
        self.loss = recipe.loss
        self.pixel_range = recipe.pixel_range
        self.penalty_weight = recipe.beta if recipe.kind == "vae" else recipe.latent_l2
        if recipe.loss == "gaussian":
            self.log_sigma = nn.Parameter(torch.zeros(()))

    def forward(self, images: Tensor, target: Tensor, noise: Tensor, ramp: float = 1.0) -> Losses:
        """Compute the losses of a batch of images.

        images: the input (n, C, H, W), which may be corrupted. target: the images to reconstruct. Both are in the
        recipe's pixel range. noise: standard normal (n, d), for a VAE's z = mean + std * noise; other models ignore it.
        ramp: factor in [0, 1] by which the penalty's weight is multiplied.
        """
        if isinstance(self.network, Variational):
            mean, logvar = self.network.posterior(images)
            latents = mean + torch.exp(0.5 * logvar) * noise
            penalty = kl_per_dimension(mean, logvar).sum()
        else:
            latents = mean = self.network.encode(images)
            logvar = None
            penalty = 0.5 * torch.sum(latents**2) / len(latents)
        reconstruction = self.reconstruction_error(self.network.decoder(latents), target)
        total = reconstruction + ramp * self.penalty_weight * penalty
        return Losses(reconstruction, penalty, total, mean, logvar)

    def reconstruction_error(self, logits: Tensor, target: Tensor) -> Tensor:
        """Reconstruction error, a scalar, of the decoder's logits against images, both (n, C, H, W).

        It is -log p(x|z) in nats for the losses bce and gaussian, and the squared error for mse.
        """
        if self.loss == "bce":
            return cross_entropy(logits, target)
        error = squared_error(self.network.activation(logits), target)
        if self.loss == "mse":
            return error
        pixels = target[0].numel()
        return 0.5 * error * torch.exp(-2 * self.log_sigma) + pixels * (self.log_sigma + 0.5 * math.log(2 * math.pi))


def cross_entropy(logits: Tensor, images: Tensor) -> Tensor:
    """Binary cross entropy in nats of images (n, C, H, W) in [0, 1]; a pixel is the probability of white.

    It is computed from logits for numerical stability. Even a perfect reconstruction of a grey pixel has a loss above
    0: the pixel's entropy.
    """
    return functional.binary_cross_entropy_with_logits(logits, images, reduction="sum") / len(images)


def squared_error(reconstructions: Tensor, images: Tensor) -> Tensor:
    """Sum of squared differences between reconstructions and images, both (n, C, H, W), averaged over the batch."""
    return torch.sum((reconstructions - images) ** 2) / len(images)


def kl_per_dimension(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL(q(z|x) || N(0, I)) of each latent dimension in nats (d,), averaged over the batch; mean and logvar are (n, d).

    Source: D. Kingma, M. Welling, Auto-Encoding Variational Bayes, 2014, appendix B.
    """
    return 0.5 * torch.mean(mean**2 + torch.exp(logvar) - 1 - logvar, 0)
