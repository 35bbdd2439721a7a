"""Distillation: train a network to compute in one evaluation the latents that a flow computes in many.

The flow is a deterministic function of its noise, so its map from noise to latents can be learned by regression.
Source: E. Luhman, T. Luhman, Knowledge Distillation in Iterative Generative Models, 2021.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Generator, Tensor
from torch.nn import functional

from ..recipes.distillation import DistillationRecipe
from ..runtime.errors import ExecutionError, InputError
from . import processes
from .archives import RandomState, State, Stateful, digest
from .ema import ema_of
from .flow import Flow
from .flow_map import FlowMap
from .loop import Training, run
from .prior_network import Progress
from .priors import LearnedPrior, beside
from .unfinished import read_unfinished, save_unfinished
from .updates import Updates

INTERVAL = 1000  # training steps between evaluations
HELD_OUT_PAIRS = 8192  # number of pairs that are kept from training, to measure the error
BATCH = 4096  # number of pairs that the flow computes at once
SUFFIX = "-distilling.pt"


@dataclass(frozen=True)
class Pairs:
    """Noise and the normalised latents that a flow makes of it: noise and latents (n, d), class_indices int64 (n,)."""

    noise: Tensor
    class_indices: Tensor
    latents: Tensor

    def rows(self, rows: Tensor | slice) -> tuple[Tensor, Tensor, Tensor]:
        """Noise, class indices and latents of some pairs, chosen by their indices or a slice."""
        return self.noise[rows], self.class_indices[rows], self.latents[rows]


def distill(
    prior: LearnedPrior,
    recipe: DistillationRecipe,
    *,
    threads: int | None = None,
    resume: State | None = None,
    note: Callable[[str], None] = lambda line: None,
    report: Callable[[Progress], None] = lambda progress: None,
    keep: Callable[[State], None] = lambda state: None,
) -> LearnedPrior:
    """Train a network to do in one evaluation what a run's flow does in many. Returns a prior with network and flow.

    prior: a flow, or a flow that is already distilled; its flow is then distilled anew. note: called with a message
    before the pairs are computed. report: called every INTERVAL steps and after the last step. keep: called at the same
    steps with the whole state of the training, which the caller may save. resume: a state that `keep` received, to
    continue from. On one machine with the same number of threads, the same flow and recipe give the same network,
    resumed or not.
    Raises InputError when the prior is no flow, ExecutionError when the error is not finite.
    """
    flow = teacher(prior)
    processes.set_up(threads)
    note(f"{recipe.pairs:,} pairs of noise and latent ...")
    training = Distillation(flow.to(processes.device()), recipe)
    run(training, resume=resume, keep=lambda state, progress: keep(state), report=report)
    last = training.evaluate()
    network = cast(FlowMap, training.ema.module).cpu().eval()
    return prior.after(recipe, network, step=last.step, loss=last.held_out_loss)


def teacher(prior: LearnedPrior) -> Flow:
    """The flow of a prior, which distillation learns from. Raises InputError when the prior is no flow."""
    network = prior.network.flow if isinstance(prior.network, FlowMap) else prior.network
    if not isinstance(network, Flow):
        raise InputError("prior", found=prior.name, expected="a flow, which can be distilled")
    return network


class Distillation(Training[Progress]):
    """A distilled flow in training, and the EMA of its weights."""

    def __init__(self, flow: Flow, recipe: DistillationRecipe) -> None:
        self.title, self.interval = "distillation", INTERVAL
        self.recipe = recipe
        with processes.seeded(recipe.seed):
            self.network = FlowMap(flow, recipe).to(flow.mean.device)
        self.ema = ema_of(self.network, recipe.ema_decay)
        self.random = Generator(flow.mean.device).manual_seed(recipe.seed)
        self.pairs = computed_pairs(flow, recipe.pairs, recipe.evaluations, self.random)
        self.held_out = computed_pairs(flow, HELD_OUT_PAIRS, recipe.evaluations, self.random)
        optimiser = torch.optim.AdamW(
            self.network.trained_parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        self.updates = Updates(optimiser, recipe.warmup, recipe.steps)
        self._losses: list[Tensor] = []  # training loss of each step since the last evaluation

    def update(self) -> None:
        """Do one step of AdamW on random pairs, and update the EMA of the weights."""
        size, device = (self.recipe.batch_size,), self.random.device
        rows = torch.randint(self.recipe.pairs, size, generator=self.random, device=device)
        noise, class_indices, latents = self.pairs.rows(rows)
        loss = functional.mse_loss(self.network(noise, class_indices), latents)
        self.updates.apply(loss)
        self.ema.update_parameters(self.network)
        self._losses.append(loss.detach())

    @torch.inference_mode()
    def evaluate(self) -> Progress:
        """Compute the error of the EMA of the weights on held-out pairs. Raises ExecutionError if it is not finite."""
        noise, class_indices, latents = self.held_out.rows(slice(None))
        error = functional.mse_loss(self.ema.module(noise, class_indices), latents).item()
        if not math.isfinite(error):
            subject, remedy = f"step {self.step}: held-out error", "Lower the learning rate."
            raise ExecutionError(subject, found=error, expected="a number", remedy=remedy)
        progress = Progress(self.step, torch.stack(self._losses).mean().item() if self._losses else math.nan, error)
        self._losses = []
        return progress

    def parts(self) -> dict[str, Stateful]:
        """The network, the EMA of its weights, the optimiser, and the random generator."""
        names = ("network", "ema", "updates")
        return {**{name: getattr(self, name) for name in names}, "random": RandomState(self.random)}


@torch.no_grad()
def computed_pairs(flow: Flow, count: int, evaluations: int, random: Generator) -> Pairs:
    """Random noise and classes, and the normalised latents that a flow computes from them.

    count: number of pairs. evaluations: evaluations of the flow for each latent. All classes are equally frequent.
    """
    device = random.device
    noise = torch.randn((count, flow.latent_dim), generator=random, device=device)
    class_indices = torch.randint(max(flow.num_classes, 1), (count,), generator=random, device=device)
    batches = zip(torch.split(noise, BATCH), torch.split(class_indices, BATCH), strict=True)
    return Pairs(noise, class_indices, torch.cat([flow.transport(*batch, evaluations) for batch in batches]))


def training_beside(run: Path) -> Path:
    """Return the path of the file that stores the state of an unfinished distillation of a run's or checkpoint's flow.

    run: the run's folder, or a checkpoint file.
    """
    target = beside(run)
    return target.with_name(f"{target.stem}{SUFFIX}")


def save_training(state: State, recipe: DistillationRecipe, prior: LearnedPrior, path: Path) -> None:
    """Write the state of an unfinished distillation to a file, atomically."""
    save_unfinished(path, recipe, _fingerprints(prior), state)


def read_training(path: Path, prior: LearnedPrior) -> tuple[DistillationRecipe, State]:
    """Read the recipe and the state of an unfinished distillation of this prior.

    Raises NotFoundError when there is no such file, InputError when it is damaged or belongs to another flow.
    """
    return read_unfinished(path, [DistillationRecipe], _fingerprints(prior), "an unfinished distillation of this run")


def _fingerprints(prior: LearnedPrior) -> dict[str, str]:
    """Return the fingerprint of the flow that a distillation learns from."""
    return {"flow": digest(teacher(prior).state_dict())}
