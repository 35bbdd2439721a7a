"""A warning about a recipe that the user should see before a training begins: too few training steps."""

from .settled import steps_per_epoch
from .training import Recipe

# With fewer training steps than this, reconstructions are blurred. On MNIST with the recipe ae, the edges in
# reconstructions have 6 % of the energy of the edges in the images after 100 steps, 24 % after 391 and 43 % after
# 1,173.
FEW_STEPS = 2_000


def few_steps(recipe: Recipe, images: int) -> str | None:
    """A warning, with a remedy, if a training has fewer steps than FEW_STEPS; otherwise None.

    recipe: a settled recipe. images: number of training images.
    """
    steps = recipe.epochs * steps_per_epoch(images, recipe.batch_size)
    if steps >= FEW_STEPS:
        return None
    remedy = "train for more epochs, or with fewer images in a step"
    return f"{steps:,} training steps: expect blur. At least {FEW_STEPS:,} are better: {remedy}."
