"""Moment matching: how a decoder is taught that what it makes of drawn codes looks, in the mean, like real pictures.

Source: C. dos Santos et al., Learning Implicit Generative Models by Matching Perceptual Features, 2019, equation 5.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from tqdm import tqdm

from ..runtime.errors import ExecutionError
from .averaging import average_of, follow
from .objectives import Objective
from .perception import Moments, Perception
from .recipe import LARGEST_SEED, check_knobs
from .schedule import warm_cosine

EVERY = 250  # steps between two reports
CLIP = 100.0  # largest norm of a gradient; the first ones, of moments of a single batch, are the longest


@dataclass(frozen=True)
class RefinementRecipe:
    """What decides, together with a run and its prior, what a refined decoder is. Raises InputError for an unusable
    setting.
    """

    steps: int = 2000  # of training
    batch_size: int = 128  # drawn codes in one step, and as many of real pictures
    learning_rate: float = 2e-4  # Adam's, at its peak; it rises and falls as in training an autoencoder
    warmup: float = 0.05  # share of all steps in which the rate rises
    weight: float = 100.0  # of the mismatch of moments, beside the reconstruction error
    memory: float = 0.99  # share of its past that the running mean of the moments keeps in one step
    average: float = 0.998  # share of its past that the running mean of the weights keeps in one step
    flow_steps: int = 8  # evaluations of the prior for a code, as many as are exported
    lessons: int = 4  # epochs of the classifier whose features are compared
    seed: int = 0  # of the classifier, the codes drawn, the order of the pictures

    def __post_init__(self) -> None:
        rules = [
            (self.steps >= 1, "steps", "at least 1"),
            (self.batch_size >= 1, "batch_size", "at least 1"),
            (0 < self.learning_rate <= 1, "learning_rate", "a number above 0, to 1"),
            (0 <= self.warmup < 1, "warmup", "a share from 0 to below 1"),
            (self.weight >= 0, "weight", "a number from 0"),
            (0 <= self.memory < 1, "memory", "a share from 0 to below 1"),
            (0 <= self.average < 1, "average", "a share from 0 to below 1"),
            (self.flow_steps >= 1, "flow_steps", "at least 1"),
            (self.lessons >= 1, "lessons", "at least 1"),
            (0 <= self.seed < LARGEST_SEED, "seed", f"a whole number from 0 to {LARGEST_SEED - 1}"),
        ]
        check_knobs("refinement", self, rules)


@dataclass(frozen=True)
class Progress:
    """Where refinement stands.

    mismatch: mean squared difference of the moments from those of real pictures, in units of a feature's spread,
    summed over depths. reconstruction_error: of training pictures, in the units of the recipe's loss.
    """

    step: int
    mismatch: float
    reconstruction_error: float


def match_moments(
    objective: Objective,
    recipe: RefinementRecipe,
    drawn: tuple[Tensor, Tensor],
    codes: Tensor,
    pictures: Callable[[Tensor], Tensor],
    perception: Perception,
    real: Sequence[Moments],
    *,
    report: Callable[[Progress], None] = lambda progress: None,
) -> None:
    """Train the decoder of an objective's network, in place; the encoder and the norms' statistics stay as they are.

    drawn: codes from a prior (m, d), and the labels asked for (m,). codes: of real pictures (n, d); pictures: of rows
    of them, in the recipe's pixel range. perception: what compares pictures, by the moments `real` of real ones at its
    depths.
    Raises ExecutionError when the error is no longer a number.
    """
    network, decoder = objective.network.eval(), objective.network.decoder
    low, high = objective.pixel_range
    average = average_of(decoder)
    optimiser = torch.optim.Adam(decoder.parameters(), lr=recipe.learning_rate, betas=(0.5, 0.999), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, warm_cosine(recipe.warmup, recipe.steps))
    new_codes, asked = drawn
    device = new_codes.device
    random = Generator(device).manual_seed(recipe.seed)
    running: list[Tensor] = []
    size = (recipe.batch_size,)
    total = 0.0
    for step in (bar := tqdm(range(1, recipe.steps + 1), desc="refine", unit=" steps", leave=False, disable=None)):
        chosen, rows = (torch.randint(n, size, generator=random, device=device) for n in (len(new_codes), len(codes)))
        made, given_back = decoder(torch.cat([new_codes[chosen], codes[rows]])).chunk(2)
        features = perception((network.activation(made) - low) / (high - low), asked[chosen])
        differences = [one for moments, seen in zip(real, features, strict=True) for one in moments.differences(seen)]
        # A batch says little of a moment, so the pull is that of the running mean of many.
        keep = min(recipe.memory, step / (step + 10))
        new = [one.detach() for one in differences]
        running = [torch.lerp(one, mean, keep) for one, mean in zip(new, running or new, strict=True)]
        pull = sum((2 * (mean * one).sum() for mean, one in zip(running, differences, strict=True)), torch.zeros(()))
        error = objective.reconstruction_error(given_back, pictures(rows))
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(recipe.weight * pull + error)
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), CLIP)
        optimiser.step()
        schedule.step()
        follow(average, decoder, recipe.average, step)
        total += error.item()
        if step % EVERY and step != recipe.steps:
            continue
        mismatch, mean_error = sum(float((mean**2).sum()) for mean in running), total / ((step - 1) % EVERY + 1)
        if not math.isfinite(mismatch + mean_error):
            found, remedy = mismatch + mean_error, "Lower the learning rate."
            raise ExecutionError(f"step {step}: error", found=found, expected="a number", remedy=remedy)
        report(Progress(step, mismatch, mean_error))
        bar.set_postfix(mismatch=f"{mismatch:.4f}", refresh=False)
        total = 0.0
    decoder.load_state_dict(average.state_dict())
