"""The numbers of a recipe that depend on the training images: epochs, and levels of convolutional networks."""

import dataclasses
import math

from ..runtime.errors import InputError
from ..runtime.pixels import Shape
from .training import DEFAULT_STEPS, MAX_EPOCHS, Recipe

MAX_SMALL_SIDE = 8  # convolutional networks halve an image until its shorter side is at most this long
MIN_LEVELS = 2  # images are halved at least this often, even images of 16x16 and smaller
MIN_CHANNELS = 8  # the number of channels of a level is not halved below this number


def settled(recipe: Recipe, images: int, shape: Shape) -> Recipe:
    """Return the recipe with the numbers of epochs and levels that suit the training images.

    images: number of training images. shape: (C, H, W) of an image. A recipe that was settled before is returned
    unchanged. Raises InputError when the recipe has more decoder channels than its network has levels for these images.
    """
    levels = recipe.levels
    if recipe.network == "conv":
        levels = levels_for(recipe, shape)
        decoder_channels(recipe, shape)
    return dataclasses.replace(recipe, epochs=epochs_for(recipe, images), steps=0, levels=levels)


def epochs_for(recipe: Recipe, images: int) -> int:
    """The recipe's epochs, or if it states none, as many as its steps need, but at most MAX_EPOCHS."""
    if recipe.epochs:
        return recipe.epochs
    return min(MAX_EPOCHS, math.ceil((recipe.steps or DEFAULT_STEPS) / steps_per_epoch(images, recipe.batch_size)))


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Number of training steps in one pass over the training images. images: their number."""
    return math.ceil(images / batch_size)


def levels_for(recipe: Recipe, shape: Shape) -> int:
    """How often a convolutional network halves images of `shape` (C, H, W): 28x28 twice, 128x128 four times."""
    halvings = math.ceil(math.log2(min(shape[1:]) / MAX_SMALL_SIDE))
    return recipe.levels or max(MIN_LEVELS, halvings)


def level_sides(recipe: Recipe, shape: Shape) -> list[tuple[int, int]]:
    """Height and width at each level of a convolutional network, from full size to the smallest. Halves are rounded up.

    Images of 65x33 give (33, 65), (17, 33), (9, 17), (5, 9).
    """
    sides = [(shape[1], shape[2])]
    for _ in range(levels_for(recipe, shape)):
        height, width = sides[-1]
        sides.append((math.ceil(height / 2), math.ceil(width / 2)))
    return sides


def encoder_channels(recipe: Recipe, shape: Shape) -> list[int]:
    """Channels of a convolutional encoder at each level, from half the side to the smallest side.

    The larger the side, the fewer channels, so that each level takes about as many operations as the others.
    """
    channels = _continued((2 * recipe.channels, recipe.channels), levels_for(recipe, shape))
    return channels[::-1]


def decoder_channels(recipe: Recipe, shape: Shape) -> list[int]:
    """Channels of a convolutional decoder at each level, from the smallest side to half the side.

    Raises InputError when the recipe lists channels for more levels than the network has.
    """
    first, levels = recipe.decoder_channels or (2 * recipe.channels, recipe.channels), levels_for(recipe, shape)
    if len(recipe.decoder_channels) > levels:
        expected = f"at most {levels}, one for each level"
        raise InputError("recipe: decoder_channels", found=f"{len(first)} numbers", expected=expected)
    return _continued(first, levels)


def _continued(first: tuple[int, ...], levels: int) -> list[int]:
    """Channels of all levels, from the smallest side on: the numbers in `first`, then half as many at each level."""
    channels = list(first[:levels])
    while len(channels) < levels:
        channels.append(max(min(MIN_CHANNELS, channels[-1]), math.ceil(channels[-1] / 2)))
    return channels
