"""Train an autoencoder: minimise its reconstruction error and the penalty of its latents."""

import dataclasses
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from ..data.datasets import Dataset
from ..files.atomic import write_bytes
from ..files.locks import locked_folder
from ..files.temporary import clear_partial_files
from ..recipes.history import METRICS, MIN_ACTIVE_VARIANCE, Epoch
from ..recipes.settled import settled
from ..recipes.training import Recipe
from ..runtime.errors import ExecutionError, InputError
from . import checkpoint, processes
from .archives import State, Stateful
from .checkpoint import BEST, LAST, Checkpoint
from .corruption import corrupt
from .interrupts import uninterrupted
from .loop import Training, run
from .networks import build
from .objectives import Losses, Objective, kl_per_dimension
from .pixels import scaled, unit_tensor
from .updates import Updates

VALIDATION_BATCH = 1000


def train(
    recipe: Recipe,
    dataset: Dataset,
    folder: Path,
    *,
    data: str = "",
    threads: int | None = None,
    resume: Checkpoint | None = None,
    report: Callable[[Epoch], None] = lambda epoch: None,
) -> list[Epoch]:
    """Train the recipe's network, and write `best.pt`, `last.pt` and `metrics.jsonl` to the run's folder.

    The checkpoints hold the recipe with the numbers of epochs and levels that suit the images (recipes/settled.py).
    data: name or path of the data set, stored in the checkpoints for the export. threads: number of CPU threads of
    torch, by default allowed_threads(). resume: the checkpoint `last.pt` of an interrupted run, to continue it. report:
    called after each epoch, once its files are written. On one machine with the same number of threads, the same recipe
    and data give the same weights, resumed or not. Under torchrun every process computes a part of each batch, and only
    the first process writes files. An interrupted run keeps the files of its last complete epoch. If a run was killed
    before it had written all files of an epoch, resuming writes the missing ones.
    Raises OutputError when `folder` is not empty and `resume` is None, or when another process writes to it; InputError
    when `resume` has no training state, or another recipe or data; ExecutionError when the loss is not finite.
    """
    if resume is not None:
        _check_resumable(resume, recipe, dataset)
    processes.set_up(threads)
    with _run_folder(folder, resumed=resume is not None):
        training = AutoencoderTraining(recipe, dataset)

        def keep(state: State, epoch: Epoch) -> None:
            """Write the files of an epoch, first `last.pt`, from which resuming writes the others if they are lost."""
            history, tensors = tuple(training.history), training.objective.state_dict()
            stored = training.recipe, dataset.shape, data, dataset.facts, history, tensors
            last = Checkpoint(*stored, threads=torch.get_num_threads(), reading=dataset.reading)
            training_state = {name: state[name] for name in state if name != "objective"}  # `last` holds the objective
            checkpoint.save(dataclasses.replace(last, training=training_state), folder / LAST)
            _save_derived(folder, last)

        if resume is not None:
            training.history += resume.history
            training.load_state_dict({**(resume.training or {}), "objective": resume.state_dict})
            if processes.is_first():
                with uninterrupted():
                    last = dataclasses.replace(resume, data=data, facts=dataset.facts, training=None)
                    _save_derived(folder, last)
        run(training, keep=keep, report=report)
    return training.history


