"""The networks, each written so that it reads as its own diagram."""

import itertools
import math

import torch
from torch import Tensor, nn

from ..recipes.training import Recipe
from ..runtime.errors import ShapeError
from ..runtime.pixels import Shape

ACTIVATIONS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh}


class EncoderDecoder(nn.Module):
    """An encoder and a decoder, joined at the code.

    The decoder ends in logits, on which losses are stable; `decode` adds the activation that makes them a image.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, output: str) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.activation = ACTIVATIONS[output]

    def encode(self, images: Tensor) -> Tensor:
        """Images (n, C, H, W) in the recipe's pixel range -> latents (n, d)."""
        latents: Tensor = self.encoder(images)
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Latents (n, d) -> images (n, C, H, W) in the recipe's pixel range."""
        return self.activation(self.decoder(latents))


class Variational(EncoderDecoder):
    """An encoder that gives a diagonal Gaussian q(z|x) for every image, and a decoder of its samples."""

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (n, C, H, W) -> mean and log variance of q(z|x), each (n, d)."""
        mean, logvar = self.encoder(images).chunk(2, dim=1)
        return mean, logvar

    def encode(self, images: Tensor) -> Tensor:
        """Images (n, C, H, W) -> the mean of q(z|x), (n, d)."""
        return self.posterior(images)[0]

    def logvar(self, images: Tensor) -> Tensor:
        """Images (n, C, H, W) -> the log variance of q(z|x), (n, d)."""
        return self.posterior(images)[1]


def build(recipe: Recipe, shape: Shape) -> EncoderDecoder:
    """The recipe's networks for images of `shape` (C, H, W), with initial weights from torch's random state.

    Raises ShapeError when a convolutional network cannot halve the sides twice.
    """
    variational = recipe.kind == "vae"
    outputs = recipe.latent_dim * (2 if variational else 1)
    if recipe.network == "conv":
        if shape[1] % 4 or shape[2] % 4:
            found, remedy = f"images of {shape[2]}x{shape[1]}", "Choose network mlp, or other images."
            raise ShapeError("network conv", found=found, expected="sides divisible by 4", remedy=remedy)
        encoder = conv_encoder(shape, recipe.channels, outputs)
        decoder = conv_decoder(recipe.latent_dim, recipe.channels, shape)
    else:
        encoder = mlp_encoder(shape, recipe.widths, outputs)
        decoder = mlp_decoder(recipe.latent_dim, tuple(reversed(recipe.widths)), shape)
    return (Variational if variational else EncoderDecoder)(encoder, decoder, recipe.output)


def mlp_encoder(shape: Shape, widths: tuple[int, ...], outputs: int) -> nn.Sequential:
    """Image -> code.

    image (n, 1, 28, 28) -> (n, 784) -> (n, 256) -> (n, 64) -> latent (n, d)
    """
    return nn.Sequential(nn.Flatten(), *dense(math.prod(shape), *widths, outputs))


def mlp_decoder(latent_dim: int, widths: tuple[int, ...], shape: Shape) -> nn.Sequential:
    """Code -> logits of an image.

    latent (n, d) -> (n, 64) -> (n, 256) -> (n, 784) -> (n, 1, 28, 28)
    """
    return nn.Sequential(*dense(latent_dim, *widths, math.prod(shape)), nn.Unflatten(1, shape))


def conv_encoder(shape: Shape, width: int, outputs: int) -> nn.Sequential:
    """Image -> code, halving the side twice.

    image (n, 1, 28, 28) -> (n, w, 14, 14) -> (n, 2w, 7, 7) -> latent (n, d)
    """
    channels, height, rows = shape[0], shape[1] // 4, shape[2] // 4
    return nn.Sequential(
        downsample(channels, width), residual(width),
        downsample(width, 2 * width), residual(2 * width),
        nn.Flatten(), nn.Linear(2 * width * height * rows, outputs),
    )  # fmt: skip


def conv_decoder(latent_dim: int, width: int, shape: Shape) -> nn.Sequential:
    """Code -> logits of an image, doubling the side twice.

    latent (n, d) -> (n, 2w, 7, 7) -> (n, w, 14, 14) -> (n, 1, 28, 28)
    """
    channels, height, rows = shape[0], shape[1] // 4, shape[2] // 4
    return nn.Sequential(
        nn.Linear(latent_dim, 2 * width * height * rows), nn.Unflatten(1, (2 * width, height, rows)),
        residual(2 * width), upsample(2 * width, width),
        residual(width), upsample(width, channels),
    )  # fmt: skip


def dense(*sizes: int) -> list[nn.Module]:
    """Linear layers from one size to the next, with a ReLU between two of them."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return layers[:-1]


def downsample(before: int, after: int) -> nn.Sequential:
    """(n, before, 2h, 2w) -> (n, after, h, w): every 2x2 block becomes channels, so no pixel is skipped."""
    return nn.Sequential(nn.PixelUnshuffle(2), *conv_norm(4 * before, after), nn.ReLU())


def upsample(before: int, after: int) -> nn.Sequential:
    """(n, before, h, w) -> (n, after, 2h, 2w): channels become 2x2 blocks, free of a transposed conv's checkers."""
    return nn.Sequential(nn.Conv2d(before, 4 * after, 3, padding=1), nn.PixelShuffle(2))


class Residual(nn.Module):
    """x + f(x): the block learns what to change."""

    def __init__(self, change: nn.Module) -> None:
        super().__init__()
        self.change = change

    def forward(self, features: Tensor) -> Tensor:
        """Features of any shape that `change` keeps."""
        changed: Tensor = torch.relu(features + self.change(features))
        return changed


def residual(width: int) -> Residual:
    """(n, w, h, w) -> the same shape, through two convolutions."""
    return Residual(nn.Sequential(*conv_norm(width, width), nn.ReLU(), *conv_norm(width, width)))


def conv_norm(before: int, after: int) -> tuple[nn.Module, nn.Module]:
    """A 3x3 convolution and the batch norm that onnxruntime folds into it, so that it costs nothing after training."""
    return nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)
