"""Flow matching: how a flow is taught.

Its velocity is taught the straight lines between random pairs of noise and codes; what it learns is their mean at every
place and time, which carries the one distribution into the other.
Source: X. Liu, C. Gong, Q. Liu, Flow Straight and Fast, 2023, equation 1; Y. Lipman et al., Flow Matching for
Generative Modeling, 2023.
"""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional
from tqdm import tqdm

from ..runtime.errors import ExecutionError, InputError
from ..runtime.session import allowed_threads
from . import processes
from .codes import Codes, moments
from .flow import Flow, FlowRecipe
from .schedule import warm_cosine

EVERY = 500  # steps between two validations
PROBES = 4  # times and noises for each held-out code; always the same, so that validations can be compared


@dataclass(frozen=True)
class Progress:
    """A validation. losses: mean squared error of the velocity, per axis; of the running mean when held out."""

    step: int
    train_loss: float
    held_out_loss: float


def train_flow(
    recipe: FlowRecipe,
    codes: Codes,
    held_out: Codes,
    labels: int,
    *,
    threads: int | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Flow:
    """A flow from N(0, I) to codes.

    labels: how many there are. The weights are the running mean that did best on the held-out codes. report: called
    after every validation.
    The same recipe and codes give the same flow on one machine with one number of threads.
    Raises InputError when no code has a known label, ExecutionError when the loss is no longer a number.
    """
    codes, held_out = codes.of_known_labels(labels), held_out.of_known_labels(labels)
    for part, name in ((codes, "training codes"), (held_out, "held-out codes")):
        if not len(part.labels):
            raise InputError(name, found="none with a label that is known", expected="at least one")
    torch.set_num_threads(threads or allowed_threads())
    device = processes.device()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        mean, factor = (torch.from_numpy(one.astype(np.float32)) for one in moments(codes.latent))
        flow = Flow(mean, factor, labels, recipe).to(device)
    average = copy.deepcopy(flow).requires_grad_(False)
    best, best_loss, best_step = copy.deepcopy(average), math.inf, 0
    random = Generator(device).manual_seed(recipe.seed)
    probes = [_pairs(*_whitened(held_out, flow, device), random) for _ in range(PROBES)]
    trained = [parameter for parameter in flow.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, warm_cosine(recipe.warmup, recipe.steps))
    batches = _batches(*_whitened(codes, flow, device), recipe.batch_size, random)
    total = 0.0
    for step in (bar := tqdm(range(1, recipe.steps + 1), desc="flow", unit=" steps", leave=False, disable=None)):
        x, t, label, velocity = _pairs(*next(batches), random)
        loss = functional.mse_loss(flow(x, t, label), velocity)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
        total += loss.item()
        # A short run would otherwise end with a mean of weights that were never any good.
        keep = min(recipe.average, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(average.parameters()), list(flow.parameters()), 1 - keep)
        if step % EVERY and step != recipe.steps:
            continue
        with torch.inference_mode():
            held_out_loss = np.mean([functional.mse_loss(average(*probe[:3]), probe[3]).item() for probe in probes])
        if not math.isfinite(held_out_loss):
            remedy = "Lower the learning rate."
            raise ExecutionError(f"step {step}: held-out loss", found=held_out_loss, expected="a number", remedy=remedy)
        if held_out_loss < best_loss:
            best, best_loss, best_step = copy.deepcopy(average), float(held_out_loss), step
        report(Progress(step, total / ((step - 1) % EVERY + 1), float(held_out_loss)))
        bar.set_postfix(held_out=f"{held_out_loss:.4f}", refresh=False)
        total = 0.0
        if step - best_step >= recipe.patience * EVERY:
            break
    return best.cpu().eval()


Pairs = tuple[Tensor, Tensor, Tensor, Tensor]


def _whitened(codes: Codes, flow: Flow, device: torch.device) -> tuple[Tensor, Tensor]:
    """Codes in the flow's coordinates, and their labels."""
    latent, labels = (torch.from_numpy(part).to(device) for part in (codes.latent, codes.labels))
    return flow.whiten(latent), labels


def _batches(x: Tensor, labels: Tensor, size: int, random: Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Whole batches without end, from one random order after the other; the end of an order is left out."""
    size = min(size, len(x))
    while True:
        order = torch.randperm(len(x), generator=random, device=random.device)
        for start in range(0, len(order) - size + 1, size):
            rows = order[start : start + size]
            yield x[rows], labels[rows]


def _pairs(codes: Tensor, labels: Tensor, random: Generator) -> Pairs:
    """Places x on straight lines from noise to codes, times t, labels, and the lines' velocities.

    Half the times are even over [0, 1], half gather around its middle, where there is most to learn (P. Esser et al.,
    Scaling Rectified Flow Transformers, 2024, section 3.1).
    """
    n, device = len(codes), random.device
    noise = torch.randn(codes.shape, generator=random, device=device)
    even, normal = (draw(n, generator=random, device=device) for draw in (torch.rand, torch.randn))
    t = torch.where(torch.arange(n, device=device) % 2 == 0, even, torch.sigmoid(normal))
    x = (1 - t[:, None]) * noise + t[:, None] * codes
    return x, t, labels, codes - noise
