"""The subject of a report: a model, the images to show and measure it with, and the options of the user."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..data.datasets import Dataset
from ..data.images import LabelledImages
from ..evaluation.feature_extractor import FeatureExtractor
from ..evaluation.reference import TEST_SEED, ReferenceSet, random_rows, reference_set
from ..evaluation.report import Evaluator, Report
from ..runtime.autoencoder import Autoencoder
from ..runtime.errors import InputError, ShapeError
from ..runtime.manifest import Manifest

IMPORTANCE_SAMPLES = 10  # number of latents for each image in a VAE's likelihood bound; more would take minutes
NO_DATA = (
    "Not shown, because no images were given. `aegen report {model} --data DATA -o report.html` adds this section, "
    "where DATA is a data set such as {data}."
)


@dataclass(frozen=True)
class Subject:
    """The model of a report, and the images and settings for showing and measuring it.

    dataset: real images, or None. extractor: the feature extractor that measures images of this kind, or None.
    count: number of test images to use, and number of samples to measure; fewer if there are fewer test images. seed:
    the seed of all samples. speed: whether to measure the speed of the model.
    Raises ShapeError if the images of the data set do not have the shape of the model's images.
    """

    model: Autoencoder
    dataset: Dataset | None = None
    extractor: FeatureExtractor | None = None
    count: int = 2000
    seed: int = 0
    speed: bool = True

    def __post_init__(self) -> None:
        wanted = self.manifest.image.shape
        if self.dataset is not None and self.dataset.shape != wanted:
            found, expected = f"images of shape {self.dataset.shape}", f"{wanted} (channels, height, width)"
            raise ShapeError(self.dataset.facts.name, found=found, expected=expected)

    @property
    def manifest(self) -> Manifest:
        """The metadata of the model."""
        return self.model.manifest

    @property
    def no_data(self) -> str:
        """A sentence that says why sections that need real images are absent."""
        return NO_DATA.format(model=self.model.name, data=f"`{self.manifest.data.name}`")

    @cached_property
    def tests(self) -> LabelledImages:
        """The test images that the report uses, with labels if they have any. Their random choice is always the same.

        Raises InputError without data.
        """
        images = self._data.test
        return images[random_rows(len(images), self.count, TEST_SEED)]

    @property
    def images(self) -> np.ndarray:
        """The test images that the report uses, uint8 (n, H, W[, 3]). Raises InputError without data."""
        return self.tests.images

    @property
    def labels(self) -> np.ndarray | None:
        """The labels of `images`, int64 (n,), or None if they have none."""
        return self.tests.labels

    @property
    def training_images(self) -> np.ndarray:
        """All training images, uint8 (t, H, W[, 3]). Raises InputError without data."""
        return self._data.train.images

    @property
    def split(self) -> str:
        """The kind of `images`: "test images", or "validation images" if the data set has no test images."""
        return "test images" if self._data.facts.test_images else "validation images"

    @property
    def is_training_data(self) -> bool:
        """Whether the data set is the one that the model was trained on."""
        return self._data.facts.sha256 == self.manifest.data.sha256

    @cached_property
    def latents(self) -> np.ndarray:
        """The latents of `images`, float32 (n, d)."""
        return self.model.encode(self.images)

    @cached_property
    def reference(self) -> ReferenceSet | None:
        """The images and features that samples are compared with; None without data or without a feature extractor.

        Raises InputError if there are too few images.
        """
        if self.dataset is None or self.extractor is None:
            return None
        train, test = self.dataset.train, self.dataset.test
        return reference_set(self.extractor, (train.images, train.labels), (test.images, test.labels), self.count)

    @property
    def unmeasured(self) -> str:
        """A sentence that says why samples are not measured, such as a lack of data; empty if they are measured."""
        if self.dataset is None:
            return self.no_data
        if self.extractor is None:
            return (
                f"Not measured, because aegen has no feature extractor for images of {self.dataset.facts.name}, by "
                "which samples could be compared with real images. `aegen train-features` makes one from labelled "
                "images."
            )
        try:
            return "" if self.reference is not None else self.no_data
        except InputError as error:
            return f"Not measured, because there are too few images: {error}."

    @cached_property
    def scores(self) -> Report | None:
        """The scores of the model with its default prior, and those of real images; None if they are not measured."""
        if self.unmeasured or self.reference is None:
            return None
        split = self.split.removesuffix(" images")
        evaluator = Evaluator(
            self.reference, self._data.facts.name, split, seed=self.seed, importance_samples=IMPORTANCE_SAMPLES
        )
        return evaluator.report(self.model)

    @property
    def _data(self) -> Dataset:
        if self.dataset is None:
            raise InputError("data", found="none", expected="a data set")
        return self.dataset
