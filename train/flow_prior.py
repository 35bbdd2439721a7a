"""Train the flow prior by flow matching.

Straight lines connect random pairs of noise and latents. The network learns the mean velocity of the lines at each
point and time. This velocity field moves the distribution of the noise to the distribution of the latents.
Source: X. Liu, C. Gong, Q. Liu, Flow Straight and Fast, 2023, equation 1; Y. Lipman et al., Flow Matching for
Generative Modeling, 2023.
"""

import copy
import dataclasses
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from ..recipes.learned_priors import FlowRecipe
from ..runtime.errors import ExecutionError, InputError
from . import processes
from .archives import State, Stateful
from .ema import ema_of
from .flow import Flow, random_lines
from .latents import EncodedLatents, moments
from .loop import Training, run
from .prior_network import Progress
from .updates import Updates

INTERVAL = 500  # training steps between evaluations
EVALUATION_PASSES = 4  # an evaluation pairs each held-out latent with this many random noise vectors and times


def train(
    recipe: FlowRecipe,
    latents: EncodedLatents,
    held_out: EncodedLatents,
    num_classes: int,
    *,
    threads: int | None = None,
    resume: State | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    keep: Callable[[State], None] = lambda state: None,
) -> tuple[Flow, Progress]:
    """Train a flow from N(0, I) to latents. Returns the flow and its losses.

    The flow has the EMA of the weights from the evaluation with the lowest held-out loss. Latents with a class index of
    num_classes, which stands for labels without a class, are skipped. report: called after every evaluation. keep:
    called before `report` with the whole state of the training, which the caller may save. resume: a state that
    `keep` received, to continue from. On one machine with the same number of threads, the same recipe and latents give
    the same flow, resumed or not.
    Raises InputError when no training or no held-out latent has a class, or when `resume` is from another recipe;
    ExecutionError when the held-out loss is not finite.
    """
    latents, held_out = latents.of_known_classes(num_classes), held_out.of_known_classes(num_classes)
    for part, name in ((latents, "training latents"), (held_out, "held-out latents")):
        if not len(part.latent):
            raise InputError(name, found="none of a known class", expected="at least one")
    processes.set_up(threads)
    training = FlowTraining(recipe, latents, held_out, num_classes)
    run(training, resume=resume, keep=lambda state, progress: keep(state), report=report)
    return training.best.cpu().eval(), training.best_progress


def build(recipe: FlowRecipe, state_dict: dict[str, Tensor], num_classes: int) -> Flow:
    """Rebuild a trained flow from its tensors. The length of `mean` (d,) gives the latent dimension.

    Raises KeyError or torch's errors when the tensors do not fit the recipe.
    """
    flow = Flow(state_dict["mean"], state_dict["factor"], num_classes, recipe)
    flow.load_state_dict(state_dict)
    return flow.eval()


