"""The encoder and decoder networks. ARCHITECTURES lists them by name."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..recipes.settled import decoder_channels, encoder_channels, level_sides
from ..recipes.training import Recipe
from ..runtime.pixels import Shape

ACTIVATIONS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh}
Side = tuple[int, int]  # height and width in pixels
Sides = list[Side]


class EncoderDecoder(nn.Module):
    """An encoder (images -> latents) and a decoder (latents -> logits of images).

    The decoder returns logits, because the cross entropy computed from logits is numerically stable. `decode` applies
    the final activation too. activation: name of the final activation, a key of ACTIVATIONS.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, activation: str) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.activation = ACTIVATIONS[activation]

    def encode(self, images: Tensor) -> Tensor:
        """Images (n, C, H, W) in the recipe's pixel range -> latents (n, d)."""
        latents: Tensor = self.encoder(images)
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Latents (n, d) -> images (n, C, H, W) in the recipe's pixel range."""
        return self.activation(self.decoder(latents))


class Variational(EncoderDecoder):
    """A VAE: its encoder returns mean and log variance of a diagonal Gaussian q(z|x) for each image x."""

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (n, C, H, W) -> mean and log variance of the Gaussian q(z|x), each (n, d)."""
        mean, logvar = self.encoder(images).chunk(2, dim=1)
        return mean, logvar

    def encode(self, images: Tensor) -> Tensor:
        """Images (n, C, H, W) -> the mean of q(z|x), (n, d)."""
        return self.posterior(images)[0]

    def logvar(self, images: Tensor) -> Tensor:
        """Images (n, C, H, W) -> the log variance of q(z|x), (n, d)."""
        return self.posterior(images)[1]


@dataclass(frozen=True)
class Architecture:
    """An encoder and a decoder that `Recipe.network` selects by name.

    encoder: a function that builds the encoder from a recipe, the shape (C, H, W) of an image and the number of
    outputs. decoder: a function that builds the decoder from a recipe and the shape of an image. int8: whether the
    networks may be exported in 8 bits. It is False for convolutional networks, because they would be slower in 8 bits.
    """

    encoder: Callable[[Recipe, Shape, int], nn.Module]
    decoder: Callable[[Recipe, Shape], nn.Module]
    int8: bool = False


def build(recipe: Recipe, shape: Shape) -> EncoderDecoder:
    """Build the recipe's networks for images of `shape` (C, H, W).

    The initial weights are random numbers from torch's global generator.
    Raises InputError when a convolutional decoder has channels for more levels than the images have.
    """
    architecture = ARCHITECTURES[recipe.network]
    variational = recipe.kind == "vae"
    outputs = 2 * recipe.latent_dim if variational else recipe.latent_dim
    encoder, decoder = architecture.encoder(recipe, shape, outputs), architecture.decoder(recipe, shape)
    return (Variational if variational else EncoderDecoder)(encoder, decoder, recipe.activation)


def mlp_encoder(shape: Shape, widths: tuple[int, ...], outputs: int) -> nn.Sequential:
    """Build a fully connected encoder.

    Shapes for 28x28 grey images and hidden layers of 256 and 64 units:
    image (n, 1, 28, 28) -> (n, 784) -> (n, 256) -> (n, 64) -> (n, outputs)
    """
    return nn.Sequential(nn.Flatten(), *dense(math.prod(shape), *widths, outputs))


def mlp_decoder(latent_dim: int, widths: tuple[int, ...], shape: Shape) -> nn.Sequential:
    """Build a fully connected decoder, which returns logits of images.

    Shapes for 28x28 grey images and hidden layers of 64 and 256 units:
    latent (n, d) -> (n, 64) -> (n, 256) -> (n, 784) -> (n, 1, 28, 28)
    """
    return nn.Sequential(*dense(latent_dim, *widths, math.prod(shape)), nn.Unflatten(1, shape))


def conv_encoder(sides: Sides, channels: list[int], image_channels: int, outputs: int) -> nn.Sequential:
    """Build a convolutional encoder, which halves height and width of the images at each level.

    sides: height and width of the images, then those at each level. channels: channels at each level.
    Shapes for 28x28 grey images and channels 32 and 64:
    image (n, 1, 28, 28) -> (n, 32, 14, 14) -> (n, 64, 7, 7) -> (n, outputs)
    """
    layers: list[nn.Module] = []
    for side, inputs, outputs_of_level in zip(sides, [image_channels, *channels], channels, strict=False):
        layers += [downsample(inputs, outputs_of_level, side), residual(outputs_of_level)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels[-1] * math.prod(sides[-1]), outputs))


def conv_decoder(latent_dim: int, channels: list[int], sides: Sides, image_channels: int) -> nn.Sequential:
    """Build a convolutional decoder, which doubles height and width at each level and returns logits of images.

    channels: channels at each level, from the smallest. sides: height and width at each level, from the smallest, then
    those of the images.
    Shapes for 28x28 grey images and channels 64 and 32:
    latent (n, d) -> (n, 64, 7, 7) -> (n, 32, 14, 14) -> (n, 1, 28, 28)
    """
    small = channels[0], *sides[0]
    layers: list[nn.Module] = [nn.Linear(latent_dim, math.prod(small)), nn.Unflatten(1, small)]
    for side, inputs, outputs in zip(sides[1:], channels, [*channels[1:], image_channels], strict=True):
        layers += [residual(inputs), upsample(inputs, outputs, side)]
    return nn.Sequential(*layers)


def decoder_widths(recipe: Recipe) -> tuple[int, ...]:
    """Units of the hidden layers of a recipe's fully connected decoder."""
    return recipe.decoder_widths or tuple(reversed(recipe.widths))


