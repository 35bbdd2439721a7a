"""Moments of a classifier's features over many images: means and second moments.

A moment gap is a moment of generated images minus the same moment of real images.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .feature_extractor import FeatureNetwork

# Standard deviations below this fraction of their median are raised to this value. Otherwise the features that are
# rarely active would dominate after standardisation.
MIN_STD = 0.25


class LayerFeatures(nn.Module):
    """Features of images at several depths of a classifier, as a list of tensors from shallow to deep.

    First come the flattened outputs of the pooling layers, then the cross entropy between prediction and class, and
    last the final features concatenated with the class as a one-hot vector. The mean cross entropy measures how clearly
    images show their class. The mean product of a final feature and the one-hot element of a class depends on the
    feature's mean within this class. So comparing second moments also compares the means within classes.

    classes_known: whether class indices are those that the classifier has learned. If not, the predicted probabilities
    of its classes replace the one-hot vector, and the entropy of the prediction replaces the cross entropy.
    """

    def __init__(self, classifier: FeatureNetwork, *, classes_known: bool = True) -> None:
        super().__init__()
        self.classes_known = classes_known
        self.layers = classifier.layers.eval().requires_grad_(False)
        self.head = classifier.head.eval().requires_grad_(False)
        self.num_classes = classifier.num_classes

    def forward(self, images: Tensor, class_indices: Tensor) -> list[Tensor]:
        """Images (n, C, H, W) in [0, 1] and class indices int64 (n,) -> one tensor of features (n, f) for each depth.

        The number f differs between depths. The class indices are not used if `classes_known` is false.
        """
        hidden, depths = images, []
        for layer in self.layers:
            hidden = layer(hidden)
            if isinstance(layer, nn.MaxPool2d):
                depths.append(hidden.flatten(1))
        logits = self.head(hidden)
        if self.classes_known:
            class_loss = functional.cross_entropy(logits, class_indices, reduction="none")
            classes = functional.one_hot(class_indices, self.num_classes)
        else:
            classes = logits.softmax(1)
            class_loss = -(classes * logits.log_softmax(1)).sum(1)
        return [*depths, class_loss[:, None], torch.cat([hidden, classes], 1)]


@dataclass(frozen=True)
class Moments:
    """Moments of the features of many images at one depth of a classifier.

    mean (f,): mean of each feature. std (f,): standard deviation of each feature, at least MIN_STD times the median.
    second: second moments of the features after standardisation with mean and std, either mean squares (f,) or means of
    all pairwise products (f, f); None if only means are compared.
    """

    mean: Tensor
    std: Tensor
    second: Tensor | None

    def gaps(self, features: Tensor) -> list[Tensor]:
        """Return the moments of other images' features (n, f) minus the moments in this object, as a list of tensors.

        The first tensor is the gap between the means (f,). The second is the gap between the second moments, (f,) or
        (f, f); it is absent if `second` is None. Features are standardised with this object's mean and std. Gaps are
        divided by sqrt(f), so that depths with many features do not dominate. The expected gap is 0 if both sets of
        images have the same distribution.
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
    """Compute the moments of many images at every depth of a classifier, from shallow to deep.

    batches: pairs of images (n, C, H, W) in [0, 1] and class indices int64 (n,). match_second_moments: whether to
    include mean squares at all depths but the deepest. The deepest always includes the means of all pairwise products.
    The other depths never include products, because the pooling layers have too many features.
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
    """A classifier's features, and the moments of real images that generated images should match.

    real: the moments at each depth of `features`. class_loss_weight: factor by which the gap between mean cross
    entropies is multiplied; gaps at other depths are not multiplied.
    """

    features: LayerFeatures
    real: Sequence[Moments]
    class_loss_weight: float = 0.0

    def gaps(self, images: Tensor, class_indices: Tensor) -> list[Tensor]:
        """Return the moment gaps of all depths for images (n, C, H, W) in [0, 1] with class indices (n,)."""
        *shallow, class_loss, deepest = zip(self.real, self.features(images, class_indices), strict=True)
        gaps = [gap for moments, features in (*shallow, deepest) for gap in moments.gaps(features)]
        if self.class_loss_weight:
            moments, features = class_loss
            gaps.append(self.class_loss_weight * moments.gaps(features)[0])
        return gaps


def _moments(mean: Tensor, second: Tensor, *, keep_second: bool) -> Moments:
    """Build Moments from means and second moments of features that are not yet standardised.

    mean: (f,). second: mean squares (f,), or means of all pairwise products (f, f). keep_second: whether the result
    includes second moments.
    """
    square = second.diagonal() if second.ndim == 2 else second
    std = (square - mean**2).clamp_min(0).sqrt()
    active = std[std > 0]
    std = std.clamp_min(MIN_STD * active.median() if len(active) else 1.0)
    if second.ndim == 2:
        standard = (second - torch.outer(mean, mean)) / torch.outer(std, std)
    else:
        standard = (second - mean**2) / std**2
    return Moments(mean.float(), std.float(), standard.float() if keep_second else None)
