"""Corruptions: what is done to the input images of a denoising autoencoder.

Every function takes images (n, C, H, W) in [0, 1] and strengths (n,), one for each image, and returns images of the
same shape in [0, 1]. All randomness comes from the generator.
Source: P. Vincent et al., Stacked Denoising Autoencoders, JMLR 11, 2010, section 3.3.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

Corruption = Callable[[Tensor, Tensor, Generator], Tensor]


def corrupt(images: Tensor, kind: str, strength: tuple[float, float], random: Generator) -> Tensor:
    """Images (n, C, H, W) with a corruption of CORRUPTIONS, each image with a strength uniform in a range.

    kind "none" changes nothing.
    """
    if kind == "none":
        return images
    low, high = strength
    strengths = low + (high - low) * torch.rand(len(images), generator=random, device=images.device)
    return CORRUPTIONS[kind](images, strengths, random)


def gaussian(images: Tensor, strengths: Tensor, random: Generator) -> Tensor:
    """Images (n, C, H, W) with normal noise of standard deviations `strengths` (n,), clipped to [0, 1]."""
    noise = torch.randn(images.shape, generator=random, device=images.device)
    return (images + _per_image(strengths) * noise).clamp(0, 1)


def masking(images: Tensor, strengths: Tensor, random: Generator) -> Tensor:
    """Images (n, C, H, W) with fractions `strengths` (n,) of their pixels turned black."""
    return torch.where(_random_mask(images, strengths, random), 0.0, images)


def salt_pepper(images: Tensor, strengths: Tensor, random: Generator) -> Tensor:
    """Images (n, C, H, W) with fractions `strengths` (n,) of their pixels turned black or white, equally often."""
    mask = _random_mask(images, strengths, random)
    white = _uniform_pixels(images, random) < 0.5
    return torch.where(mask, white.to(images.dtype), images)


def occlusion(images: Tensor, strengths: Tensor, random: Generator) -> Tensor:
    """Images (n, C, H, W), each with a black block at a random position.

    The block's sides are a fraction of the image's sides: `strengths` (n,).
    """
    inside = torch.ones((len(images), 1, *images.shape[2:]), dtype=torch.bool, device=images.device)
    for axis, length in ((2, images.shape[2]), (3, images.shape[3])):
        side = torch.round(strengths * length)
        start = torch.floor(torch.rand(len(images), generator=random, device=images.device) * (length - side + 1))
        position = torch.arange(length, device=images.device).view([-1 if dim == axis else 1 for dim in range(4)])
        inside = inside & (position >= _per_image(start)) & (position < _per_image(start + side))
    return torch.where(inside, 0.0, images)


def mixed(images: Tensor, strengths: Tensor, random: Generator) -> Tensor:
    """Images (n, C, H, W), each with one of the single corruptions, equally often. strengths: (n,)."""
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
    """A mask, bool (n, 1, H, W), True for a fraction `strengths` (n,) of each image's pixels on average."""
    return _uniform_pixels(images, random) < _per_image(strengths)


def _uniform_pixels(images: Tensor, random: Generator) -> Tensor:
    """Uniform numbers (n, 1, H, W) in [0, 1), one for every pixel and shared by its channels."""
    return torch.rand((len(images), 1, *images.shape[2:]), generator=random, device=images.device)


def _per_image(values: Tensor) -> Tensor:
    """(n,) -> (n, 1, 1, 1), to broadcast over the pixels of n images."""
    return values.view(-1, 1, 1, 1)