ARCHITECTURES = {
    "mlp": Architecture(
        lambda recipe, shape, outputs: mlp_encoder(shape, recipe.widths, outputs),
        lambda recipe, shape: mlp_decoder(recipe.latent_dim, decoder_widths(recipe), shape),
        int8=True,
    ),
    "conv": Architecture(
        lambda recipe, shape, outputs: conv_encoder(
            level_sides(recipe, shape), encoder_channels(recipe, shape), shape[0], outputs
        ),
        lambda recipe, shape: conv_decoder(
            recipe.latent_dim, decoder_channels(recipe, shape), level_sides(recipe, shape)[::-1], shape[0]
        ),
    ),
}


def dense(*sizes: int) -> list[nn.Module]:
    """Build linear layers from each size to the next, with ReLUs between them: (n, sizes[0]) -> (n, sizes[-1])."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return layers[:-1]


def downsample(inputs: int, outputs: int, side: Side) -> nn.Sequential:
    """Build layers that halve height and width: (n, inputs, h, w) -> (n, outputs, ceil(h / 2), ceil(w / 2)).

    The pixels of each 2x2 block become channels before the convolution, so that no pixel is skipped. side: (h, w). If h
    or w is odd, the last row or column is repeated.
    """
    missing = [pixels % 2 for pixels in side]
    blocks: nn.Module = nn.PixelUnshuffle(2)
    if any(missing):
        blocks = nn.Sequential(nn.ReplicationPad2d((0, missing[1], 0, missing[0])), blocks)
    return nn.Sequential(blocks, *conv_norm(4 * inputs, outputs), nn.ReLU())


def upsample(inputs: int, outputs: int, side: Side) -> nn.Sequential:
    """Build layers that double height and width: (n, inputs, ceil(h / 2), ceil(w / 2)) -> (n, outputs, h, w).

    After the convolution, groups of four channels become 2x2 blocks of pixels. A transposed convolution is not used,
    because it would leave checkerboard patterns. side: (h, w). If h or w is odd, the last row or column of the result
    is cut off.
    """
    crop = [Crop(side)] if any(pixels % 2 for pixels in side) else []
    return nn.Sequential(nn.Conv2d(inputs, 4 * outputs, 3, padding=1), nn.PixelShuffle(2), *crop)


class Crop(nn.Module):
    """Cut off the last rows and columns: (n, c, h + i, w + j) -> (n, c, h, w). side: (h, w)."""

    def __init__(self, side: Side) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        """Compute the first h rows and w columns of x."""
        height, width = self.side
        return x[:, :, :height, :width]


class Residual(nn.Module):
    """Residual block relu(x + change(x)). change: a module that keeps the shape of x."""

    def __init__(self, change: nn.Module) -> None:
        super().__init__()
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        """Compute relu(x + change(x)), which has the shape of x."""
        return torch.relu(x + self.change(x))


def residual(channels: int) -> Residual:
    """Build a residual block of two convolutions: (n, channels, h, w) -> (n, channels, h, w)."""
    return Residual(nn.Sequential(*conv_norm(channels, channels), nn.ReLU(), *conv_norm(channels, channels)))


def conv_norm(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    """Return a 3x3 convolution and its batch norm, two layers: (n, inputs, h, w) -> (n, outputs, h, w).

    onnxruntime merges the batch norm into the convolution, so the batch norm takes no time after training.
    """
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)
