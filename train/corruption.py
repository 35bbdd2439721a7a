"""What a denoising autoencoder is shown in place of a image.

Every function takes images (n, C, H, W) in [0, 1] and strengths (n,), one for each image, and returns images of the
same shape in [0, 1]. All randomness comes from the generator.
Source: P. Vincent et al., Stacked Denoising Autoencoders, JMLR 11, 2010, section 3.3.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

Corruption = Callable[[Tensor, Tensor, Generator], Tensor]


def corrupt(images: Tensor, kind: str, strength: tuple[float, float], random: Generator) -> Tensor:
    """Images with a corruption of `kind`, each of a strength drawn evenly between the two; "none" changes nothing."""
    if kind == "none":
        return images
    low, high = strength
    strengths = low + (high - low) * torch.rand(len(images), generator=random, device=images.device)
    return CORRUPTIONS[kind](images, strengths, random)


def gaussian(images: Tensor, strengths: Tensor, random: Generator) -> Tensor:
    """Normal noise of standard deviation sigma on every value, cut to [0, 1]."""
    noise = torch.randn(images.shape, generator=random, device=images.device)
    return (images + _for_pixels(strengths) * noise).clamp(0, 1)


def masking(images: Tensor, strengths: Tensor, random: Generator) -> Tensor:
    """A share of the pixels turned black."""
    return torch.where(_chosen_pixels(images, strengths, random), 0.0, images)


def salt_pepper(images: Tensor, strengths: Tensor, random: Generator) -> Tensor:
    """A share of the pixels turned black or white, as often the one as the other."""
    chosen = _chosen_pixels(images, strengths, random)
    white = _pixel_draws(images, random) < 0.5
    return torch.where(chosen, white.to(images.dtype), images)


def occlusion(images: Tensor, strengths: Tensor, random: Generator) -> Tensor:
    """A black block, its sides a share of the image's, at a random place inside it."""
    inside = torch.ones((len(images), 1, *images.shape[2:]), dtype=torch.bool, device=images.device)
    for axis, length in ((2, images.shape[2]), (3, images.shape[3])):
        side = torch.round(strengths * length)
        start = torch.floor(torch.rand(len(images), generator=random, device=images.device) * (length - side + 1))
        place = torch.arange(length, device=images.device).view([-1 if dim == axis else 1 for dim in range(4)])
        inside = inside & (place >= _for_pixels(start)) & (place < _for_pixels(start + side))
    return torch.where(inside, 0.0, images)


def mixed(images: Tensor, strengths: Tensor, random: Generator) -> Tensor:
    """One of the four for each image."""
    choice = torch.randint(len(SINGLE), (len(images),), generator=random, device=images.device)
    corrupted = torch.stack([one(images, strengths, random) for one in SINGLE])
    return corrupted[choice, torch.arange(len(images), device=images.device)]


SINGLE: tuple[Corruption, ...] = (gaussian, masking, salt_pepper, occlusion)
CORRUPTIONS: dict[str, Corruption] = {
    "gaussian": gaussian,
    "masking": masking,
    "salt-pepper": salt_pepper,
    "occlusion": occlusion,
    "mixed": mixed,
}


def _chosen_pixels(images: Tensor, strengths: Tensor, random: Generator) -> Tensor:
    return _pixel_draws(images, random) < _for_pixels(strengths)


def _pixel_draws(images: Tensor, random: Generator) -> Tensor:
    """One number in [0, 1) for every pixel, shared by its channels."""
    return torch.rand((len(images), 1, *images.shape[2:]), generator=random, device=images.device)


def _for_pixels(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)
