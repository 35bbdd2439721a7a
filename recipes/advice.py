"""What the user should know about a recipe before a training begins."""

from .settled import steps_per_epoch
from .training import Recipe

# With fewer steps reconstructions are blurred. The edges in reconstructions of MNIST have 6 % of the energy of those in
# the images after 100 steps of the recipe ae, 24 % after 391 and 43 % after 1,173.
FEW_STEPS = 2_000


def few_steps(recipe: Recipe, images: int) -> str | None:
    """A sentence about a training with too few steps, with the remedy; None if there are enough.

    recipe: a settled recipe. images: number of training images.
    """
    steps = recipe.epochs * steps_per_epoch(recipe, images)
    if steps >= FEW_STEPS:
        return None
    remedy = "train for more epochs, or with fewer images in a step"
    return f"{steps:,} training steps: expect blur. At least {FEW_STEPS:,} are better: {remedy}."