class FlowTraining(Training[Progress]):
    """A flow in training, the EMA of its weights, and a copy of the EMA at the best evaluation so far.

    latents, held_out: latents to train on and to evaluate with; all their class indices must belong to a class.
    """

    def __init__(self, recipe: FlowRecipe, latents: EncodedLatents, held_out: EncodedLatents, num_classes: int) -> None:
        self.title, self.interval = "flow", INTERVAL
        self.recipe = recipe
        device = processes.device()
        with processes.seeded(recipe.seed):
            mean, factor = (torch.from_numpy(moment.astype(np.float32)) for moment in moments(latents.latent))
            self.flow = Flow(mean, factor, num_classes, recipe).to(device)
        self.ema = ema_of(self.flow, recipe.ema_decay)
        self.best = copy.deepcopy(self.flow).requires_grad_(False)
        self.best_progress = Progress(0, math.inf, math.inf)
        random = Generator(device).manual_seed(recipe.seed)
        x_1, classes = _tensors(held_out, self.flow, device)
        self.held_out_lines = [random_lines(x_1, classes, random) for _ in range(EVALUATION_PASSES)]
        self.batches = _Batches(*_tensors(latents, self.flow, device), recipe.batch_size, random)
        optimiser = torch.optim.AdamW(
            self.flow.trained_parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        self.updates = Updates(optimiser, recipe.warmup, recipe.steps)
        self._losses: list[Tensor] = []  # training loss of each step since the last evaluation

    def update(self) -> None:
        """Do one step of AdamW on the flow-matching loss of the next batch, and update the EMA of the weights."""
        loss = self.flow.training_loss(*self.batches.next(), self.batches.random)
        self.updates.apply(loss)
        self.ema.update_parameters(self.flow)
        self._losses.append(loss.detach())

    @torch.inference_mode()
    def evaluate(self) -> Progress:
        """Compute the held-out loss of the EMA of the weights. If it is the lowest so far, copy the EMA to `best`.

        Raises ExecutionError when the loss is not finite.
        """
        errors = [
            functional.mse_loss(self.ema.module(x, t, classes), velocity).item()
            for x, t, classes, velocity in self.held_out_lines
        ]
        held_out_loss = float(np.mean(errors))
        if not math.isfinite(held_out_loss):
            subject, remedy = f"step {self.step}: held-out loss", "Lower the learning rate."
            raise ExecutionError(subject, found=held_out_loss, expected="a number", remedy=remedy)
        progress = Progress(self.step, torch.stack(self._losses).mean().item(), held_out_loss)
        if held_out_loss < self.best_progress.held_out_loss:
            self.best_progress = progress
            self.best.load_state_dict(self.ema.module.state_dict())
        self._losses = []
        return progress

    def is_finished(self) -> bool:
        """Whether all steps are done, or none of the last `patience` evaluations improved the held-out loss."""
        exhausted = self.step - self.best_progress.step >= self.recipe.patience * self.interval
        return exhausted or super().is_finished()

    def parts(self) -> dict[str, Stateful]:
        """The flow, the EMA of its weights, the best EMA, the optimiser, and the batches with the random generator."""
        names = ("flow", "ema", "best", "updates", "batches")
        return {name: getattr(self, name) for name in names}

    def state_dict(self) -> State:
        """The states of the parts, and the losses of the best evaluation."""
        return {"best_progress": dataclasses.asdict(self.best_progress), **super().state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Restore a state that `state_dict` returned. Raises InputError when it is damaged or of another training."""
        super().load_state_dict(state)
        self.best_progress = Progress(**state["best_progress"])


def _tensors(latents: EncodedLatents, flow: Flow, device: torch.device) -> tuple[Tensor, Tensor]:
    """Convert latents to two tensors on a device: normalised latents (n, d) and class indices int64 (n,)."""
    latent, classes = (torch.from_numpy(part).to(device) for part in (latents.latent, latents.class_indices))
    return flow.normalise(latent), classes


class _Batches:
    """An endless sequence of batches of normalised latents and class indices, in a new random order in each pass.

    x: all latents (n, d). class_indices: int64 (n,). All batches have the same size. If the last latents of a pass are
    too few for a batch, they are skipped.
    """

    def __init__(self, x: Tensor, class_indices: Tensor, size: int, random: Generator) -> None:
        self.x, self.class_indices = x, class_indices
        self.size, self.random = min(size, len(x)), random
        self.order, self.start = torch.empty(0, dtype=torch.int64), 0

    def next(self) -> tuple[Tensor, Tensor]:
        """The next batch: latents (size, d) and their class indices (size,)."""
        if self.start + self.size > len(self.order):
            self.order = torch.randperm(len(self.x), generator=self.random, device=self.random.device)
            self.start = 0
        rows = self.order[self.start : self.start + self.size]
        self.start += self.size
        return self.x[rows], self.class_indices[rows]

    def state_dict(self) -> State:
        """The order of the latents, the next batch's position in it, and the state of the random generator."""
        return {"order": self.order, "start": self.start, "random": self.random.get_state()}

    def load_state_dict(self, state: State) -> None:
        """Restore a state that `state_dict` returned."""
        self.order, self.start = state["order"].to(self.x.device), state["start"]
        self.random.set_state(state["random"])
