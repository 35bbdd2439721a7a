"""Moments of a classifier's features over many images: means and second moments.

A moment gap is the difference between a moment of samples and the same moment of real images.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .feature_extractor import FeatureNetwork

MIN_STD = 0.25  # smaller stds are raised to this fraction of the median std, so rare features do not dominate


class LayerFeatures(nn.Module):
    """Features of images at several depths of a classifier, from shallow to deep.

    The depths are: the flattened features after each halving of the sides; the cross entropy of the image's class; and
    the final features, concatenated with the class as a one-hot vector. The mean cross entropy measures how clearly
    images show their class. The products of final features and one-hot vector contain the mean features of each class.
    """

    def __init__(self, classifier: FeatureNetwork) -> None:
        super().__init__()
        self.layers = classifier.layers.eval().requires_grad_(False)
        self.head = classifier.head.eval().requires_grad_(False)
        self.num_classes = classifier.num_classes

    def forward(self, images: Tensor, class_indices: Tensor) -> list[Tensor]:
        """Images (n, C, H, W) in [0, 1] and class indices int64 (n,) -> one tensor of features (n, f) for each depth.

        The number f differs between depths.
        """
        hidden, depths = images, []
        for layer in self.layers:
            hidden = layer(hidden)
            if isinstance(layer, nn.MaxPool2d):
                depths.append(hidden.flatten(1))
        class_loss = functional.cross_entropy(self.head(hidden), class_indices, reduction="none")
        one_hot = functional.one_hot(class_indices, self.num_classes)
        return [*depths, class_loss[:, None], torch.cat([hidden, one_hot], 1)]


@dataclass(frozen=True)
class Moments:
    """Moments of the features of many images at one depth.

    mean, std: mean and standard deviation of each feature, (f,). second: second moments of the standardised features,
    either mean squares (f,) or means of all pairwise products (f, f); None if only means are compared.
    """

    mean: Tensor
    std: Tensor
    second: Tensor | None

    def gaps(self, features: Tensor) -> list[Tensor]:
        """Moments of other images' features (n, f) minus the moments in this object: means (f,), then second moments.

        There are no second moments if `second` is None. Each gap is divided by sqrt(f), so that depths with many
        features do not dominate. Its expectation is 0 if the other images have the same distribution.
        """
        standard = (features - self.mean) / self.std
        gaps = [standard.mean(0)]
        if self.second is not None:
            products = self.second.ndim == 2
            second = standard.T @ standard / len(standard) if products else (standard**2).mean(0)
            gaps.append(second - self.second)
        return [gap / features.shape[1] ** 0.5 for gap in gaps]


@torch.no_grad()
def feature_moments(
    features: LayerFeatures, batches: Iterable[tuple[Tensor, Tensor]], *, match_second_moments: bool = True
) -> list[Moments]:
    """Moments at every depth, over batches of images (n, C, H, W) in [0, 1] and class indices (n,).

    match_second_moments: whether the moments of all depths but the deepest include mean squares. The deepest always
    has the means of all pairwise products; the other depths have too many features for that.
    """
    count = 0
    sums: list[tuple[Tensor, Tensor]] = []
    for images, class_indices in batches:
        depths = [depth.double() for depth in features(images, class_indices)]
        new = [(depth.sum(0), depth.T @ depth if depth is depths[-1] else (depth**2).sum(0)) for depth in depths]
        sums = [(a + c, b + d) for (a, b), (c, d) in zip(sums, new, strict=True)] if sums else new
        count += len(images)
    *shallow, deepest = [(first / count, second / count) for first, second in sums]
    return [
        *(_moments(*moments, keep_second=match_second_moments) for moments in shallow),
        _moments(*deepest, keep_second=True),
    ]


@dataclass(frozen=True)
class MomentTarget:
    """A classifier, and the moments of real images at its depths, which samples should match.

    class_loss_weight: weight of the gap in mean cross entropy. The gaps at all other depths have weight 1.
    """

    features: LayerFeatures
    real: Sequence[Moments]
    class_loss_weight: float = 0.0

    def gaps(self, images: Tensor, class_indices: Tensor) -> list[Tensor]:
        """Moment gaps at every depth of images (n, C, H, W) in [0, 1] with class indices (n,)."""
        *shallow, class_loss, deepest = zip(self.real, self.features(images, class_indices), strict=True)
        gaps = [gap for moments, features in (*shallow, deepest) for gap in moments.gaps(features)]
        if self.class_loss_weight:
            moments, features = class_loss
            gaps.append(self.class_loss_weight * moments.gaps(features)[0])
        return gaps


def _moments(mean: Tensor, second: Tensor, *, keep_second: bool) -> Moments:
    """Moments from raw means (f,) and raw second moments: mean squares (f,), or means of all products (f, f)."""
    square = second.diagonal() if second.ndim == 2 else second
    std = (square - mean**2).clamp_min(0).sqrt()
    active = std[std > 0]
    std = std.clamp_min(MIN_STD * active.median() if len(active) else 1.0)
    if second.ndim == 2:
        standard = (second - torch.outer(mean, mean)) / torch.outer(std, std)
    else:
        standard = (second - mean**2) / std**2
    return Moments(mean.float(), std.float(), standard.float() if keep_second else None)
