"""Moment matching: how flow and decoder are taught that what they draw looks, in the mean, like real pictures.

Source: C. dos Santos et al., Learning Implicit Generative Models by Matching Perceptual Features, 2019, equation 5.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor, nn
from tqdm import tqdm

from ..runtime.errors import ExecutionError
from .averaging import average_of, follow
from .flow import Flow
from .flow_matching import matching_error
from .objectives import Objective
from .perception import Moments, Perception
from .recipe import LARGEST_SEED, check_knobs
from .schedule import warm_cosine

EVERY = 250  # steps between two reports
CLIP = 100.0  # largest norm of a gradient; the first ones, of moments of a single batch, are the longest


@dataclass(frozen=True)
class RefinementRecipe:
    """What decides, together with a run and its prior, what refinement makes of them. Raises InputError for an unusable
    setting.
    """

    steps: int = 2000  # of training
    batch_size: int = 128  # codes drawn in one step, and as many of real pictures
    learning_rate: float = 2e-4  # Adam's, at its peak; it rises and falls as in training an autoencoder
    warmup: float = 0.05  # share of all steps in which the rate rises
    weight: float = 100.0  # of the mismatch of moments, beside the reconstruction error and the flow's
    memory: float = 0.99  # share of its past that the running mean of the moments keeps in one step
    average: float = 0.998  # share of its past that the running mean of the weights keeps in one step
    flow_steps: int = 8  # evaluations of the flow for a code, as many as are exported
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
    summed over depths. reconstruction_error: of training pictures, in the units of the recipe's loss. flow_error: of
    training codes, mean squared error of the velocity, per axis. Both are means since the last report.
    """

    step: int
    mismatch: float
    reconstruction_error: float
    flow_error: float


def match_moments(
    objective: Objective,
    flow: Flow,
    recipe: RefinementRecipe,
    codes: Tensor,
    labels: Tensor,
    pictures: Callable[[Tensor], Tensor],
    perception: Perception,
    real: Sequence[Moments],
    *,
    report: Callable[[Progress], None] = lambda progress: None,
) -> None:
    """Train a flow and the decoder of an objective's network, in place; encoder and norms' statistics stay as they are.

    codes (n, d), labels (n,): of real pictures; pictures: of rows of them, in the recipe's pixel range. perception:
    what compares pictures, by the moments `real` of real ones at its depths.
    Raises ExecutionError when an error is no longer a number.
    """
    network = objective.network.eval()
    drawer = nn.ModuleDict({"flow": flow, "decoder": network.decoder})
    average = average_of(drawer)
    trained = [*flow.trained(), *network.decoder.parameters()]
    optimiser = torch.optim.Adam(trained, lr=recipe.learning_rate, betas=(0.5, 0.999), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, warm_cosine(recipe.warmup, recipe.steps))
    low, high = objective.pixel_range
    white = flow.whiten(codes)
    device = codes.device
    random = Generator(device).manual_seed(recipe.seed)
    running: list[Tensor] = []
    n, size = len(codes), (recipe.batch_size,)
    totals = np.zeros(2)
    for step in (bar := tqdm(range(1, recipe.steps + 1), desc="refine", unit=" steps", leave=False, disable=None)):
        rows, likes = (torch.randint(n, size, generator=random, device=device) for _ in range(2))
        noise = torch.randn((*size, codes.shape[1]), generator=random, device=device)
        asked = labels[likes]
        drawn = flow.carry(noise, asked, recipe.flow_steps)
        made, given_back = network.decoder(torch.cat([drawn, codes[rows]])).chunk(2)
        features = perception((network.activation(made) - low) / (high - low), asked)
        differences = [one for moments, seen in zip(real, features, strict=True) for one in moments.differences(seen)]
        # A batch says little of a moment, so the pull is that of the running mean of many.
        keep = min(recipe.memory, step / (step + 10))
        new = [one.detach() for one in differences]
        running = [torch.lerp(one, mean, keep) for one, mean in zip(new, running or new, strict=True)]
        pull = sum((2 * (mean * one).sum() for mean, one in zip(running, differences, strict=True)), torch.zeros(()))
        # What keeps decoder and flow what they are: pictures are given back, and codes are where those of pictures are.
        reconstruction_error = objective.reconstruction_error(given_back, pictures(rows))
        flow_error = matching_error(flow, white[rows], labels[rows], random)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(recipe.weight * pull + reconstruction_error + flow_error)
        torch.nn.utils.clip_grad_norm_(network.decoder.parameters(), CLIP)
        torch.nn.utils.clip_grad_norm_(flow.trained(), 1.0)
        optimiser.step()
        schedule.step()
        follow(average, drawer, recipe.average, step)
        totals += reconstruction_error.item(), flow_error.item()
        if step % EVERY and step != recipe.steps:
            continue
        mismatch, means = sum(float((mean**2).sum()) for mean in running), totals / ((step - 1) % EVERY + 1)
        if not math.isfinite(mismatch + means.sum()):
            found, remedy = mismatch + means.sum(), "Lower the learning rate."
            raise ExecutionError(f"step {step}: error", found=found, expected="a number", remedy=remedy)
        report(Progress(step, mismatch, *means.tolist()))
        bar.set_postfix(mismatch=f"{mismatch:.4f}", refresh=False)
        totals[:] = 0
    drawer.load_state_dict(average.state_dict())
