"""How pictures look to a classifier: its features at several depths, and their moments over many pictures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .judge import JudgeNetwork

LEAST_SPREAD = 0.25  # of the usual standard deviation: a feature that hardly ever speaks must not drown the others


class Perception(nn.Module):
    """Images (n, C, H, W) in [0, 1] and labels -> features (n, f) at every halving of the side and at the end, a list.

    The deepest features hold the label too, one of k to be 1: what belongs to which label is then a matter of moments.
    """

    def __init__(self, classifier: JudgeNetwork) -> None:
        super().__init__()
        self.layers = classifier.features.eval().requires_grad_(False)
        self.labels = classifier.labels

    def forward(self, images: Tensor, labels: Tensor) -> list[Tensor]:
        """From shallow to deep. labels: int64 (n,)."""
        seen, depths = images, []
        for layer in self.layers:
            seen = layer(seen)
            if isinstance(layer, nn.MaxPool2d):
                depths.append(seen.flatten(1))
        return [*depths, torch.cat([seen, functional.one_hot(labels, self.labels)], 1)]


@dataclass(frozen=True)
class Moments:
    """Of the features of many pictures at one depth: mean and spread (f,), and the mean square of the standardised
    features (f,), or the mean of all their products (f, f).
    """

    mean: Tensor
    spread: Tensor
    second: Tensor

    def differences(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """By how much the first and the second moments of other pictures' features (n, f) are larger.

        Divided so that their summed squares are averages over the features. 0 on average for pictures of one kind.
        """
        standard = (features - self.mean) / self.spread
        second = standard.T @ standard / len(standard) if self.second.ndim == 2 else (standard**2).mean(0)
        root = features.shape[1] ** 0.5
        return standard.mean(0) / root, (second - self.second) / root


@torch.no_grad()
def looks(perception: Perception, batches: Iterable[tuple[Tensor, Tensor]]) -> list[Moments]:
    """Moments at every depth over batches of images and labels; products at the deepest alone, the others are many."""
    count = 0
    sums: list[tuple[Tensor, Tensor]] = []
    for images, labels in batches:
        depths = [features.double() for features in perception(images, labels)]
        found = [(f.sum(0), f.T @ f if f is depths[-1] else (f**2).sum(0)) for f in depths]
        sums = [(a + c, b + d) for (a, b), (c, d) in zip(sums, found, strict=True)] if sums else found
        count += len(images)
    return [_moments(first / count, second / count) for first, second in sums]


@dataclass(frozen=True)
class Critic:
    """What tells drawn pictures from real ones: a classifier, and the moments of real pictures at its depths."""

    perception: Perception
    real: Sequence[Moments]

    def differences(self, images: Tensor, labels: Tensor) -> list[Tensor]:
        """By how much the moments of images (n, C, H, W) in [0, 1] of labels (n,) are larger, two for every depth."""
        depths = zip(self.real, self.perception(images, labels), strict=True)
        return [difference for moments, features in depths for difference in moments.differences(features)]


def _moments(mean: Tensor, second: Tensor) -> Moments:
    square = second.diagonal() if second.ndim == 2 else second
    spread = (square - mean**2).clamp_min(0).sqrt()
    heard = spread[spread > 0]
    spread = spread.clamp_min(LEAST_SPREAD * heard.median() if len(heard) else 1.0)
    if second.ndim == 2:
        standard = (second - torch.outer(mean, mean)) / torch.outer(spread, spread)
    else:
        standard = (second - mean**2) / spread**2
    return Moments(mean.float(), spread.float(), standard.float())
