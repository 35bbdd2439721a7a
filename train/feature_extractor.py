"""Train the feature extractor, a classifier whose features measure how similar images are.

The feature extractor evaluates generators. Generators are never trained with it, so that its measurements stay
independent of their training.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from ..data.datasets import Dataset
from ..data.images import LabelledImages
from ..recipes.feature_extractor import FeatureExtractorRecipe
from ..runtime.errors import InputError
from ..runtime.pixels import Shape
from . import processes
from .archives import RandomState, State, Stateful
from .loop import Training, run
from .networks import conv_norm
from .pixels import unit_tensor
from .unfinished import read_unfinished, save_unfinished
from .updates import Updates

UNIT = (0.0, 1.0)  # lowest and highest pixel value of the classifier's input
MIN_SIDE = 4  # minimum height and width of an image in pixels, because the network halves both twice
TEST_BATCH = 1000


@dataclass(frozen=True)
class FeatureProgress:
    """The state of a classifier's training: the number of epochs so far, and the accuracy on the validation images."""

    epoch: int
    accuracy: float


class FeatureNetwork(nn.Module):
    """A classifier: images (n, C, H, W) in [0, 1] -> features (n, f) and class logits (n, k).

    label_values: the label of each class, int64 (k,) in ascending order; by default 0 to k - 1.
    """

    def __init__(
        self, shape: Shape, num_classes: int, recipe: FeatureExtractorRecipe, label_values: np.ndarray | None = None
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.label_values = np.arange(num_classes) if label_values is None else label_values
        self.layers = feature_layers(shape, recipe.channels, recipe.features)
        self.head = nn.Sequential(nn.Dropout(recipe.dropout), nn.Linear(recipe.features, num_classes))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (n, C, H, W) in [0, 1] -> features (n, f) and class logits (n, k)."""
        features = self.layers(images)
        return features, self.head(features)


def feature_layers(shape: Shape, channels: int, features: int) -> nn.Sequential:
    """Build the layers that compute features from images. They halve height and width twice.

    Shapes for 28x28 grey images, with c for `channels` and f for `features`:
    image (n, 1, 28, 28) -> (n, c, 28, 28) -> (n, 2c, 14, 14) -> (n, 4c, 7, 7) -> features (n, f)
    """
    image_channels, height, width = shape
    return nn.Sequential(
        *conv_norm(image_channels, channels), nn.ReLU(), nn.MaxPool2d(2),
        *conv_norm(channels, 2 * channels), nn.ReLU(),
        *conv_norm(2 * channels, 2 * channels), nn.ReLU(), nn.MaxPool2d(2),
        *conv_norm(2 * channels, 4 * channels), nn.ReLU(),
        *conv_norm(4 * channels, 4 * channels), nn.ReLU(),
        nn.Flatten(), nn.Linear(4 * channels * (height // 4) * (width // 4), features), nn.ReLU(),
    )  # fmt: skip


def train_feature_extractor(
    recipe: FeatureExtractorRecipe,
    training: LabelledImages,
    validation: LabelledImages,
    *,
    threads: int | None = None,
    resume: State | None = None,
    report: Callable[[FeatureProgress], None] = lambda progress: None,
    keep: Callable[[State], None] = lambda state: None,
) -> FeatureNetwork:
    """Train a classifier on labelled images. Returns the network of the last epoch, on the CPU, in evaluation mode.

    Labels may be any integers: the classes are the labels that occur in `training`, in ascending order. threads: number
    of CPU threads of torch, by default allowed_threads(). report: called after each epoch. keep: called before `report`
    with the whole state of the training, which the caller may save. resume: a state that `keep` received, to continue
    from.
    Raises InputError when the training images have no labels, or a height or width below MIN_SIDE.
    """
    shape = training.shape
    if min(shape[1:]) < MIN_SIDE:
        found, expected = f"sides of {shape[2]}x{shape[1]}", f"sides of at least {MIN_SIDE}"
        raise InputError("images", found=found, expected=expected)
    processes.set_up(threads)
    stage = FeatureTraining(recipe, training, validation)
    run(stage, resume=resume, keep=lambda state, progress: keep(state), report=report)
    network: FeatureNetwork = stage.network.cpu().eval()
    return network


def save_training(state: State, recipe: FeatureExtractorRecipe, dataset: Dataset, path: Path) -> None:
    """Write the state of an unfinished training of a feature extractor to a file, atomically."""
    save_unfinished(path, recipe, _fingerprints(dataset), state)


def read_training(path: Path, dataset: Dataset) -> tuple[FeatureExtractorRecipe, State]:
    """Read the recipe and the state of an unfinished training of a feature extractor.

    Raises NotFoundError when there is no such file, InputError when it is damaged or belongs to other data.
    """
    expected = "an unfinished training of a feature extractor on these images"
    return read_unfinished(path, [FeatureExtractorRecipe], _fingerprints(dataset), expected)


class FeatureTraining(Training[FeatureProgress]):
    """A classifier in training. An evaluation follows each epoch, which is one pass over the training images."""

    def __init__(self, recipe: FeatureExtractorRecipe, training: LabelledImages, validation: LabelledImages) -> None:
        self.title = "classifier"
        self.recipe, self.images, self.validation = recipe, training.images, validation
        self.device = processes.device()
        if training.labels is None:
            raise InputError("images", found="no labels", expected="labelled images")
        values, classes = np.unique(training.labels, return_inverse=True)
        self.classes = torch.from_numpy(classes)
        with processes.seeded(recipe.seed):
            self.network = processes.placed(FeatureNetwork(training.shape, len(values), recipe, values))
        optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        self.interval = math.ceil(len(classes) / recipe.batch_size)
        self.updates = Updates(optimiser, recipe.warmup, self.interval * recipe.epochs)
        self.random = Generator().manual_seed(recipe.seed)
        self.order = torch.empty(0, dtype=torch.int64)

    def update(self) -> None:
        """Do one step of AdamW on the cross entropy of the next batch, whose images are randomly transformed."""
        index, size = self.step % self.interval, self.recipe.batch_size
        if index == 0:
            self.network.train()
            self.order = torch.randperm(len(self.classes), generator=self.random)
        rows = self.order[index * size : (index + 1) * size]
        images = random_affine(unit_tensor(self.images[rows.numpy()], self.random.device), self.recipe, self.random)
        (dropout_seed,) = np.random.SeedSequence([self.recipe.seed, self.step]).generate_state(1, np.uint64)
        with processes.seeded(int(dropout_seed >> np.uint64(1))):
            _, logits = self.network(images.to(self.device))
        self.updates.apply(functional.cross_entropy(logits, self.classes[rows].to(self.device)))

    def evaluate(self) -> FeatureProgress:
        """Measure the accuracy on the validation images."""
        return FeatureProgress(self.step // self.interval, accuracy(self.network, self.validation))

    def parts(self) -> dict[str, Stateful]:
        """The classifier, the optimiser and the random generator."""
        return {"network": self.network, "updates": self.updates, "random": RandomState(self.random)}


def random_affine(images: Tensor, recipe: FeatureExtractorRecipe, random: Generator) -> Tensor:
    """Rotate, zoom and translate each image (n, C, H, W) at random. Borders without image content are black."""

    def uniform(*shape: int) -> Tensor:  # random numbers of this shape in [-1, 1)
        return 2 * torch.rand(shape, generator=random) - 1

    n = len(images)
    angle, scale = recipe.max_rotation * uniform(n), 1 + recipe.max_zoom * uniform(n)
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    rotation = torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)
    # max_translation is a fraction of the image's side. In the coordinates of affine_grid, a side has the length 2.
    translation = 2 * recipe.max_translation * uniform(n, 2, 1)
    grid = functional.affine_grid(torch.cat([rotation, translation], 2), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def classification_accuracy_score(
    training: LabelledImages, test: LabelledImages, recipe: FeatureExtractorRecipe, *, threads: int | None = None
) -> float:
    """Train a classifier on generated images with their labels, and return its accuracy on real test images.

    Compare the result with the accuracy of a classifier that was trained on real images.
    Source: S. Ravuri, O. Vinyals, Classification Accuracy Score for Conditional Generative Models, 2019.
    """
    network = train_feature_extractor(recipe, training, training[:0], threads=threads)
    return accuracy(network, test)


@torch.inference_mode()
def accuracy(network: FeatureNetwork, images: LabelledImages) -> float:
    """Fraction of images that the network classifies correctly, or NaN if there are no images."""
    if not len(images):
        return math.nan
    network.eval()
    device = next(network.parameters()).device
    batches = [images.images[start : start + TEST_BATCH] for start in range(0, len(images), TEST_BATCH)]
    predicted = [network(unit_tensor(batch, device))[1].argmax(1).cpu().numpy() for batch in batches]
    return float(np.mean(network.label_values[np.concatenate(predicted)] == images.labels))


def _fingerprints(dataset: Dataset) -> dict[str, str]:
    """Return what identifies a data set: the hash of its images, and whether they are shuffled."""
    return {"data": dataset.facts.sha256, "order": f"shuffled: {dataset.facts.shuffled}"}
