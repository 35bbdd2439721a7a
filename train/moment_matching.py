"""Moment matching: how flow and decoder are taught that what they draw looks, in the mean, like real images.

Source: C. dos Santos et al., Learning Implicit Generative Models by Matching Perceptual Features, 2019, equation 5.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn
from tqdm import tqdm

from ..recipes.refinement import RefinementRecipe
from ..runtime.errors import ExecutionError
from .archives import restoring
from .ema import ema_of, update_ema
from .flow import Flow
from .flow_matching import matching_error
from .objectives import Objective
from .perception import Critic
from .schedule import warm_cosine

EVERY = 250  # steps between two reports
State = dict[str, Any]
CLIP, FLOW_CLIP = 100.0, 1.0  # largest norm of a gradient, of decoder and flow; the first ones are the longest


@dataclass(frozen=True)
class Progress:
    """Where refinement stands.

    mismatch: mean squared difference of the moments from those of real images, in units of a feature's spread,
    summed over depths, the mean over classifiers. reconstruction_error: of training images, in the units of the
    recipe's loss. flow_error: of training latents, mean squared error of the velocity, per axis. Both are means since
    the last report.
    """

    step: int
    mismatch: float
    reconstruction_error: float
    flow_error: float


def match_moments(
    objective: Objective,
    flow: Flow,
    recipe: RefinementRecipe,
    latents: Tensor,
    labels: Tensor,
    images: Callable[[Tensor], Tensor],
    critics: Sequence[Critic],
    *,
    resume: State | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    keep: Callable[[State], None] = lambda state: None,
) -> None:
    """Train a flow and the decoder of an objective's network, in place; encoder and norms' statistics stay as they are.

    latents (n, d), labels (n,): of real images; images: of rows of them, in the recipe's pixel range. critics: what
    compares them with images that are drawn. report: called every so many steps, and keep: with all that going on
    from there needs, which is what resume takes.
    The same arguments give the same weights on one machine with one number of threads, resumed or not.
    Raises InputError when `resume` is of another recipe, ExecutionError when an error is no longer a number.
    """
    network = objective.network.eval()
    drawer = nn.ModuleDict({"flow": flow, "decoder": network.decoder})
    average = ema_of(drawer)
    trained = [*flow.trained(), *network.decoder.parameters()]
    optimiser = torch.optim.Adam(trained, lr=recipe.learning_rate, betas=(0.5, 0.999), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, warm_cosine(recipe.warmup, recipe.steps))
    low, high = objective.pixel_range
    white = flow.whiten(latents)
    device = latents.device
    random = Generator(device).manual_seed(recipe.seed)
    mismatch = _Mismatch(recipe.moment_ema_decay)
    parts: State = {
        "drawer": drawer,
        "average": average,
        "optimiser": optimiser,
        "schedule": schedule,
        "mismatch": mismatch,
    }
    done = 0
    if resume is not None:
        with restoring("refinement", "one of its recipe and run"):
            for name, one in parts.items():
                one.load_state_dict(resume[name])
            random.set_state(resume["random"])
            done = int(resume["step"])
    n, size = len(latents), (recipe.batch_size,)
    totals = np.zeros(2)
    steps = range(done + 1, recipe.steps + 1)
    for step in (bar := tqdm(steps, desc="refine", unit=" steps", leave=False, disable=None)):
        rows, likes = (torch.randint(n, size, generator=random, device=device) for _ in range(2))
        noise = torch.randn((*size, latents.shape[1]), generator=random, device=device)
        asked = labels[likes]
        drawn = flow.carry(noise, asked, recipe.flow_steps)
        made, given_back = network.decoder(torch.cat([drawn, latents[rows]])).chunk(2)
        batch_images = (network.activation(made) - low) / (high - low)
        pull = mismatch.pull([one for critic in critics for one in critic.differences(batch_images, asked)])
        # What keeps decoder and flow what they are: images are given back, and latents are where those of images are.
        reconstruction_error = objective.reconstruction_error(given_back, images(rows))
        flow_error = matching_error(flow, white[rows], labels[rows], random)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(
            recipe.moment_loss_weight / len(critics) * pull
            + reconstruction_error
            + recipe.flow_loss_weight * flow_error
        )
        torch.nn.utils.clip_grad_norm_(network.decoder.parameters(), CLIP)
        torch.nn.utils.clip_grad_norm_(flow.trained(), FLOW_CLIP)
        optimiser.step()
        schedule.step()
        update_ema(average, drawer, recipe.ema_decay, step)
        totals += reconstruction_error.item(), flow_error.item()
        if step % EVERY and step != recipe.steps:
            continue
        errors = (totals / ((step - 1) % EVERY + 1)).tolist()
        progress = _finite(Progress(step, float(mismatch) / len(critics), *errors))
        states = {name: one.state_dict() for name, one in parts.items()}
        keep({"step": step, "random": random.get_state(), **states})
        report(progress)
        bar.set_postfix(mismatch=f"{progress.mismatch:.4f}", refresh=False)
        totals[:] = 0
    drawer.load_state_dict(average.state_dict())


def _finite(progress: Progress) -> Progress:
    found = progress.mismatch + progress.reconstruction_error + progress.flow_error
    if not math.isfinite(found):
        remedy = "Lower the learning rate."
        raise ExecutionError(f"step {progress.step}: error", found=found, expected="a number", remedy=remedy)
    return progress


class _Mismatch:
    """The running mean of the moments' differences. A batch says little of a moment, so what pulls is that mean."""

    def __init__(self, memory: float) -> None:
        self.memory = memory
        self.seen = 0
        self.means: list[Tensor] = []

    def pull(self, differences: list[Tensor]) -> Tensor:
        """What has the gradient of the mean's square, once the differences of a batch are part of it."""
        self.seen += 1
        keep = min(self.memory, self.seen / (self.seen + 10))
        new = [one.detach() for one in differences]
        self.means = [torch.lerp(one, mean, keep) for one, mean in zip(new, self.means or new, strict=True)]
        return torch.stack([2 * (mean * one).sum() for mean, one in zip(self.means, differences, strict=True)]).sum()

    def __float__(self) -> float:
        return sum(float((mean**2).sum()) for mean in self.means)

    def state_dict(self) -> State:
        """What it is, for load_state_dict."""
        return {"seen": self.seen, "means": self.means}

    def load_state_dict(self, state: State) -> None:
        """Go on from there."""
        self.seen, self.means = state["seen"], state["means"]
