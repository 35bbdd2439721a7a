"""The training loop, from top to bottom."""

import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..runtime.errors import ExecutionError, OutputError
from ..runtime.files import taken, write_bytes
from ..runtime.manifest import ImageSpec
from ..runtime.pixels import to_tensor
from ..runtime.session import allowed_threads
from . import checkpoint
from .checkpoint import BEST, LAST, Checkpoint
from .datasets import Dataset
from .interrupts import uninterrupted
from .models import EncoderDecoder, build
from .objectives import Objective, objective
from .recipe import Recipe

METRICS = "metrics.jsonl"
VALIDATION_BATCH = 1000


@dataclass(frozen=True)
class Epoch:
    """One line of `metrics.jsonl`. Losses are in the units of the recipe's loss; seconds leave validation out."""

    epoch: int
    train_loss: float
    validation_loss: float
    learning_rate: float
    seconds: float
    pictures_per_second: float


def train(
    recipe: Recipe,
    dataset: Dataset,
    run: Path,
    *,
    data: str = "",
    threads: int | None = None,
    report: Callable[[Epoch], None] = lambda epoch: None,
) -> list[Epoch]:
    """Train the recipe's network and leave `best.pt`, `last.pt` and `metrics.jsonl` in the folder `run`.

    data: how to find the data set again, kept for the export. threads: torch's, by default the cores allowed. report:
    called after every epoch, when its files are written. The same recipe and data give the same weights on one machine
    with one number of threads.
    Raises OutputError when `run` is taken, ExecutionError when the loss is no longer a number. An interrupted run
    keeps the files of its last whole epoch.
    """
    if taken(run):
        raise OutputError(str(run), found="something there already", expected="a new folder", remedy="Choose another.")
    torch.set_num_threads(threads or allowed_threads())

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = build(recipe, dataset.shape)
    steps = math.ceil(len(dataset.train) / recipe.batch_size)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, warm_cosine(recipe.warmup, steps * recipe.epochs))
    loss = objective(recipe)
    image = ImageSpec(dataset.shape, recipe.pixel_range)
    run.mkdir(parents=True, exist_ok=True)

    history: list[Epoch] = []
    for number in range(1, recipe.epochs + 1):
        began = time.perf_counter()
        order = np.random.default_rng([recipe.seed, number])
        batches = shuffled(dataset.train.images, recipe.batch_size, image, order)
        title = f"epoch {number}/{recipe.epochs}"
        train_loss = train_epoch(network, loss, optimiser, schedule, batches, recipe.clip, len(dataset.train), title)
        seconds = time.perf_counter() - began
        epoch = Epoch(
            epoch=number,
            train_loss=train_loss,
            validation_loss=mean_loss(network, loss, dataset.validation.images, image),
            learning_rate=float(schedule.get_last_lr()[0]),
            seconds=seconds,
            pictures_per_second=len(dataset.train) / seconds,
        )
        if not math.isfinite(epoch.validation_loss):
            remedy = "Lower the learning rate."
            raise ExecutionError(
                f"{title}: validation loss", found=epoch.validation_loss, expected="a number", remedy=remedy
            )
        history.append(epoch)
        weights = network.state_dict()
        state = Checkpoint(recipe, dataset.shape, data, dataset.facts, number, epoch.validation_loss, weights)
        with uninterrupted():  # the files of an epoch belong together
            checkpoint.save(state, run / LAST)
            if epoch.validation_loss == min(past.validation_loss for past in history):
                checkpoint.save(state, run / BEST)
            lines = "".join(json.dumps(dataclasses.asdict(past)) + "\n" for past in history)
            write_bytes(run / METRICS, lines.encode())
            report(epoch)
    return history


def train_epoch(
    network: EncoderDecoder,
    loss: Objective,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    batches: Iterator[Tensor],
    clip: float,
    pictures: int,
    title: str,
) -> float:
    """One pass over the training pictures, with a bar on a terminal. Returns the mean loss of a picture."""
    network.train()
    total = 0.0
    with tqdm(total=pictures, desc=title, unit=" pictures", unit_scale=True, leave=False, disable=None) as bar:
        for images in batches:
            optimiser.zero_grad(set_to_none=True)
            error = loss(network(images), images)
            error.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
            optimiser.step()
            schedule.step()
            total += error.item() * len(images)
            bar.set_postfix(loss=f"{error.item():.2f}", refresh=False)
            bar.update(len(images))
    return total / pictures


@torch.inference_mode()
def mean_loss(network: EncoderDecoder, loss: Objective, pictures: np.ndarray, image: ImageSpec) -> float:
    """The mean loss of a picture, over uint8 pictures (n, H, W[, 3])."""
    network.eval()
    total = 0.0
    for start in range(0, len(pictures), VALIDATION_BATCH):
        images = torch.from_numpy(to_tensor(pictures[start : start + VALIDATION_BATCH], image))
        total += loss(network(images), images).item() * len(images)
    return total / len(pictures)


def shuffled(pictures: np.ndarray, batch_size: int, image: ImageSpec, order: np.random.Generator) -> Iterator[Tensor]:
    """Every uint8 picture once, in a random order, as tensors (n, C, H, W) in the network's range."""
    rows = order.permutation(len(pictures))
    for start in range(0, len(rows), batch_size):
        yield torch.from_numpy(to_tensor(pictures[rows[start : start + batch_size]], image))


def warm_cosine(warmup: float, steps: int) -> Callable[[int], float]:
    """Share of the peak learning rate at a step: a linear rise, then half a cosine down to zero.

    Source: I. Loshchilov, F. Hutter, SGDR, 2017, equation 5, without restarts.
    """
    rise = warmup * steps

    def rate(step: int) -> float:
        if step < rise:
            return (step + 1) / (rise + 1)
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))

    return rate
