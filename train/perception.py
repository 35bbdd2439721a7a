"""How pictures look to a classifier: its features at several depths, and their moments over many pictures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .judge import JudgeNetwork

DOUBT = 0.25  # how much doubt of the label counts beside a depth; more of it costs variety
LEAST_SPREAD = 0.25  # of the usual standard deviation: a feature that hardly ever speaks must not drown the others


class Perception(nn.Module):
    """Images (n, C, H, W) in [0, 1] and labels -> a list of features (n, f): those at every halving of the side, the
    cross entropy of the label, and those at the end.

    The last hold the label too, one of k to be 1: what belongs to which label is then a matter of moments. And labels
    should be as plain to see as in real pictures, not more: that is the mean of the cross entropy.
    """

    def __init__(self, classifier: JudgeNetwork) -> None:
        super().__init__()
        self.layers = classifier.features.eval().requires_grad_(False)
        self.head = classifier.classes.eval().requires_grad_(False)
        self.labels = classifier.labels

    def forward(self, images: Tensor, labels: Tensor) -> list[Tensor]:
        """From shallow to deep. labels: int64 (n,)."""
        seen, depths = images, []
        for layer in self.layers:
            seen = layer(seen)
            if isinstance(layer, nn.MaxPool2d):
                depths.append(seen.flatten(1))
        doubt = functional.cross_entropy(self.head(seen), labels, reduction="none")
        return [*depths, doubt[:, None], torch.cat([seen, functional.one_hot(labels, self.labels)], 1)]


@dataclass(frozen=True)
class Moments:
    """Of the features of many pictures at one depth: mean and spread (f,), and at the deepest depth the mean products
    (f, f) of standardised features. Those of shallow features would ask for detail that a code does not hold.
    """

    mean: Tensor
    spread: Tensor
    products: Tensor | None

    def differences(self, features: Tensor) -> list[Tensor]:
        """By how much the moments of other pictures' features (n, f) are larger, the means' and the products'.

        Divided so that their summed squares are averages over the features. 0 on average for pictures of one kind.
        """
        standard = (features - self.mean) / self.spread
        found = [standard.mean(0)]
        if self.products is not None:
            found.append(standard.T @ standard / len(standard) - self.products)
        return [difference / features.shape[1] ** 0.5 for difference in found]


@torch.no_grad()
def looks(perception: Perception, batches: Iterable[tuple[Tensor, Tensor]]) -> list[Moments]:
    """Moments at every depth over batches of images and labels."""
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
        """By how much the moments of images (n, C, H, W) in [0, 1] of labels (n,) are larger, those of every depth."""
        *shallow, doubt, deepest = zip(self.real, self.perception(images, labels), strict=True)
        found = [moments.differences(features) for moments, features in (*shallow, deepest)]
        moments, features = doubt
        found.append([DOUBT * difference for difference in moments.differences(features)])
        return [difference for one in found for difference in one]


def _moments(mean: Tensor, second: Tensor) -> Moments:
    """second: mean squares (f,), or the means of all products (f, f)."""
    square = second.diagonal() if second.ndim == 2 else second
    spread = (square - mean**2).clamp_min(0).sqrt()
    heard = spread[spread > 0]
    spread = spread.clamp_min(LEAST_SPREAD * heard.median() if len(heard) else 1.0)
    products = None
    if second.ndim == 2:
        products = ((second - torch.outer(mean, mean)) / torch.outer(spread, spread)).float()
    return Moments(mean.float(), spread.float(), products)
