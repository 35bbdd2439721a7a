"""Every measure of a model, each beside its floor: what real training images score in the model's place."""

from dataclasses import dataclass

import numpy as np

from ..runtime.autoencoder import Autoencoder
from ..runtime.errors import InputError
from .distances import frechet_distance
from .likelihood import likelihood_bound
from .reference import ReferenceSet
from .similarity import similarity

LIKELIHOOD_IMAGES = 1000  # test images that a bound is averaged over
LOW, HIGH, ZERO = "lower is better", "higher is better", "nearer 0 is better"


@dataclass(frozen=True)
class Metric:
    """A measure. floor: what real training images score, or None where nothing corresponds to it."""

    value: float
    floor: float | None
    better: str


Metrics = dict[str, Metric]


@dataclass(frozen=True)
class Report:
    """What a model scores with one prior. feature extractor: name and SHA-256 of its network. costs: MACs of one image,
    by graph.
    """

    model: str
    prior: str
    temperature: float
    samples: int
    seed: int
    data: str
    split: str
    extractor: dict[str, str]
    megabytes: float
    costs: dict[str, int]
    metrics: Metrics


def evaluate(
    model: Autoencoder,
    real: ReferenceSet,
    *,
    data: str,
    split: str = "test",
    prior: str | None = None,
    temperature: float | None = None,
    seed: int = 0,
    importance_samples: int = 100,
    reconstructions: Metrics | None = None,
) -> Report:
    """Measure a model's reconstructions of the test images and as many samples from one of its priors.

    data, split: names of the real images. importance_samples: latents for each image in a variational autoencoder's
    likelihood bound. reconstructions: what `reconstruction` gave for this model, where it has been measured before.
    Raises InputError for a prior that the model lacks.
    """
    chosen = model.manifest.default_prior if prior is None else prior
    generated = model.sample(len(real), seed=seed, prior=chosen, temperature=temperature, dtype="uint8")
    facts = model.manifest
    return Report(
        model=model.name,
        prior=chosen,
        temperature=facts.default_temperature if temperature is None else temperature,
        samples=len(real),
        seed=seed,
        data=data,
        split=split,
        extractor={"name": real.extractor.facts.name, "sha256": real.extractor.facts.graph.sha256},
        megabytes=facts.total_bytes / 1e6,
        costs=facts.macs,
        metrics={
            **(reconstructions or reconstruction(model, real, importance_samples=importance_samples, seed=seed)),
            **generation(generated, real),
            **_asked_labels(model, real, chosen, temperature, seed),
        },
    )


def reconstruction(model: Autoencoder, real: ReferenceSet, *, importance_samples: int = 100, seed: int = 0) -> Metrics:
    """How like the test images their reconstructions are, and how likely; the same for all priors of a model."""
    reconstructions = model.reconstruct(real.test, dtype="uint8")
    found = similarity(real.test, reconstructions)
    distance = frechet_distance(real.extractor.extract(reconstructions).features, real.test_features.features)
    return {
        "reconstruction_mse": Metric(found.mse, None, LOW),
        "reconstruction_foreground_mse": Metric(found.foreground_mse, None, LOW),
        "reconstruction_psnr": Metric(found.psnr, None, HIGH),
        "reconstruction_ssim": Metric(found.ssim, None, HIGH),
        "reconstruction_frechet_distance": Metric(distance, None, LOW),
        **_likelihood(model, real, importance_samples, seed),
    }


def generation(generated: np.ndarray, real: ReferenceSet) -> Metrics:
    """How like new real images generated ones are. generated: uint8, as many as the test images."""
    ours, floor = real.measures(generated, real.extractor.extract(generated)), real.reference_measures
    better = {
        "frechet_distance": LOW,
        "kernel_distance": LOW,
        "precision": HIGH,
        "recall": HIGH,
        "density": HIGH,
        "coverage": HIGH,
        "bins_different": LOW,
        "bin_divergence": LOW,
        "memorisation": ZERO,
        "class_imbalance": LOW,
        "confidence": HIGH,
    }
    return {name: Metric(ours[name], floor[name], better[name]) for name in ours}


def labelled(
    model: Autoencoder, n: int, prior: str | None, temperature: float | None, seed: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """About n images, uint8, as many of every label, and the labels asked for; None where labels cannot be."""
    labels = model.manifest.labels
    each = max(1, n // max(1, len(labels)))
    try:
        drawn = [
            model.sample(each, seed=seed, prior=prior, label=label, temperature=temperature, dtype="uint8")
            for label in labels
        ]
    except InputError:  # a prior that knows no labels
        return None
    return (np.concatenate(drawn), np.repeat(labels, each)) if drawn else None


def _asked_labels(model: Autoencoder, real: ReferenceSet, prior: str, temperature: float | None, seed: int) -> Metrics:
    """Share of images, drawn of every label evenly, that the feature extractor takes for the label asked for."""
    drawn = labelled(model, len(real), prior, temperature, seed)
    if drawn is None or real.reference_labels is None:
        return {}
    images, labels = drawn
    predicted = [
        np.mean(seen.predicted == asked)
        for seen, asked in ((real.extractor.extract(images), labels), (real.reference_features, real.reference_labels))
    ]
    return {"label_accuracy": Metric(float(predicted[0]), float(predicted[1]), HIGH)}


def _likelihood(model: Autoencoder, real: ReferenceSet, samples: int, seed: int) -> Metrics:
    """The importance-weighted bound in nats a image, of grey levels and of binarised images, where there is one."""
    if model.manifest.kind != "vae" or (model.manifest.sigma is None and model.manifest.recipe.get("loss") != "bce"):
        return {}
    images = real.test[:LIKELIHOOD_IMAGES]
    binary = (False, True) if model.manifest.sigma is None else (False,)
    found = {}
    for binarise in binary:
        bound = likelihood_bound(model, images, samples=samples, binarise=binarise, seed=seed)
        name = f"log_likelihood_k{samples}" + ("_binarised" if binarise else "")
        found[name] = Metric(float(bound.nats.mean()), None, HIGH)
    return found
