"""Inputs of the metrics: images to score, and intermediate results that several metrics need."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .bins import BinDifference, bin_difference
from .feature_extractor import ExtractedFeatures
from .likelihood import LikelihoodBound
from .neighbours import Support, support
from .reference import ReferenceSet, as_points
from .similarity import Similarity, similarity


@dataclass(frozen=True)
class ScoredImages:
    """Images to score against a reference set. Intermediate results are computed on first use and cached.

    images: uint8 (n, H, W[, 3]). labels: the label requested for each generated image, int64 (n,), or None.
    """

    reference: ReferenceSet
    images: np.ndarray
    labels: np.ndarray | None = None

    @cached_property
    def extracted(self) -> ExtractedFeatures:
        """Features, class probabilities and predicted labels of the images."""
        return self.reference.extractor.extract(self.images)

    @cached_property
    def support(self) -> Support:
        """Precision, recall, density and coverage of the scored images against the test images."""
        return support(self.reference.test_features.features, self.extracted.features)

    @cached_property
    def bin_difference(self) -> BinDifference:
        """Difference between scored images and test images in the fraction of images in each bin."""
        reference = self.reference
        return bin_difference(as_points(reference.test_images), as_points(self.images), reference.bin_centres)

    @cached_property
    def similarity(self) -> Similarity:
        """Similarity between the test images and the scored images, which must be their reconstructions."""
        return similarity(self.reference.test_images, self.images)


@dataclass(frozen=True)
class MetricInputs:
    """The data that metrics are computed from. A field is None if it does not apply to the model.

    samples: as many samples as there are test images. reconstructions: reconstructions of the test images, in the same
    order. labelled_samples: equally many samples of every class. grey_likelihood: likelihood bounds of the test images.
    binary_likelihood: likelihood bounds of the binarised test images. classifier_accuracy: accuracy on the test images
    of a classifier trained on the labelled samples.
    """

    samples: ScoredImages | None = None
    reconstructions: ScoredImages | None = None
    labelled_samples: ScoredImages | None = None
    grey_likelihood: LikelihoodBound | None = None
    binary_likelihood: LikelihoodBound | None = None
    classifier_accuracy: float | None = None
