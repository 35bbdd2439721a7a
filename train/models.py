"""The networks, each written so that it reads as its own diagram."""

import itertools
import math

import torch
from torch import Tensor, nn

from .recipe import Recipe

ACTIVATIONS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh}


class EncoderDecoder(nn.Module):
    """An encoder and a decoder, joined at the code.

    The decoder ends in logits, on which losses are stable; `decode` adds the activation that makes them a picture.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, output: str) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.activation = ACTIVATIONS[output]

    def encode(self, images: Tensor) -> Tensor:
        """Images (n, C, H, W) in the recipe's pixel range -> codes (n, d)."""
        codes: Tensor = self.encoder(images)
        return codes

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (n, d) -> images (n, C, H, W) in the recipe's pixel range."""
        return self.activation(self.decoder(codes))

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, C, H, W) -> logits of their reconstructions (n, C, H, W)."""
        logits: Tensor = self.decoder(self.encoder(images))
        return logits


def build(recipe: Recipe, shape: tuple[int, int, int]) -> EncoderDecoder:
    """The recipe's networks for pictures of `shape` (C, H, W), with initial weights from torch's random state."""
    encoder = mlp_encoder(shape, recipe.widths, recipe.latent_dim)
    decoder = mlp_decoder(recipe.latent_dim, tuple(reversed(recipe.widths)), shape)
    return EncoderDecoder(encoder, decoder, recipe.output)


def mlp_encoder(shape: tuple[int, int, int], widths: tuple[int, ...], latent_dim: int) -> nn.Sequential:
    """Image -> code.

    image (n, 1, 28, 28) -> (n, 784) -> (n, 256) -> (n, 64) -> latent (n, d)
    """
    return nn.Sequential(nn.Flatten(), *dense(math.prod(shape), *widths, latent_dim))


def mlp_decoder(latent_dim: int, widths: tuple[int, ...], shape: tuple[int, int, int]) -> nn.Sequential:
    """Code -> logits of an image.

    latent (n, d) -> (n, 64) -> (n, 256) -> (n, 784) -> (n, 1, 28, 28)
    """
    return nn.Sequential(*dense(latent_dim, *widths, math.prod(shape)), nn.Unflatten(1, shape))


def dense(*sizes: int) -> list[nn.Module]:
    """Linear layers from one size to the next, with a ReLU between two of them."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return layers[:-1]
