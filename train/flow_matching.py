"""Flow matching: how a flow is taught.

Its velocity is taught the straight lines between random pairs of noise and latents; what it learns is their mean at every
place and time, which carries the one distribution into the other.
Source: X. Liu, C. Gong, Q. Liu, Flow Straight and Fast, 2023, equation 1; Y. Lipman et al., Flow Matching for
Generative Modeling, 2023.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional
from tqdm import tqdm

from ..recipes.flow import FlowRecipe
from ..runtime.errors import ExecutionError, InputError
from ..runtime.threads import allowed_threads
from . import processes
from .archives import restoring
from .ema import ema_of, update_ema
from .flow import Flow
from .latents import EncodedLatents, moments
from .schedule import warm_cosine

EVERY = 500  # steps between two validations
PROBES = 4  # times and noises for each held-out code; always the same, so that validations can be compared

State = dict[str, Any]


@dataclass(frozen=True)
class Progress:
    """A validation. losses: mean squared error of the velocity, per axis; of the running mean when held out."""

    step: int
    train_loss: float
    held_out_loss: float


def train_flow(
    recipe: FlowRecipe,
    latents: EncodedLatents,
    held_out: EncodedLatents,
    labels: int,
    *,
    threads: int | None = None,
    resume: State | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    keep: Callable[[State], None] = lambda state: None,
) -> tuple[Flow, Progress]:
    """A flow from N(0, I) to latents, and the validation at which it was best.

    labels: how many there are. The weights are the running mean that did best on the held-out latents. report: called
    after every validation, and keep: with all that going on from there needs, which is what resume takes.
    The same recipe and latents give the same flow on one machine with one number of threads, resumed or not.
    Raises InputError when no code has a known label or `resume` is of another recipe, ExecutionError when the loss is
    no longer a number.
    """
    latents, held_out = latents.of_known_labels(labels), held_out.of_known_labels(labels)
    for part, name in ((latents, "training latents"), (held_out, "held-out latents")):
        if not len(part.labels):
            raise InputError(name, found="none with a label that is known", expected="at least one")
    torch.set_num_threads(threads or allowed_threads())
    device = processes.device()
    with processes.seeded(recipe.seed):
        mean, factor = (torch.from_numpy(one.astype(np.float32)) for one in moments(latents.latent))
        flow = Flow(mean, factor, labels, recipe).to(device)
    average, best, best_progress = ema_of(flow), ema_of(flow), Progress(0, math.inf, math.inf)
    random = Generator(device).manual_seed(recipe.seed)
    probes = [_pairs(*_whitened(held_out, flow, device), random) for _ in range(PROBES)]
    optimiser = torch.optim.AdamW(flow.trained(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, warm_cosine(recipe.warmup, recipe.steps))
    batches = _Batches(*_whitened(latents, flow, device), recipe.batch_size, random)
    parts: State = {
        "flow": flow,
        "average": average,
        "best": best,
        "optimiser": optimiser,
        "schedule": schedule,
        "batches": batches,
    }
    done = 0
    if resume is not None:
        with restoring("training of the flow", "one of its recipe and latents"):
            for name, one in parts.items():
                one.load_state_dict(resume[name])
            done, best_progress = int(resume["step"]), Progress(**resume["best_progress"])
    total = 0.0
    steps = range(done + 1, recipe.steps + 1)
    for step in (bar := tqdm(steps, desc="flow", unit=" steps", leave=False, disable=None)):
        if step - 1 - best_progress.step >= recipe.patience * EVERY:
            break
        loss = matching_error(flow, *batches.next(), random)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
        total += loss.item()
        update_ema(average, flow, recipe.ema_decay, step)
        if step % EVERY and step != recipe.steps:
            continue
        with torch.inference_mode():
            held_out_loss = np.mean([functional.mse_loss(average(*probe[:3]), probe[3]).item() for probe in probes])
        if not math.isfinite(held_out_loss):
            remedy = "Lower the learning rate."
            raise ExecutionError(f"step {step}: held-out loss", found=held_out_loss, expected="a number", remedy=remedy)
        progress = Progress(step, total / ((step - 1) % EVERY + 1), float(held_out_loss))
        if progress.held_out_loss < best_progress.held_out_loss:
            best_progress = progress
            best.load_state_dict(average.state_dict())
        states = {name: one.state_dict() for name, one in parts.items()}
        keep({"step": step, "best_progress": dataclasses.asdict(best_progress), **states})
        report(progress)
        bar.set_postfix(held_out=f"{held_out_loss:.4f}", refresh=False)
        total = 0.0
    return best.cpu().eval(), best_progress


def matching_error(flow: Flow, latents: Tensor, labels: Tensor, random: Generator) -> Tensor:
    """Mean squared error of the velocity, per axis (), on lines from drawn noise to latents (n, d) of labels (n,).

    latents: in the flow's coordinates.
    """
    x, t, label, velocity = _pairs(latents, labels, random)
    return functional.mse_loss(flow(x, t, label), velocity)


Pairs = tuple[Tensor, Tensor, Tensor, Tensor]


def _whitened(latents: EncodedLatents, flow: Flow, device: torch.device) -> tuple[Tensor, Tensor]:
    """Latents in the flow's coordinates, and their labels."""
    latent, labels = (torch.from_numpy(part).to(device) for part in (latents.latent, latents.labels))
    return flow.whiten(latent), labels


class _Batches:
    """Whole batches without end, from one random order after the other; the end of an order is left out."""

    def __init__(self, x: Tensor, labels: Tensor, size: int, random: Generator) -> None:
        self.x, self.labels, self.size, self.random = x, labels, min(size, len(x)), random
        self.order, self.start = torch.empty(0, dtype=torch.int64), 0

    def next(self) -> tuple[Tensor, Tensor]:
        """The next latents and their labels."""
        if self.start + self.size > len(self.order):
            self.order = torch.randperm(len(self.x), generator=self.random, device=self.random.device)
            self.start = 0
        rows = self.order[self.start : self.start + self.size]
        self.start += self.size
        return self.x[rows], self.labels[rows]

    def state_dict(self) -> State:
        """Where it stands, with the state of the random numbers that training shares with it."""
        return {"order": self.order, "start": self.start, "random": self.random.get_state()}

    def load_state_dict(self, state: State) -> None:
        """Go on from there."""
        self.order, self.start = state["order"].to(self.x.device), state["start"]
        self.random.set_state(state["random"])


def _pairs(latents: Tensor, labels: Tensor, random: Generator) -> Pairs:
    """Places x on straight lines from noise to latents, times t, labels, and the lines' velocities.

    Half the times are even over [0, 1], half gather around its middle, where there is most to learn (P. Esser et al.,
    Scaling Rectified Flow Transformers, 2024, section 3.1).
    """
    n, device = len(latents), random.device
    noise = torch.randn(latents.shape, generator=random, device=device)
    even, normal = (draw(n, generator=random, device=device) for draw in (torch.rand, torch.randn))
    t = torch.where(torch.arange(n, device=device) % 2 == 0, even, torch.sigmoid(normal))
    x = (1 - t[:, None]) * noise + t[:, None] * latents
    return x, t, labels, latents - noise
