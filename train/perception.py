"""How images look to a classifier: its features at several depths, and their moments over many images."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .feature_extractor import FeatureNetwork

MIN_STD = 0.25  # of the usual standard deviation: a feature that hardly ever speaks must not drown the others


class Perception(nn.Module):
    """Images (n, C, H, W) in [0, 1] and labels -> a list of features (n, f): those at every halving of the side, the
    cross entropy of the label, and those at the end.

    The last hold the label too, one of k to be 1: what belongs to which label is then a matter of moments. And labels
    should be as plain to see as in real images, not more: that is the mean of the cross entropy.
    """

    def __init__(self, classifier: FeatureNetwork) -> None:
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
        class_loss = functional.cross_entropy(self.head(seen), labels, reduction="none")
        return [*depths, class_loss[:, None], torch.cat([seen, functional.one_hot(labels, self.labels)], 1)]


@dataclass(frozen=True)
class Moments:
    """Of the features of many images at one depth: mean and spread (f,), and the mean square of the standardised
    features (f,), or the mean of all their products (f, f), or nothing of second order.
    """

    mean: Tensor
    std: Tensor
    second: Tensor | None

    def differences(self, features: Tensor) -> list[Tensor]:
        """By how much the moments of other images' features (n, f) are larger, of first and of second order.

        Divided so that their summed squares are averages over the features. 0 on average for images of one kind.
        """
        standard = (features - self.mean) / self.std
        found = [standard.mean(0)]
        if self.second is not None:
            products = self.second.ndim == 2
            found.append((standard.T @ standard / len(standard) if products else (standard**2).mean(0)) - self.second)
        return [difference / features.shape[1] ** 0.5 for difference in found]


@torch.no_grad()
def feature_moments(
    perception: Perception, batches: Iterable[tuple[Tensor, Tensor]], *, match_second_moments: bool = True
) -> list[Moments]:
    """Moments at every depth over batches of images and labels.

    Products at the deepest depth alone, for the others are many; squares: whether those have mean squares.
    """
    count = 0
    sums: list[tuple[Tensor, Tensor]] = []
    for images, labels in batches:
        depths = [features.double() for features in perception(images, labels)]
        found = [(f.sum(0), f.T @ f if f is depths[-1] else (f**2).sum(0)) for f in depths]
        sums = [(a + c, b + d) for (a, b), (c, d) in zip(sums, found, strict=True)] if sums else found
        count += len(images)
    *shallow, deepest = [(first / count, second / count) for first, second in sums]
    return [
        *(_moments(*moments, match_second_moments=match_second_moments) for moments in shallow),
        _moments(*deepest, match_second_moments=True),
    ]


@dataclass(frozen=True)
class Critic:
    """What tells drawn images from real ones: a classifier, and the moments of real images at its depths.

    doubt: how much its doubt of labels counts beside a depth.
    """

    perception: Perception
    real: Sequence[Moments]
    class_loss_weight: float = 0.0

    def differences(self, images: Tensor, labels: Tensor) -> list[Tensor]:
        """By how much the moments of images (n, C, H, W) in [0, 1] of labels (n,) are larger, those of every depth."""
        *shallow, class_loss, deepest = zip(self.real, self.perception(images, labels), strict=True)
        found = [moments.differences(features) for moments, features in (*shallow, deepest)]
        if self.class_loss_weight:
            moments, features = class_loss
            found.append([self.class_loss_weight * difference for difference in moments.differences(features)[:1]])
        return [difference for one in found for difference in one]


def _moments(mean: Tensor, second: Tensor, *, match_second_moments: bool) -> Moments:
    """second: mean squares (f,), or the means of all products (f, f)."""
    square = second.diagonal() if second.ndim == 2 else second
    std = (square - mean**2).clamp_min(0).sqrt()
    active = std[std > 0]
    std = std.clamp_min(MIN_STD * active.median() if len(active) else 1.0)
    if second.ndim == 2:
        standard = (second - torch.outer(mean, mean)) / torch.outer(std, std)
    else:
        standard = (second - mean**2) / std**2
    return Moments(mean.float(), std.float(), standard.float() if match_second_moments else None)
