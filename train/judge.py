"""The judge: a classifier whose features pictures are compared by. No generator is ever trained on what it says."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from ..data.datasets import Pictures
from ..runtime.errors import InputError
from ..runtime.manifest import ImageSpec
from ..runtime.pixels import Shape, to_tensor
from ..runtime.threads import allowed_threads
from . import processes
from .models import conv_norm
from .schedule import warm_cosine

UNIT = (0.0, 1.0)


@dataclass(frozen=True)
class JudgeRecipe:
    """What decides, together with the data, what a judge is. Its pictures are turned, scaled and moved at random."""

    features: int = 128  # units of the layer whose values pictures are compared by
    channels: int = 24  # at the full side; twice and four times as many at a half and a quarter of it
    epochs: int = 15  # passes over the training pictures
    batch_size: int = 128  # pictures in one step
    learning_rate: float = 2e-3  # AdamW's, at its peak
    warmup: float = 0.15  # share of all steps in which the rate rises
    weight_decay: float = 1e-2  # AdamW's, decoupled from the rate
    dropout: float = 0.3  # share of the features that a step leaves out
    turn: float = 0.2  # largest angle in radians
    zoom: float = 0.12  # largest change of size, as a share
    shift: float = 0.1  # largest move, as a share of the side
    seed: int = 0  # of the initial weights, the order of the pictures and all chance


class JudgeNetwork(nn.Module):
    """Image (n, C, H, W) in [0, 1] -> features (n, f) and logits of the classes (n, k).

    label_values: int64 (k,) in order, of each class the label of its images.
    """

    def __init__(self, shape: Shape, classes: int, recipe: JudgeRecipe, label_values: np.ndarray | None = None) -> None:
        super().__init__()
        self.labels = classes
        self.label_values = np.arange(classes) if label_values is None else label_values
        self.features = features(shape, recipe.channels, recipe.features)
        self.classes = nn.Sequential(nn.Dropout(recipe.dropout), nn.Linear(recipe.features, classes))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (n, C, H, W) -> features (n, f) and logits (n, k)."""
        seen = self.features(images)
        return seen, self.classes(seen)


def features(shape: Shape, width: int, units: int) -> nn.Sequential:
    """Image -> features, halving the side twice.

    image (n, 1, 28, 28) -> (n, w, 28, 28) -> (n, 2w, 14, 14) -> (n, 4w, 7, 7) -> features (n, f)
    """
    channels, height, breadth = shape
    return nn.Sequential(
        *conv_norm(channels, width), nn.ReLU(), nn.MaxPool2d(2),
        *conv_norm(width, 2 * width), nn.ReLU(), *conv_norm(2 * width, 2 * width), nn.ReLU(), nn.MaxPool2d(2),
        *conv_norm(2 * width, 4 * width), nn.ReLU(), *conv_norm(4 * width, 4 * width), nn.ReLU(),
        nn.Flatten(), nn.Linear(4 * width * (height // 4) * (breadth // 4), units), nn.ReLU(),
    )  # fmt: skip


def train_judge(
    recipe: JudgeRecipe,
    training: Pictures,
    validation: Pictures,
    *,
    threads: int | None = None,
    report: Callable[[int, float], None] = lambda epoch, accuracy: None,
) -> JudgeNetwork:
    """A network that tells the labels of the training pictures apart, as it is after the last epoch.

    report: called after every epoch with its number and the share of validation pictures that are told right.
    labels may have any values: the network's classes are those that occur in training, in order.
    Raises InputError when the training images have no labels or sides below 4.
    """
    labels, shape = training.labels, training.shape
    if labels is None:
        raise InputError("pictures", found="no labels", expected="labelled pictures")
    values, classes = np.unique(labels, return_inverse=True)
    if min(shape[1:]) < 4:
        raise InputError("pictures", found=f"sides of {shape[2]}x{shape[1]}", expected="sides of at least 4")
    torch.set_num_threads(threads or allowed_threads())
    device = processes.device()
    with processes.seeded(recipe.seed):
        network = JudgeNetwork(shape, len(values), recipe, values).to(device)
        images, targets = torch.from_numpy(_images(training)), torch.from_numpy(classes)
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        steps = -(-len(labels) // recipe.batch_size) * recipe.epochs
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, warm_cosine(recipe.warmup, steps))
        random = Generator().manual_seed(recipe.seed)
        for epoch in range(1, recipe.epochs + 1):
            network.train()
            batches = torch.split(torch.randperm(len(labels), generator=random), recipe.batch_size)
            for rows in tqdm(batches, desc=f"epoch {epoch}/{recipe.epochs}", leave=False, disable=None):
                moved = jiggle(images[rows], recipe, random).to(device)
                loss = functional.cross_entropy(network(moved)[1], targets[rows].to(device))
                optimiser.zero_grad(set_to_none=True)
                torch.autograd.backward(loss)
                optimiser.step()
                schedule.step()
            report(epoch, accuracy(network, validation))
    return network.cpu().eval()


def usefulness(training: Pictures, test: Pictures, recipe: JudgeRecipe, *, threads: int | None = None) -> float:
    """Accuracy on real pictures of a classifier trained on generated ones: do they hold what tells labels apart?

    training: generated, with the labels asked for; test: real. The floor is the same with real training pictures.
    Source: S. Ravuri, O. Vinyals, Classification Accuracy Score for Conditional Generative Models, 2019.
    """
    network = train_judge(recipe, training, training[:0], threads=threads)
    return accuracy(network, test)


def jiggle(images: Tensor, recipe: JudgeRecipe, random: Generator) -> Tensor:
    """Images (n, C, H, W), each turned, scaled and moved a little, black coming in at the border."""

    def draw(*shape: int) -> Tensor:
        return 2 * torch.rand(shape, generator=random) - 1

    n = len(images)
    angle, size = recipe.turn * draw(n), 1 + recipe.zoom * draw(n)
    cosine, sine = torch.cos(angle) / size, torch.sin(angle) / size
    turned = torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)
    maps = torch.cat([turned, 2 * recipe.shift * draw(n, 2, 1)], 2)
    grid = functional.affine_grid(maps, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


@torch.inference_mode()
def accuracy(network: JudgeNetwork, pictures: Pictures) -> float:
    """Fraction of images whose label is told right; NaN of none."""
    if not len(pictures):
        return math.nan
    network.eval()
    device = next(network.parameters()).device
    batches = torch.split(torch.from_numpy(_images(pictures)), 1000)
    told = [network(batch.to(device))[1].argmax(1).cpu().numpy() for batch in batches]
    return float(np.mean(network.label_values[np.concatenate(told)] == pictures.labels))


def _images(pictures: Pictures) -> np.ndarray:
    return to_tensor(pictures.images, ImageSpec(pictures.shape, UNIT))
