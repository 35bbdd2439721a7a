"""Train the feature extractor, a classifier whose features measure how similar images are.

It evaluates generators, so generators are never trained with it.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from ..data.images import LabelledImages
from ..recipes.feature_extractor import FeatureExtractorRecipe
from ..runtime.errors import InputError
from ..runtime.manifest import ImageSpec
from ..runtime.pixels import Shape, to_tensor
from ..runtime.threads import allowed_threads
from . import processes
from .networks import conv_norm
from .updates import Updates

UNIT = (0.0, 1.0)  # lowest and highest pixel value of the classifier's input
MIN_SIDE = 4  # minimum height and width of an image in pixels, because the network halves both twice
TEST_BATCH = 1000


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
    report: Callable[[int, float], None] = lambda epoch, accuracy: None,
) -> FeatureNetwork:
    """Train a classifier on labelled images. Returns the network of the last epoch, on the CPU, in evaluation mode.

    Labels may be any integers: the classes are the labels that occur in `training`, in ascending order. threads: number
    of CPU threads of torch, by default allowed_threads(). report: called after each epoch with the epoch's number, from
    1, and the accuracy on the validation images.
    Raises InputError when the training images have no labels, or a height or width below MIN_SIDE.
    """
    labels, shape = training.labels, training.shape
    if labels is None:
        raise InputError("images", found="no labels", expected="labelled images")
    if min(shape[1:]) < MIN_SIDE:
        found, expected = f"sides of {shape[2]}x{shape[1]}", f"sides of at least {MIN_SIDE}"
        raise InputError("images", found=found, expected=expected)
    values, classes = np.unique(labels, return_inverse=True)
    torch.set_num_threads(threads or allowed_threads())
    device = processes.device()
    images, targets = torch.from_numpy(_images(training)), torch.from_numpy(classes)
    steps = math.ceil(len(labels) / recipe.batch_size) * recipe.epochs
    random = Generator().manual_seed(recipe.seed)
    with processes.seeded(recipe.seed):
        network = FeatureNetwork(shape, len(values), recipe, values).to(device)
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        updates = Updates(optimiser, recipe.warmup, steps)
        for epoch in range(1, recipe.epochs + 1):
            network.train()
            batches = torch.split(torch.randperm(len(labels), generator=random), recipe.batch_size)
            for rows in tqdm(batches, desc=f"epoch {epoch}/{recipe.epochs}", leave=False, disable=None):
                inputs = random_affine(images[rows], recipe, random).to(device)
                _, logits = network(inputs)
                updates.apply(functional.cross_entropy(logits, targets[rows].to(device)))
            report(epoch, accuracy(network, validation))
    return network.cpu().eval()


def random_affine(images: Tensor, recipe: FeatureExtractorRecipe, random: Generator) -> Tensor:
    """Rotate, zoom and translate each image (n, C, H, W) at random. Borders without image content are black."""

    def uniform(*shape: int) -> Tensor:  # random numbers of this shape in [-1, 1)
        return 2 * torch.rand(shape, generator=random) - 1

    n = len(images)
    angle, scale = recipe.max_rotation * uniform(n), 1 + recipe.max_zoom * uniform(n)
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    rotation = torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)
    # max_translation is a fraction of the side, and a side is 2 long in the coordinates of affine_grid, -1 to 1.
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
    batches = torch.split(torch.from_numpy(_images(images)), TEST_BATCH)
    predicted = [network(batch.to(device))[1].argmax(1).cpu().numpy() for batch in batches]
    return float(np.mean(network.label_values[np.concatenate(predicted)] == images.labels))


def _images(images: LabelledImages) -> np.ndarray:
    """Convert uint8 images to float32 (n, C, H, W) in [0, 1]."""
    return to_tensor(images.images, ImageSpec(images.shape, UNIT))
