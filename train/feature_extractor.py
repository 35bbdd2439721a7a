"""The feature extractor: a classifier whose features images are compared by. No generator is ever trained on what it says."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from ..data.datasets import LabelledImages
from ..recipes.feature_extractor import FeatureExtractorRecipe
from ..runtime.errors import InputError
from ..runtime.manifest import ImageSpec
from ..runtime.pixels import Shape, to_tensor
from ..runtime.threads import allowed_threads
from . import processes
from .networks import conv_norm
from .schedule import warm_cosine

UNIT = (0.0, 1.0)


class FeatureNetwork(nn.Module):
    """Image (n, C, H, W) in [0, 1] -> features (n, f) and logits of the classes (n, k).

    label_values: int64 (k,) in order, of each class the label of its images.
    """

    def __init__(
        self, shape: Shape, classes: int, recipe: FeatureExtractorRecipe, label_values: np.ndarray | None = None
    ) -> None:
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


def train_feature_extractor(
    recipe: FeatureExtractorRecipe,
    training: LabelledImages,
    validation: LabelledImages,
    *,
    threads: int | None = None,
    report: Callable[[int, float], None] = lambda epoch, accuracy: None,
) -> FeatureNetwork:
    """A network that tells the labels of the training images apart, as it is after the last epoch.

    report: called after every epoch with its number and the share of validation images that are told right.
    labels may have any values: the network's classes are those that occur in training, in order.
    Raises InputError when the training images have no labels or sides below 4.
    """
    labels, shape = training.labels, training.shape
    if labels is None:
        raise InputError("images", found="no labels", expected="labelled images")
    values, classes = np.unique(labels, return_inverse=True)
    if min(shape[1:]) < 4:
        raise InputError("images", found=f"sides of {shape[2]}x{shape[1]}", expected="sides of at least 4")
    torch.set_num_threads(threads or allowed_threads())
    device = processes.device()
    with processes.seeded(recipe.seed):
        network = FeatureNetwork(shape, len(values), recipe, values).to(device)
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
                moved = random_affine(images[rows], recipe, random).to(device)
                loss = functional.cross_entropy(network(moved)[1], targets[rows].to(device))
                optimiser.zero_grad(set_to_none=True)
                torch.autograd.backward(loss)
                optimiser.step()
                schedule.step()
            report(epoch, accuracy(network, validation))
    return network.cpu().eval()


def classification_accuracy_score(
    training: LabelledImages, test: LabelledImages, recipe: FeatureExtractorRecipe, *, threads: int | None = None
) -> float:
    """Accuracy on real images of a classifier trained on generated ones: do they hold what tells labels apart?

    training: generated, with the labels asked for; test: real. The floor is the same with real training images.
    Source: S. Ravuri, O. Vinyals, Classification Accuracy Score for Conditional Generative Models, 2019.
    """
    network = train_feature_extractor(recipe, training, training[:0], threads=threads)
    return accuracy(network, test)


def random_affine(images: Tensor, recipe: FeatureExtractorRecipe, random: Generator) -> Tensor:
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
def accuracy(network: FeatureNetwork, images: LabelledImages) -> float:
    """Fraction of images whose label is told right; NaN of none."""
    if not len(images):
        return math.nan
    network.eval()
    device = next(network.parameters()).device
    batches = torch.split(torch.from_numpy(_images(images)), 1000)
    predicted = [network(batch.to(device))[1].argmax(1).cpu().numpy() for batch in batches]
    return float(np.mean(network.label_values[np.concatenate(predicted)] == images.labels))


def _images(images: LabelledImages) -> np.ndarray:
    return to_tensor(images.images, ImageSpec(images.shape, UNIT))
