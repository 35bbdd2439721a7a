"""Moment matching: how flow and decoder are taught that what they draw looks, in the mean, like real pictures.

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

from ..runtime.errors import ExecutionError
from .archives import restoring
from .averaging import average_of, follow
from .flow import Flow
from .flow_matching import matching_error
from .objectives import Objective
from .perception import Critic
from .recipe import LARGEST_SEED, check_knobs
from .schedule import warm_cosine

EVERY = 250  # steps between two reports
State = dict[str, Any]
CLIP, FLOW_CLIP = 100.0, 1.0  # largest norm of a gradient, of decoder and flow; the first ones are the longest


@dataclass(frozen=True)
class RefinementRecipe:
    """What decides, together with a run and its prior, what refinement makes of them. Raises InputError for an unusable
    setting.
    """

    steps: int = 500  # of training
    batch_size: int = 128  # codes drawn in one step, and as many of real pictures
    learning_rate: float = 1e-4  # Adam's, at its peak; it rises and falls as in training an autoencoder
    warmup: float = 0.05  # share of all steps in which the rate rises
    weight: float = 100.0  # of the mismatch of moments, beside the reconstruction error
    anchor: float = 100.0  # of the flow's own error; without it the flow leaves the codes to please the classifier
    memory: float = 0.97  # share of its past that the running mean of the moments keeps in one step
    average: float = 0.998  # share of its past that the running mean of the weights keeps in one step
    flow_steps: int = 8  # evaluations of the flow for a code, as many as are exported
    classifiers: int = 3  # whose features are compared; a single one is pleased too soon
    lessons: int = 4  # epochs of each of them
    squares: bool = True  # whether shallow features match in mean square too: in contrast as in mean
    doubt: float = 0.0  # weight, beside a depth, of the classifiers' doubt of labels; more of it costs variety
    seed: int = 0  # of the classifiers, the codes drawn, the order of the pictures

    def __post_init__(self) -> None:
        rules = [
            (self.steps >= 1, "steps", "at least 1"),
            (self.batch_size >= 1, "batch_size", "at least 1"),
            (0 < self.learning_rate <= 1, "learning_rate", "a number above 0, to 1"),
            (0 <= self.warmup < 1, "warmup", "a share from 0 to below 1"),
            (self.weight >= 0, "weight", "a number from 0"),
            (self.anchor >= 0, "anchor", "a number from 0"),
            (0 <= self.memory < 1, "memory", "a share from 0 to below 1"),
            (0 <= self.average < 1, "average", "a share from 0 to below 1"),
            (self.flow_steps >= 1, "flow_steps", "at least 1"),
            (self.classifiers >= 1, "classifiers", "at least 1"),
            (self.lessons >= 1, "lessons", "at least 1"),
            (self.squares in (True, False), "squares", "true or false"),
            (self.doubt >= 0, "doubt", "a number from 0"),
            (0 <= self.seed < LARGEST_SEED, "seed", f"a whole number from 0 to {LARGEST_SEED - 1}"),
        ]
        check_knobs("refinement", self, rules)


@dataclass(frozen=True)
class Progress:
    """Where refinement stands.

    mismatch: mean squared difference of the moments from those of real pictures, in units of a feature's spread,
    summed over depths, the mean over classifiers. reconstruction_error: of training pictures, in the units of the
    recipe's loss. flow_error: of training codes, mean squared error of the velocity, per axis. Both are means since
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
    codes: Tensor,
    labels: Tensor,
    pictures: Callable[[Tensor], Tensor],
    critics: Sequence[Critic],
    *,
    resume: State | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    keep: Callable[[State], None] = lambda state: None,
) -> None:
    """Train a flow and the decoder of an objective's network, in place; encoder and norms' statistics stay as they are.

    codes (n, d), labels (n,): of real pictures; pictures: of rows of them, in the recipe's pixel range. critics: what
    compares them with pictures that are drawn. report: called every so many steps, and keep: with all that going on
    from there needs, which is what resume takes.
    The same arguments give the same weights on one machine with one number of threads, resumed or not.
    Raises InputError when `resume` is of another recipe, ExecutionError when an error is no longer a number.
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
    mismatch = _Mismatch(recipe.memory)
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
    n, size = len(codes), (recipe.batch_size,)
    totals = np.zeros(2)
    steps = range(done + 1, recipe.steps + 1)
    for step in (bar := tqdm(steps, desc="refine", unit=" steps", leave=False, disable=None)):
        rows, likes = (torch.randint(n, size, generator=random, device=device) for _ in range(2))
        noise = torch.randn((*size, codes.shape[1]), generator=random, device=device)
        asked = labels[likes]
        drawn = flow.carry(noise, asked, recipe.flow_steps)
        made, given_back = network.decoder(torch.cat([drawn, codes[rows]])).chunk(2)
        images = (network.activation(made) - low) / (high - low)
        pull = mismatch.pull([one for critic in critics for one in critic.differences(images, asked)])
        # What keeps decoder and flow what they are: pictures are given back, and codes are where those of pictures are.
        reconstruction_error = objective.reconstruction_error(given_back, pictures(rows))
        flow_error = matching_error(flow, white[rows], labels[rows], random)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(recipe.weight / len(critics) * pull + reconstruction_error + recipe.anchor * flow_error)
        torch.nn.utils.clip_grad_norm_(network.decoder.parameters(), CLIP)
        torch.nn.utils.clip_grad_norm_(flow.trained(), FLOW_CLIP)
        optimiser.step()
        schedule.step()
        follow(average, drawer, recipe.average, step)
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
