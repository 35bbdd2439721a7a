"""Score a model by every metric that applies to it, and real training images by the same metrics for reference."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..runtime.autoencoder import Autoencoder
from ..runtime.errors import InputError
from .likelihood import has_binary_likelihood, has_likelihood, likelihood_bound
from .metric_inputs import MetricInputs, ScoredImages
from .metrics import METRICS, Direction
from .reference import ReferenceSet

MAX_LIKELIHOOD_IMAGES = 1000  # at most this many test images get a likelihood bound, because each needs many latents


@dataclass(frozen=True)
class Score:
    """The value of one metric.

    reference: the metric's value for real training images, or None if it does not apply to them. better: which values
    are better.
    """

    value: float
    reference: float | None
    better: Direction


Scores = dict[str, Score]  # the keys are names of metrics, in the order of METRICS


@dataclass(frozen=True)
class Report:
    """Scores of a model with one prior.

    samples: number of samples, which equals the number of test images. data, split: names of the data set and of the
    split that the test images belong to. feature_extractor: its name and the SHA-256 of its network.
    importance_samples: number of latents sampled per image to compute a likelihood bound. megabytes: size of the
    artifact, in units of 10^6 bytes. macs: multiply-accumulates per image, by file name of the graph.
    """

    model: str
    prior: str
    temperature: float
    samples: int
    seed: int
    data: str
    split: str
    feature_extractor: dict[str, str]
    importance_samples: int
    megabytes: float
    macs: dict[str, int]
    metrics: Scores


@dataclass(frozen=True)
class Evaluator:
    """Scores models against one reference set. The scores of the real images are computed once, for all models.

    data, split: names of the data set and of its split with the test images, for the report. seed: seed of samples and
    likelihood bounds. importance_samples: number of latents sampled per image to compute a VAE's likelihood bound.
    classifier_accuracy: a function that trains a classifier on images uint8 (n, H, W[, 3]) and labels int64 (n,) and
    returns its accuracy on the test images; with None, the classification accuracy score is omitted.
    """

    reference: ReferenceSet
    data: str
    split: str = "test"
    seed: int = 0
    importance_samples: int = 100
    classifier_accuracy: Callable[[np.ndarray, np.ndarray], float] | None = None

    def report(
        self,
        model: Autoencoder,
        *,
        prior: str | None = None,
        temperature: float | None = None,
        reconstruction: MetricInputs | None = None,
    ) -> Report:
        """Score a model's reconstructions, and its samples from one of its priors.

        prior, temperature: None selects the artifact's default. reconstruction: the result of the method
        `reconstruction` for this model, computed here if None; pass it to save time when several priors of a model are
        scored. Raises InputError when the model has no prior of this name.
        """
        manifest, record = model.manifest, self.reference.extractor.record
        prior = manifest.default_prior if prior is None else prior
        inputs = self._with_samples(reconstruction or self.reconstruction(model), model, prior, temperature)
        return Report(
            model=model.name,
            prior=prior,
            temperature=manifest.default_temperature if temperature is None else temperature,
            samples=len(self.reference),
            seed=self.seed,
            data=self.data,
            split=self.split,
            feature_extractor={"name": record.name, "sha256": record.graph.sha256},
            importance_samples=self.importance_samples,
            megabytes=manifest.total_bytes / 1e6,
            macs=manifest.macs,
            metrics=self.scores(inputs),
        )

    def reconstruction(self, model: Autoencoder) -> MetricInputs:
        """Reconstruct the test images with a model, and compute the likelihood bounds that apply to the model.

        The result does not depend on the prior, so it can be used for the reports on all priors of the model.
        """
        reconstructions = model.reconstruct(self.reference.test_images, dtype="uint8")
        few = self.reference.test_images[:MAX_LIKELIHOOD_IMAGES]
        grey, binary = (
            likelihood_bound(model, few, samples=self.importance_samples, binarise=binarise, seed=self.seed)
            if applies
            else None
            for binarise, applies in ((False, has_likelihood(model)), (True, has_binary_likelihood(model)))
        )
        images = ScoredImages(self.reference, reconstructions)
        return MetricInputs(reconstructions=images, grey_likelihood=grey, binary_likelihood=binary)

    def scores(self, inputs: MetricInputs) -> Scores:
        """Scores of all metrics for which `inputs` has data, each with its reference value, by name of the metric."""
        values, references = metric_values(inputs), self._reference_values
        return {
            metric.name: Score(values[metric.name], references.get(metric.name), metric.better)
            for metric in METRICS
            if metric.name in values
        }

    @cached_property
    def _reference_values(self) -> dict[str, float]:
        """Metric values, by name of the metric, of real training images that are scored as if they were samples."""
        real_images, real_labels = self.reference.real_images, self.reference.real_labels
        inputs = MetricInputs(samples=ScoredImages(self.reference, real_images, real_labels))
        return metric_values(self._with_labelled(inputs, inputs.samples if real_labels is not None else None))

    def _with_samples(
        self, inputs: MetricInputs, model: Autoencoder, prior: str, temperature: float | None
    ) -> MetricInputs:
        """Add samples from one prior to the inputs. If model and data have classes, also add samples with labels."""
        n = len(self.reference)
        samples = model.sample(n, seed=self.seed, prior=prior, temperature=temperature, dtype="uint8")
        inputs = replace(inputs, samples=ScoredImages(self.reference, samples))
        if not model.manifest.labels or self.reference.real_labels is None:
            return inputs
        labels = np.repeat(model.manifest.labels, max(1, n // len(model.manifest.labels)))
        try:
            images = model.sample(
                len(labels), seed=self.seed, prior=prior, label=labels, temperature=temperature, dtype="uint8"
            )
        except InputError:  # this prior cannot sample a given class, so samples with labels are omitted
            return inputs
        return self._with_labelled(inputs, ScoredImages(self.reference, images, labels))

    def _with_labelled(self, inputs: MetricInputs, labelled: ScoredImages | None) -> MetricInputs:
        """Add samples with labels, and the accuracy of a classifier trained on them if `classifier_accuracy` is set."""
        accuracy = None
        if labelled is not None and labelled.labels is not None and self.classifier_accuracy is not None:
            accuracy = self.classifier_accuracy(labelled.images, labelled.labels)
        return replace(inputs, labelled_samples=labelled, classifier_accuracy=accuracy)


def metric_values(inputs: MetricInputs) -> dict[str, float]:
    """The values of all metrics for which `inputs` has data, by name of the metric."""
    available = {metric: getattr(inputs, metric.needs) for metric in METRICS}
    return {metric.name: metric.compute(value) for metric, value in available.items() if value is not None}
