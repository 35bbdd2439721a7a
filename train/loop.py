"""The training loop of autoencoders."""

import dataclasses
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor, nn
from tqdm import tqdm

from ..data.datasets import Dataset
from ..files.atomic import write_bytes
from ..files.locks import locked_folder
from ..files.temporary import clear_partial_files
from ..recipes.training import Recipe
from ..runtime.errors import ExecutionError, InputError
from ..runtime.manifest import ImageSpec
from ..runtime.pixels import Shape, to_tensor
from ..runtime.threads import allowed_threads
from . import checkpoint, processes
from .archives import restoring
from .checkpoint import BEST, LAST, Checkpoint, Epoch
from .corruption import corrupt
from .interrupts import uninterrupted
from .networks import Variational, build
from .objectives import Objective, kl_per_dimension
from .updates import Updates

METRICS = "metrics.jsonl"
VALIDATION_BATCH = 1000
MIN_ACTIVE_VARIANCE = 0.01  # a latent dimension is active if its posterior mean has a larger variance over images
ADAM_STATES = ("exp_avg", "exp_avg_sq")  # names of the tensors that AdamW keeps for each parameter


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
    """Train the recipe's network, and write `best.pt`, `last.pt` and `metrics.jsonl` to the folder `run`.

    data: name or path of the data set, stored in the checkpoints for the export. threads: number of CPU threads of
    torch, by default allowed_threads(). resume: the checkpoint `last.pt` of an interrupted run, to continue it. report:
    called after each epoch, once its files are written. On one machine with the same number of threads, the same recipe
    and data give the same weights, resumed or not. Under torchrun every process computes a part of each batch, and only
    the first process writes files. An interrupted run keeps the files of its last complete epoch. If a run was killed
    before it had written all files of an epoch, resuming writes the missing ones.
    Raises OutputError when `run` is not empty and `resume` is None, or when another process writes to `run`; InputError
    when `resume` has no training state, or another recipe or data; ExecutionError when the loss is not finite.
    """
    if resume is not None:
        _check_resumable(resume, recipe, dataset)
    torch.set_num_threads(threads or allowed_threads())
    with _run_folder(run, resumed=resume is not None):
        with processes.seeded(recipe.seed):
            objective = Objective(build(recipe, dataset.shape), recipe).to(processes.device())
        optimiser = torch.optim.AdamW(
            objective.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        steps = math.ceil(len(dataset.train) / recipe.batch_size) * recipe.epochs
        updates = Updates(optimiser, recipe.warmup, steps)
        history: list[Epoch] = []
        if resume is not None:
            _restore(resume, objective, updates)
            history += resume.history
            if processes.is_first():
                with uninterrupted():
                    _save_derived(run, dataclasses.replace(resume, data=data, facts=dataset.facts, training=None))
        model = processes.distribute(objective)
        for number in range(len(history) + 1, recipe.epochs + 1):
            train_loss = train_epoch(model, updates, recipe, dataset.train.images, dataset.shape, number)
            validation = validate(objective, recipe, dataset.validation.images, dataset.shape)
            epoch = _epoch(number, train_loss, validation, objective.penalty_weight, updates.learning_rate)
            history.append(epoch)
            if processes.is_first():
                state = Checkpoint(recipe, dataset.shape, data, dataset.facts, tuple(history), objective.state_dict())
                with uninterrupted():  # an interruption between two writes would leave files of different epochs
                    checkpoint.save(dataclasses.replace(state, training=updates.state_dict()), run / LAST)
                    _save_derived(run, state)
                    report(epoch)
    return history


def train_epoch(
    model: nn.Module, updates: Updates, recipe: Recipe, images: np.ndarray, shape: Shape, epoch: int
) -> float:
    """Train for one pass over images, uint8 (n, H, W[, 3]). Returns the mean loss per image.

    model: the objective, as `processes.distribute` returns it. shape: (C, H, W). epoch: its number, from 1. This number
    and the recipe's seed determine all random numbers, so a resumed run repeats them.
    """
    model.train()
    order, random = _random_numbers(recipe.seed, epoch)
    rows = order.permutation(len(images))
    starts = range(0, len(rows), recipe.batch_size)
    ramp_steps = recipe.beta_warmup * len(starts) * recipe.epochs
    total = 0.0
    title = f"epoch {epoch}/{recipe.epochs}"
    hidden = None if processes.is_first() else True
    with tqdm(total=len(rows), desc=title, unit=" images", unit_scale=True, leave=False, disable=hidden) as bar:
        for start in starts:
            batch = rows[start : start + recipe.batch_size]
            batch_rows, counted = processes.rows_of_process(batch)
            ramp = min(1.0, updates.step / max(1.0, ramp_steps)) if recipe.beta_warmup else 1.0
            inputs, targets, noise = batch_tensors(images[batch_rows], recipe, shape, random)
            with processes.precision():
                _, _, loss = model(inputs, targets, noise, ramp)
            # With this factor, the mean of the processes' gradients is the gradient of the mean loss over the batch.
            fraction = counted * processes.count() / len(batch)
            updates.apply(loss * fraction, (model.parameters(), recipe.clip))
            total += loss.item() * counted
            bar.set_postfix(loss=f"{loss.item():.2f}", refresh=False)
            bar.update(len(batch))
    return processes.total(total) / len(rows)


@dataclass(frozen=True)
class Validation:
    """Mean losses on the validation images, and statistics of a VAE. `Epoch` in checkpoint.py describes the fields."""

    reconstruction: float
    penalty: float
    kl_per_dimension: tuple[float, ...] = ()
    active_units: int | None = None


@torch.inference_mode()
def validate(objective: Objective, recipe: Recipe, images: np.ndarray, shape: Shape) -> Validation:
    """Compute an objective's mean losses on validation images, uint8 (n, H, W[, 3]). shape: (C, H, W) of an image.

    Corruption and a VAE's noise have the same seed in every epoch, so that the losses of epochs can be compared.
    """
    objective.eval()
    random = Generator(processes.device()).manual_seed(recipe.seed)
    reconstruction = penalty = 0.0
    means, kl = [], torch.zeros(recipe.latent_dim)
    for start in range(0, len(images), VALIDATION_BATCH):
        inputs, targets, noise = batch_tensors(images[start : start + VALIDATION_BATCH], recipe, shape, random)
        terms = objective(inputs, targets, noise)
        reconstruction += terms[0].item() * len(inputs)
        penalty += terms[1].item() * len(inputs)
        if isinstance(objective.network, Variational):
            mean, logvar = objective.network.posterior(inputs)
            means.append(mean)
            kl += kl_per_dimension(mean, logvar).cpu() * len(inputs)
    n = len(images)
    if not means:
        return Validation(reconstruction / n, penalty / n)
    active = int((torch.cat(means).var(0, correction=0) > MIN_ACTIVE_VARIANCE).sum())
    return Validation(reconstruction / n, penalty / n, tuple((kl / n).tolist()), active)


def batch_tensors(images: np.ndarray, recipe: Recipe, shape: Shape, random: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Convert images, uint8 (n, H, W[, 3]), to the network's input, its target, and a VAE's noise.

    Input and target are float32 (n, C, H, W) in the recipe's pixel range; the input is corrupted if the recipe says so.
    The noise of a VAE is standard normal (n, d); for other models it is empty, (n, 0).
    """
    low, high = recipe.pixel_range
    clean = torch.from_numpy(to_tensor(images, ImageSpec(shape, (0.0, 1.0)))).to(random.device)
    corrupted = corrupt(clean, recipe.corruption, recipe.strength, random)
    size = (len(images), recipe.latent_dim if recipe.kind == "vae" else 0)
    noise = torch.randn(size, generator=random, device=random.device)
    return corrupted * (high - low) + low, clean * (high - low) + low, noise


def _random_numbers(seed: int, epoch: int) -> tuple[np.random.Generator, Generator]:
    """Create the two random generators of an epoch.

    The first shuffles the images. It depends only on the seed and the epoch's number, so it is the same in every
    process. The second generates corruption and a VAE's noise. It also depends on the rank of the process.
    """
    (noise_seed,) = np.random.SeedSequence([seed, epoch, processes.rank()]).generate_state(1, np.uint64)
    noise = Generator(processes.device()).manual_seed(int(noise_seed >> np.uint64(1)))
    return np.random.default_rng([seed, epoch]), noise


def _epoch(
    number: int, train_loss: float, validation: Validation, penalty_weight: float, learning_rate: float
) -> Epoch:
    """Build the Epoch that holds an epoch's results. Raises ExecutionError when the validation loss is not finite."""
    loss = validation.reconstruction + penalty_weight * validation.penalty
    if not math.isfinite(loss):
        remedy = "Lower the learning rate."
        raise ExecutionError(f"epoch {number}: validation loss", found=loss, expected="a number", remedy=remedy)
    return Epoch(
        epoch=number,
        train_loss=train_loss,
        validation_loss=loss,
        learning_rate=learning_rate,
        **vars(validation),
    )


@contextmanager
def _run_folder(run: Path, *, resumed: bool) -> Iterator[None]:
    """Create a run's folder, lock it against other processes, and remove temporary files that a killed run left in it.

    The folder stays locked until the block ends. Under torchrun only the first process does this. resumed: whether the
    folder may hold the files of an earlier run. Raises OutputError when it is not empty and `resumed` is False.
    """
    if not processes.is_first():
        yield
        return
    with locked_folder(run):
        clear_partial_files(run, (LAST, BEST, METRICS), resumed=resumed)
        yield


def _save_derived(run: Path, state: Checkpoint) -> None:
    """Write `metrics.jsonl`, and `best.pt` if the last epoch is the best so far.

    The caller writes `last.pt` first, with the same results. So if the process is killed between the files, resuming
    can write the others again.
    """
    if state.validation_loss == min(epoch.validation_loss for epoch in state.history):
        checkpoint.save(state, run / BEST)
    lines = "".join(json.dumps(dataclasses.asdict(epoch)) + "\n" for epoch in state.history)
    write_bytes(run / METRICS, lines.encode())


def _check_resumable(last: Checkpoint, recipe: Recipe, dataset: Dataset) -> None:
    """Raise InputError when training cannot be resumed from a checkpoint with this recipe and data set."""
    last.check_same_data(dataset)
    if last.training is None:
        remedy = "Train anew, into another folder."
        expected = f"the training state that {LAST} of a run holds"
        raise InputError(last.file, found="a checkpoint without a training state", expected=expected, remedy=remedy)
    names = [field.name for field in dataclasses.fields(recipe)]
    changed = [name for name in names if getattr(recipe, name) != getattr(last.recipe, name)]
    if changed:
        expected = "the recipe that the run was begun with"
        raise InputError(last.file, found=f"another {', another '.join(changed)}", expected=expected)


def _restore(last: Checkpoint, objective: Objective, updates: Updates) -> None:
    """Restore the training state of a checkpoint. Raises InputError when it does not fit the checkpoint's recipe."""
    subject, expected = f"{last.file}: training state", "that of its recipe"
    with restoring(subject, expected):
        objective.load_state_dict(last.state_dict)
        updates.load_state_dict(last.training or {})
        states = updates.optimiser.state
        pairs = [(parameter, states[parameter][name]) for parameter in objective.parameters() for name in ADAM_STATES]
        fits = all(parameter.shape == state.shape for parameter, state in pairs)
    if not fits or len(last.history) != last.epoch:
        raise InputError(subject, found="another", expected=expected)
