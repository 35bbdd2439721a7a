"""Score a model by every metric that applies to it, and real training images by the same metrics for reference."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..runtime.autoencoder import Autoencoder
from ..runtime.errors import InputError
from .likelihood import has_binary_likelihood, has_likelihood, likelihood_bound
from .metric_inputs import MetricInputs, ScoredImages
from .metrics import METRICS, Direction
from .progress import Progress, no_progress
from .reference import ReferenceSet, random_rows

MAX_LIKELIHOOD_IMAGES = 1000  # limit on the test images with a likelihood bound, which takes long


@dataclass(frozen=True)
class Score:
    """The value of one metric.

    reference: the metric's value for real training images in place of samples, equally many; the mean over all sets of
    such images. None if the metric does not apply to real images. reference_std: the standard deviation over the real
    sets, which says how much the value varies between them; None for a single set. better: which values are better.
    """

    value: float
    reference: float | None
    better: Direction
    reference_std: float | None = None


Scores = dict[str, Score]  # keys: names of metrics, in the order of METRICS


@dataclass(frozen=True)
class Report:
    """Scores of a model with one prior.

    samples: number of samples, which equals the number of test images and of the real images that are scored in place
    of samples. reference_sets: number of sets of such real images. likelihood_images: number of test images whose
    likelihood is bounded, or 0. data, split: names of the data set and of the split that the test images belong to.
    feature_extractor: its name and the SHA-256 of its network. importance_samples: number of latents sampled per image
    to compute a likelihood bound. megabytes: size of the artifact, in units of 10^6 bytes. macs: multiply-accumulates
    per image, by file name of the graph.
    """

    model: str
    prior: str
    temperature: float
    samples: int
    reference_sets: int
    likelihood_images: int
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
    returns its accuracy on the test images; with None, the classification accuracy score is omitted. progress: called
    after each metric, and after each part of longer steps.
    """

    reference: ReferenceSet
    data: str
    split: str = "test"
    seed: int = 0
    importance_samples: int = 100
    classifier_accuracy: Callable[[np.ndarray, np.ndarray], float] | None = None
    progress: Progress = no_progress

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
            reference_sets=len(self.reference.real_sets),
            likelihood_images=0 if inputs.grey_likelihood is None else len(inputs.grey_likelihood.nats),
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
        few = self.reference.test_images[random_rows(len(self.reference), MAX_LIKELIHOOD_IMAGES, 0)]
        grey, binary = (
            likelihood_bound(
                model,
                few,
                samples=self.importance_samples,
                binarise=binarise,
                seed=self.seed,
                progress=self.progress,
            )
            if applies
            else None
            for binarise, applies in ((False, has_likelihood(model)), (True, has_binary_likelihood(model)))
        )
        images = ScoredImages(self.reference, reconstructions)
        return MetricInputs(reconstructions=images, grey_likelihood=grey, binary_likelihood=binary)

    def scores(self, inputs: MetricInputs) -> Scores:
        """Scores of all metrics for which `inputs` has data, each with its reference value, by name of the metric."""
        references = self.reference_values
        values = metric_values(inputs, self.progress, "metrics")
        return {
            metric.name: _score(values[metric.name], references.get(metric.name, ()), metric.better)
            for metric in METRICS
            if metric.name in values
        }

    @cached_property
    def reference_values(self) -> dict[str, tuple[float, ...]]:
        """Values of every metric for each set of real images, scored as if they were samples, by name of the metric."""
        by_set = []
        for images, labels in self.reference.real_sets:
            inputs = MetricInputs(samples=ScoredImages(self.reference, images, labels))
            inputs = self._with_labelled(inputs, inputs.samples if labels is not None else None)
            by_set.append(metric_values(inputs, self.progress, "metrics of real images"))
        return {name: tuple(values[name] for values in by_set) for name in by_set[0]}

    def _with_samples(
        self, inputs: MetricInputs, model: Autoencoder, prior: str, temperature: float | None
    ) -> MetricInputs:
        """Add samples from one prior to the inputs. If model and data have classes, also add samples with labels."""
        n = len(self.reference)
        samples = model.sample(n, seed=self.seed, prior=prior, temperature=temperature, dtype="uint8")
        inputs = replace(inputs, samples=ScoredImages(self.reference, samples))
        if not model.manifest.labels or self.reference.real_labels is None:
            return inputs
        classes = model.manifest.labels
        labels = np.repeat(classes, [n // len(classes) + (index < n % len(classes)) for index in range(len(classes))])
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


def _score(value: float, references: Sequence[float], better: Direction) -> Score:
    """The score of one metric. references: the metric's value for each set of real images, or no values.

    NaN values are left out, because a metric may be undefined for some sets. If all are NaN, so is their mean.
    """
    if not references:
        return Score(value, None, better)
    known = [reference for reference in references if not math.isnan(reference)]
    mean = statistics.fmean(known) if known else math.nan
    return Score(value, mean, better, statistics.stdev(known) if len(known) > 1 else None)


def metric_values(inputs: MetricInputs, progress: Progress = no_progress, step: str = "metrics") -> dict[str, float]:
    """The values of all metrics for which `inputs` has data, by name of the metric.

    progress: called after each metric with the text `step`.
    """
    available = [metric for metric in METRICS if getattr(inputs, metric.needs) is not None]
    values = {}
    for done, metric in enumerate(available, start=1):
        values[metric.name] = metric.compute(getattr(inputs, metric.needs))
        progress(step, done, len(available))
    return values