class AutoencoderTraining(Training[Epoch]):
    """An autoencoder in training. An evaluation follows each epoch, which is one pass over the training images.

    The recipe's seed and an epoch's number determine all random numbers of the epoch, so a resumed run repeats them.
    """

    def __init__(self, recipe: Recipe, dataset: Dataset) -> None:
        self.title = "autoencoder"
        self.recipe = recipe = settled(recipe, len(dataset.train), dataset.shape)
        self.dataset = dataset
        with processes.seeded(recipe.seed):
            network = build(recipe, dataset.shape)
            self.objective = processes.placed(Objective(network, recipe))
        self.interval = math.ceil(len(dataset.train) / recipe.batch_size)
        optimiser = torch.optim.AdamW(
            self.objective.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        self.updates = Updates(optimiser, recipe.warmup, self.interval * recipe.epochs)
        self.history: list[Epoch] = []
        self._model = processes.distribute(self.objective)
        self._order, self._random = np.empty(0, np.int64), Generator(processes.device())
        # For each step of the epoch: its mean loss and the two terms of the loss, float (3,), and its number of images.
        self._losses: list[tuple[Tensor, int]] = []

    def update(self) -> None:
        """Do one step of AdamW on the loss of the next batch."""
        index = self.step % self.interval
        if index == 0:
            self._begin_epoch()
        batch = self._order[index * self.recipe.batch_size :][: self.recipe.batch_size]
        rows, counted = processes.rows_of_process(batch)
        inputs, targets, noise = batch_tensors(self.dataset.train.images[rows], self.recipe, self._random)
        with processes.precision():
            losses: Losses = self._model(inputs, targets, noise, self._ramp())
        # The gradients of all processes are averaged. This factor makes their mean the gradient of the mean loss over
        # the whole batch, even if the processes have different numbers of images.
        fraction = counted * processes.count() / len(batch)
        self.updates.apply(losses.total * fraction, (self._model.parameters(), self.recipe.clip))
        terms = torch.stack([losses.total, losses.reconstruction, losses.penalty]).detach()
        self._losses.append((terms, counted))

    @torch.inference_mode()
    def evaluate(self) -> Epoch:
        """Measure the losses on the validation images, and add the finished epoch to `history`.

        Corruption and a VAE's noise have the same seed in every epoch, so that the losses of epochs can be compared.
        Raises ExecutionError when the validation loss is not finite.
        """
        recipe, images = self.recipe, self.dataset.validation.images
        self.objective.eval()
        random = Generator(processes.device()).manual_seed(recipe.seed)
        reconstruction = penalty = 0.0
        means, kl = [], torch.zeros(recipe.latent_dim)
        for start in range(0, len(images), VALIDATION_BATCH):
            batch = images[start : start + VALIDATION_BATCH]
            losses: Losses = self.objective(*batch_tensors(batch, recipe, random))
            reconstruction += losses.reconstruction.item() * len(batch)
            penalty += losses.penalty.item() * len(batch)
            means.append(losses.mean)
            if losses.logvar is not None:
                kl += kl_per_dimension(losses.mean, losses.logvar).cpu() * len(batch)
        variances = torch.cat(means).var(0, correction=0)
        n, is_vae = len(images), recipe.kind == "vae"
        train_loss, train_reconstruction, train_penalty = self._mean_train_losses()
        epoch = Epoch(
            epoch=self.step // self.interval,
            train_loss=train_loss,
            train_reconstruction=train_reconstruction,
            train_penalty=train_penalty,
            validation_loss=(reconstruction + self.objective.penalty_weight * penalty) / n,
            reconstruction=reconstruction / n,
            penalty=penalty / n,
            kl_per_dimension=tuple((kl / n).tolist()) if is_vae else (),
            variance_per_dimension=tuple(variances.tolist()),
            active_units=int((variances > MIN_ACTIVE_VARIANCE).sum()) if is_vae else None,
            learning_rate=self.updates.learning_rate,
        )
        if not math.isfinite(epoch.validation_loss):
            subject, remedy = f"epoch {epoch.epoch}: validation loss", "Lower the learning rate."
            raise ExecutionError(subject, found=epoch.validation_loss, expected="a number", remedy=remedy)
        self.history.append(epoch)
        return epoch

    def parts(self) -> dict[str, Stateful]:
        """The network with its loss, and the optimiser.

        The number of steps so far determines the next batches and their noise, so no random generator is among the
        parts.
        """
        return {"objective": self.objective, "updates": self.updates}

    def _begin_epoch(self) -> None:
        """Shuffle the training images, and seed the random numbers of the epoch.

        All processes get the same order of images. Each process draws its own corruption, and its own noise for a VAE.
        """
        seed, epoch = self.recipe.seed, self.step // self.interval + 1
        self.objective.train()
        self._order = np.random.default_rng([seed, epoch]).permutation(len(self.dataset.train))
        (noise_seed,) = np.random.SeedSequence([seed, epoch, processes.rank()]).generate_state(1, np.uint64)
        self._random.manual_seed(int(noise_seed >> np.uint64(1)))

    def _ramp(self) -> float:
        """The factor in [0, 1] for the penalty's weight at this step. It rises linearly during the warm-up of beta."""
        ramp_steps = self.recipe.beta_warmup * self.updates.steps
        return min(1.0, self.step / max(1.0, ramp_steps)) if self.recipe.beta_warmup else 1.0

    def _mean_train_losses(self) -> tuple[float, float, float]:
        """The mean training loss per image of the epoch, and its two terms, over all processes."""
        losses, self._losses = self._losses, []
        sums = [0.0, 0.0, 0.0]
        for terms, counted in losses:
            sums = [total + term * counted for total, term in zip(sums, terms.tolist(), strict=True)]
        loss, reconstruction, penalty = (processes.total(total) / len(self.dataset.train) for total in sums)
        return loss, reconstruction, penalty


def batch_tensors(images: np.ndarray, recipe: Recipe, random: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Convert images, uint8 (n, H, W[, 3]), to the network's input, its target, and a VAE's noise.

    Input and target are float32 (n, C, H, W) in the recipe's pixel range; the input is corrupted if the recipe says so.
    The noise of a VAE is standard normal (n, d); for other models it is empty, (n, 0).
    """
    clean = unit_tensor(images, random.device)
    target = scaled(clean, recipe.pixel_range)
    corrupted = corrupt(clean, recipe.corruption, recipe.strength, random)
    inputs = target if corrupted is clean else scaled(corrupted, recipe.pixel_range)
    size = (len(images), recipe.latent_dim if recipe.kind == "vae" else 0)
    return inputs, target, torch.randn(size, generator=random, device=random.device)


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


def _save_derived(run: Path, last: Checkpoint) -> None:
    """Write the files that follow from `last.pt`: `metrics.jsonl`, and `best.pt` if the last epoch is the best so far.

    last: the content of `last.pt` without the training state.
    """
    if last.validation_loss == min(epoch.validation_loss for epoch in last.history):
        checkpoint.save(last, run / BEST)
    lines = "".join(json.dumps(dataclasses.asdict(epoch)) + "\n" for epoch in last.history)
    write_bytes(run / METRICS, lines.encode())


def _check_resumable(last: Checkpoint, recipe: Recipe, dataset: Dataset) -> None:
    """Raise InputError when training cannot be resumed from a checkpoint with this recipe and data set."""
    last.check_same_data(dataset)
    if last.training is None or len(last.history) != last.epoch:
        remedy = "Train anew, into another folder."
        expected = f"the training state that {LAST} of a run holds"
        raise InputError(last.file, found="a checkpoint without a training state", expected=expected, remedy=remedy)
    names = [field.name for field in dataclasses.fields(recipe)]
    requested, begun_with = (settled(each, len(dataset.train), dataset.shape) for each in (recipe, last.recipe))
    changed = [name for name in names if getattr(requested, name) != getattr(begun_with, name)]
    if changed:
        expected = "the recipe that the run was begun with"
        raise InputError(last.file, found=f"another {', another '.join(changed)}", expected=expected)
