"""Corruptions of the input images of a denoising autoencoder.

Each corruption is a function of three arguments: images (n, C, H, W) in [0, 1], strengths (n,), one for each image,
and a random generator. It returns images of the same shape in [0, 1].
Source: P. Vincent et al., Stacked Denoising Autoencoders, JMLR 11, 2010, section 3.3.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

Corruption = Callable[[Tensor, Tensor, Generator], Tensor]


def corrupt(images: Tensor, kind: str, strength: tuple[float, float], random: Generator) -> Tensor:
    """Corrupt images (n, C, H, W) in [0, 1], each with a random strength.

    kind: a key of CORRUPTIONS, or "none" to return the images unchanged. strength: lower and upper bound; each image's
    strength is a uniform random number between them.
    """
    if kind == "none":
        return images
    low, high = strength
    strengths = low + (high - low) * torch.rand(len(images), generator=random, device=images.device)
    return CORRUPTIONS[kind](images, strengths, random)


def gaussian(images: Tensor, strengths: Tensor, random: Generator) -> Tensor:
    """Add normal noise to images (n, C, H, W) and clip them to [0, 1].

    strengths (n,): the standard deviation of the noise in each image.
    """
    noise = torch.randn(images.shape, generator=random, device=images.device)
    return (images + _per_image(strengths) * noise).clamp(0, 1)


def masking(images: Tensor, strengths: Tensor, random: Generator) -> Tensor:
    """Turn random pixels of images (n, C, H, W) black.

    strengths (n,): for each image, the probability that a pixel is changed.
    """
    return torch.where(_random_mask(images, strengths, random), 0.0, images)


def salt_pepper(images: Tensor, strengths: Tensor, random: Generator) -> Tensor:
    """Turn random pixels of images (n, C, H, W) black or white, with equal probability.

    strengths (n,): for each image, the probability that a pixel is changed.
    """
    mask = _random_mask(images, strengths, random)
    white = _uniform_pixels(images, random) < 0.5
    return torch.where(mask, white.to(images.dtype), images)


def occlusion(images: Tensor, strengths: Tensor, random: Generator) -> Tensor:
    """Cover each image (n, C, H, W) with a black block at a random position.

    strengths (n,): for each image, height and width of its block as a fraction of the image's height and width.
    """
    inside = torch.ones((len(images), 1, *images.shape[2:]), dtype=torch.bool, device=images.device)
    for axis, length in ((2, images.shape[2]), (3, images.shape[3])):
        side = torch.round(strengths * length)
        start = torch.floor(torch.rand(len(images), generator=random, device=images.device) * (length - side + 1))
        position = torch.arange(length, device=images.device).view([-1 if dim == axis else 1 for dim in range(4)])
        inside = inside & (position >= _per_image(start)) & (position < _per_image(start + side))
    return torch.where(inside, 0.0, images)


def mixed(images: Tensor, strengths: Tensor, random: Generator) -> Tensor:
    """Corrupt each image (n, C, H, W) by one of the four functions in SINGLE, chosen at random.

    strengths (n,): the strength for each image, whichever function is chosen.
    """
    choice = torch.randint(len(SINGLE), (len(images),), generator=random, device=images.device)
    corrupted = torch.stack([corruption(images, strengths, random) for corruption in SINGLE.values()])
    return corrupted[choice, torch.arange(len(images), device=images.device)]


SINGLE: dict[str, Corruption] = {
    "gaussian": gaussian,
    "masking": masking,
    "salt-pepper": salt_pepper,
    "occlusion": occlusion,
}
CORRUPTIONS: dict[str, Corruption] = {**SINGLE, "mixed": mixed}


def _random_mask(images: Tensor, strengths: Tensor, random: Generator) -> Tensor:
    """Random bool masks (n, 1, H, W) for images (n, C, H, W). strengths (n,): each mask's probability of True."""
    return _uniform_pixels(images, random) < _per_image(strengths)


def _uniform_pixels(images: Tensor, random: Generator) -> Tensor:
    """Return a uniform random number in [0, 1) per pixel, the same for all channels: (n, C, H, W) -> (n, 1, H, W)."""
    return torch.rand((len(images), 1, *images.shape[2:]), generator=random, device=images.device)


def _per_image(values: Tensor) -> Tensor:
    """Reshape one value per image, (n,) -> (n, 1, 1, 1), to broadcast it over the pixels."""
    return values.view(-1, 1, 1, 1)
