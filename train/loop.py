"""The training loop, from top to bottom."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor
from tqdm import tqdm

from ..data.datasets import Dataset
from ..files.atomic import clear_partial_files, write_bytes
from ..recipes.training import Recipe
from ..runtime.errors import ExecutionError, InputError
from ..runtime.manifest import ImageSpec
from ..runtime.pixels import to_tensor
from ..runtime.threads import allowed_threads
from . import checkpoint, processes
from .archives import restoring
from .checkpoint import BEST, LAST, Checkpoint, Epoch
from .corruption import corrupt
from .interrupts import uninterrupted
from .networks import Variational, build
from .objectives import Objective, kl_per_dimension
from .schedule import warm_cosine

METRICS = "metrics.jsonl"
VALIDATION_BATCH = 1000
ACTIVE = 0.01  # variance of a posterior mean above which its axis counts as used
MOMENTS = ("exp_avg", "exp_avg_sq")  # what AdamW keeps of each parameter


def train(
    recipe: Recipe,
    dataset: Dataset,
    run: Path,
    *,
    data: str = "",
    threads: int | None = None,
    resume: Checkpoint | None = None,
    report: Callable[[Epoch], None] = lambda epoch: None,
) -> list[Epoch]:
    """Train the recipe's network and leave `best.pt`, `last.pt` and `metrics.jsonl` in the folder `run`.

    data: how to find the data set again, kept for the export. threads: torch's, by default the cores allowed. resume:
    the last checkpoint of a run that was cut off, which goes on as if it had not been. report: called after every
    epoch, when its files are written. The same recipe and data give the same weights on one machine with one number of
    threads, resumed or not.
    Under torchrun every process takes its share of each batch, and the first one writes.
    Raises OutputError when `run` is taken and nothing is resumed, InputError when what is resumed carries no training
    state or is of another recipe or other data, ExecutionError when the loss is no longer a number.
    An interrupted run keeps the files of its last whole epoch. Of one that was killed, resuming makes whatever is
    missing; it removes partial files that the run left, so a run is never resumed twice at the same time.
    """
    if resume is not None:
        _check_resumable(resume, recipe, dataset)
    if processes.is_first():
        clear_partial_files(run, (LAST, BEST, METRICS), resumed=resume is not None)
    torch.set_num_threads(threads or allowed_threads())
    device = processes.device()
    with processes.seeded(recipe.seed):
        objective = Objective(build(recipe, dataset.shape), recipe).to(device)
    optimiser = torch.optim.AdamW(
        objective.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    steps = math.ceil(len(dataset.train) / recipe.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, warm_cosine(recipe.warmup, steps * recipe.epochs))
    history: list[Epoch] = []
    if resume is not None:
        _restore(resume, objective, optimiser, schedule)
        history += resume.history
        if processes.is_first():
            with uninterrupted():
                write_beside_last(run, dataclasses.replace(resume, data=data, facts=dataset.facts, training=None))
    shared = processes.shared(objective)
    run.mkdir(parents=True, exist_ok=True)

    for number in range(len(history) + 1, recipe.epochs + 1):
        random = Random(recipe.seed, number, device)
        train_loss = train_epoch(shared, recipe, optimiser, schedule, dataset.train.images, dataset.shape, random)
        reconstruction, penalty, axes, active = validate(objective, recipe, dataset.validation.images, dataset.shape)
        epoch = Epoch(
            epoch=number,
            train_loss=train_loss,
            validation_loss=reconstruction + objective.weight * penalty,
            reconstruction=reconstruction,
            penalty=penalty,
            kl_per_dimension=axes,
            active_units=active,
            learning_rate=float(schedule.get_last_lr()[0]),
        )
        if not math.isfinite(epoch.validation_loss):
            found, remedy = epoch.validation_loss, "Lower the learning rate."
            raise ExecutionError(f"epoch {number}: validation loss", found=found, expected="a number", remedy=remedy)
        history.append(epoch)
        if processes.is_first():
            state = Checkpoint(recipe, dataset.shape, data, dataset.facts, tuple(history), objective.state_dict())
            training = {"optimiser": optimiser.state_dict(), "schedule": schedule.state_dict()}
            with uninterrupted():  # the files of an epoch belong together
                checkpoint.save(dataclasses.replace(state, training=training), run / LAST)
                write_beside_last(run, state)
                report(epoch)
    return history


def write_beside_last(run: Path, state: Checkpoint) -> None:
    """Write what follows from `last.pt`: `metrics.jsonl`, and `best.pt` if its epoch is the best so far.

    `last.pt` is written before them, so whatever a kill leaves out, resuming can make of it.
    """
    if state.validation_loss == min(epoch.validation_loss for epoch in state.history):
        checkpoint.save(state, run / BEST)
    lines = "".join(json.dumps(dataclasses.asdict(epoch)) + "\n" for epoch in state.history)
    write_bytes(run / METRICS, lines.encode())


def _check_resumable(last: Checkpoint, recipe: Recipe, dataset: Dataset) -> None:
    """Raise InputError when a checkpoint is not one that training with a recipe on a data set goes on from."""
    last.check_same_data(dataset)
    if last.training is None:
        remedy = "Train anew, into another folder."
        expected = f"the training state that {LAST} of a run carries"
        raise InputError(last.file, found="weights without a training state", expected=expected, remedy=remedy)
    changed = [
        field.name
        for field in dataclasses.fields(recipe)
        if getattr(recipe, field.name) != getattr(last.recipe, field.name)
    ]
    if changed:
        expected = "the recipe that the run was begun with"
        raise InputError(last.file, found=f"another {', another '.join(changed)}", expected=expected)


def _restore(
    last: Checkpoint,
    objective: Objective,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> None:
    """Put the states of a checkpoint back. Raises InputError when they are not those of its recipe."""
    training = last.training or {}
    subject, expected = f"{last.file}: training state", "that of its recipe"
    with restoring(subject, expected):
        objective.load_state_dict(last.state_dict)
        optimiser.load_state_dict(training["optimiser"])
        schedule.load_state_dict(training["schedule"])
        moments = [(one, optimiser.state[one][name]) for one in objective.parameters() for name in MOMENTS]
        fits = all(one.shape == moment.shape for one, moment in moments)
    if not fits or len(last.history) != last.epoch:
        raise InputError(subject, found="another", expected=expected)


class Random:
    """The random numbers of one epoch, which depend on the seed and the epoch's number and on nothing drawn before.

    order: of the images, the same in every process. noise: for corruption and a VAE's samples, of each its own.
    """

    def __init__(self, seed: int, epoch: int, device: torch.device) -> None:
        self.order = np.random.default_rng([seed, epoch])
        (state,) = np.random.SeedSequence([seed, epoch, processes.rank()]).generate_state(1, np.uint64)
        self.noise = Generator(device).manual_seed(int(state >> np.uint64(1)))


def train_epoch(
    shared: torch.nn.Module,
    recipe: Recipe,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    images: np.ndarray,
    shape: tuple[int, int, int],
    random: Random,
) -> float:
    """One pass over the training images, with a bar on a terminal. Returns the mean loss of a image."""
    shared.train()
    total = 0.0
    rows = random.order.permutation(len(images))
    steps = range(0, len(rows), recipe.batch_size)
    title = f"epoch {schedule.last_epoch // len(steps) + 1}/{recipe.epochs}"
    hidden = None if processes.is_first() else True
    with tqdm(total=len(rows), desc=title, unit=" images", unit_scale=True, leave=False, disable=hidden) as bar:
        for start in steps:
            batch = rows[start : start + recipe.batch_size]
            share, counted = processes.share(batch)
            ramp = min(1.0, schedule.last_epoch / max(1.0, recipe.beta_warmup * len(steps) * recipe.epochs))
            seen, target, noise = batch_tensors(images[share], recipe, shape, random.noise)
            optimiser.zero_grad(set_to_none=True)
            with processes.precision():
                _, _, loss = shared(seen, target, noise, ramp if recipe.beta_warmup else 1.0)
            # Processes average their gradients evenly, so each mean is weighted by its share of the batch.
            (loss * (counted * processes.count() / len(batch))).backward()
            torch.nn.utils.clip_grad_norm_(shared.parameters(), recipe.clip)
            optimiser.step()
            schedule.step()
            total += loss.item() * counted
            bar.set_postfix(loss=f"{loss.item():.2f}", refresh=False)
            bar.update(len(batch))
    return processes.total(total) / len(rows)


@torch.inference_mode()
def validate(
    objective: Objective, recipe: Recipe, images: np.ndarray, shape: tuple[int, int, int]
) -> tuple[float, float, tuple[float, ...], int | None]:
    """Reconstruction error and penalty of a image, and of a VAE the KL of each axis and the number of active units.

    Corruption and samples are drawn from the same seed every time, so that epochs can be compared.
    """
    objective.eval()
    random = Generator(processes.device()).manual_seed(recipe.seed)
    reconstruction = penalty = 0.0
    means, axes = [], torch.zeros(recipe.latent_dim)
    for start in range(0, len(images), VALIDATION_BATCH):
        seen, target, noise = batch_tensors(images[start : start + VALIDATION_BATCH], recipe, shape, random)
        terms = objective(seen, target, noise)
        reconstruction += terms[0].item() * len(seen)
        penalty += terms[1].item() * len(seen)
        if isinstance(objective.network, Variational):
            mean, logvar = objective.network.posterior(seen)
            means.append(mean)
            axes += kl_per_dimension(mean, logvar).cpu() * len(seen)
    n = len(images)
    if not means:
        return reconstruction / n, penalty / n, (), None
    active = int((torch.cat(means).var(0, correction=0) > ACTIVE).sum())
    return reconstruction / n, penalty / n, tuple((axes / n).tolist()), active


def batch_tensors(
    images: np.ndarray, recipe: Recipe, shape: tuple[int, int, int], random: Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """What the network is shown, what it is to give back, and a VAE's noise (n, d), of uint8 images."""
    low, high = recipe.pixel_range
    clean = torch.from_numpy(to_tensor(images, ImageSpec(shape, (0.0, 1.0)))).to(random.device)
    seen = corrupt(clean, recipe.corruption, recipe.strength, random)
    size = (len(images), recipe.latent_dim if recipe.kind == "vae" else 0)
    noise = torch.randn(size, generator=random, device=random.device)
    return seen * (high - low) + low, clean * (high - low) + low, noise
