"""`aegen evaluate`: score a model's reconstructions and samples, with the scores of real images for comparison."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from .data_sets import load_data, read_options
from .grid_texts import sampling_facts
from .messages import done, note, parts, progress_bars, with_progress
from .options import chosen_model, json_option, model_argument, seed_option, threads_option, usage

if TYPE_CHECKING:
    import numpy as np

    from ..data.datasets import Dataset
    from ..evaluation.feature_extractor import FeatureExtractor
    from ..evaluation.reference import ReferenceSet
    from ..images.read_options import ReadOptions
    from ..recipes.feature_extractor import FeatureExtractorRecipe
    from ..runtime.autoencoder import Autoencoder

NEAREST_SAMPLES, NEAREST_COLUMNS = 32, 16  # number of samples and of columns in the grid of --nearest

data_option = click.option("--data", default="mnist", show_default=True, metavar="NAME|PATH", help="Real images.")
split_option = click.option(
    "--split",
    type=click.Choice(["test", "validation"]),
    default="test",
    show_default=True,
    help="Real images to score against; use validation to choose between models.",
)
features_option = click.option(
    "--features",
    "extractor",
    metavar="NAME|PATH",
    help="Feature extractor to compare images by.  [default: features-DATA]",
)
count_option = click.option(
    "-n",
    "count",
    type=click.IntRange(100),
    default=10_000,
    show_default=True,
    help="How many samples to score against as many real images; fewer, with a note, if there are fewer real images.",
)
samples_seed_option = seed_option("Seed of the samples.", default=0)


class _MetricsInHelp(click.Command):
    """A command whose help ends with a list of all metrics."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from ..evaluation.metrics import METRICS

        with formatter.section("Metrics"):
            formatter.write_dl([(metric.name, metric.description) for metric in METRICS])


@click.command(cls=_MetricsInHelp)
@model_argument
@data_option
@read_options
@split_option
@features_option
@click.option("--prior", metavar="NAME", help="Distribution of the latents (see `aegen info`).  [default: the model's]")
@click.option(
    "--temperature",
    type=click.FloatRange(0),
    help="Scale of the prior's noise, 1 as fitted.  [default: the model's]",
)
@count_option
@samples_seed_option
@click.option(
    "--importance-samples",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Latents for each image in a VAE's likelihood bound.",
)
@click.option(
    "--train-classifier",
    is_flag=True,
    help="Add the classification accuracy score; needs torch and some minutes.",
)
@click.option(
    "--nearest",
    metavar="FILE.png",
    help="Write samples above the nearest of all training images.  [default: none are written]",
)
@json_option
@threads_option
def command(
    argument: str | None,
    model: str | None,
    data: str,
    split: str,
    extractor: str | None,
    prior: str | None,
    temperature: float | None,
    count: int,
    seed: int,
    importance_samples: int,
    train_classifier: bool,
    nearest: str | None,
    as_json: bool,
    threads: int | None,
    reading: "ReadOptions",
) -> None:
    """Score a model's reconstructions of real images, and equally many samples.

    Metrics of samples are shown with reference values: the scores that real training images get in place of samples.

    Real images are scored in sets as large as the set of samples: up to five sets, at most 10,000 images in all. With
    several sets, the reference value is their mean, and the standard deviation says how much it varies between sets.

    --json prints one object: {"model", "prior", "temperature", "samples", "reference_sets", "likelihood_images",
    "seed", "data", "split", "feature_extractor", "importance_samples", "megabytes", "macs", "metrics"}. Under "metrics"
    each metric that applies to the model has "value", "reference" (or null), "better", which is "lower", "higher", or
    "zero" if values near 0 are best, and "reference_std" (null unless there are several sets).

    \b
    aegen evaluate --data mnist
    aegen evaluate mnist-vae --data ~/mnist --prior standard --json
    """
    from ..evaluation.report import Evaluator
    from ..evaluation.tables import as_json as report_json
    from ..evaluation.tables import report_text
    from ..runtime.autoencoder import load

    classifier_recipe = _classifier_recipe(seed) if train_classifier else None
    loaded = load(chosen_model(argument, model), threads=threads)
    _refuse_early(loaded, prior, temperature, nearest, train_classifier)
    dataset = load_data(data, reading)
    reference = load_reference(dataset, split, extractor, count, threads)
    classifier_accuracy = _classifier_accuracy(reference, classifier_recipe, threads) if classifier_recipe else None
    scored = (reference, dataset.facts.name, split, seed, importance_samples, classifier_accuracy)
    with progress_bars() as progress:
        report = Evaluator(*scored, progress).report(loaded, prior=prior, temperature=temperature)
    if nearest is not None:
        samples = loaded.sample(NEAREST_SAMPLES, seed=seed, prior=prior, temperature=temperature, dtype="uint8")
        facts = sampling_facts(loaded, seed=seed, prior=prior, temperature=temperature)
        _write_nearest(nearest, samples, dataset.train.images, reference.extractor, facts)
    click.echo(report_json(report) if as_json else report_text(report))


def load_reference(
    dataset: "Dataset", split: str, extractor: str | None, count: int, threads: int | None
) -> "ReferenceSet":
    """Make the reference set of a data set: the real images with which `count` samples are compared.

    split: the images to compare with, "test" or "validation". extractor: the name or path of a feature extractor; None
    selects the one named after the data set. Raises InputError when `extractor` is None and the one named after the
    data set was trained on other images; also raises the errors of `find_feature_extractor` and `FeatureExtractor`.
    """
    from ..evaluation.feature_extractor import FeatureExtractor, find_feature_extractor
    from ..evaluation.reference import reference_set
    from ..runtime.errors import InputError

    features = FeatureExtractor(find_feature_extractor(extractor, dataset.facts.name), threads=threads)
    if extractor is None and features.record.data.sha256 != dataset.facts.sha256:
        found, expected = f"a feature extractor of other images than {dataset.facts.name}", "one trained on them"
        raise InputError(features.record.name, found=found, expected=expected, remedy="Choose one with --features.")
    training, test = dataset.train, dataset.test if split == "test" else dataset.validation
    arrays = (training.images, training.labels), (test.images, test.labels)
    with progress_bars() as progress:
        reference = reference_set(features, *arrays, count, progress=progress)
    for remark in reference.remarks:
        note(remark)
    return reference


def _refuse_early(
    model: "Autoencoder", prior: str | None, temperature: float | None, nearest: str | None, train_classifier: bool
) -> None:
    """Raise an error if an option cannot work with this model, before the time-consuming evaluation begins."""
    from ..files.atomic import require_parent
    from ..images.outputs import GRID_SUFFIXES, output_format
    from ..runtime.errors import InputError
    from ..runtime.extras import require_extra

    model.sample_latents(0, prior=prior, temperature=temperature)
    if nearest is not None:
        with usage():
            kind = output_format(nearest).kind
        if kind != "grid":
            suffixes = ", ".join(GRID_SUFFIXES)
            raise click.UsageError(f"--nearest: found {nearest}, expected a name that ends in {suffixes}")
        require_parent(nearest)
    if train_classifier:
        require_extra("train", "train a classifier")
        if not model.manifest.labels:
            raise InputError(
                "--train-classifier", found=f"{model.name}, without classes", expected="a model of classes"
            )
        model.sample_latents(0, prior=prior, label=model.manifest.labels[0])


def _classifier_recipe(seed: int) -> "FeatureExtractorRecipe":
    """The recipe of the classifier that --train-classifier trains. Raises UsageError for a seed that it cannot use."""
    from ..recipes.feature_extractor import FeatureExtractorRecipe

    with usage():
        return FeatureExtractorRecipe(channels=16, epochs=5, seed=seed)


def _classifier_accuracy(
    reference: "ReferenceSet", recipe: "FeatureExtractorRecipe", threads: int | None
) -> "Callable[[np.ndarray, np.ndarray], float]":
    """Return a function that trains a classifier and returns its accuracy on the test images.

    The function takes images to train on, uint8 (n, H, W[, 3]), and their labels, int64 (n,).
    """
    from ..data.images import LabelledImages
    from ..runtime.errors import InputError
    from ..train.feature_extractor import classification_accuracy_score

    if reference.test_labels is None or reference.real_labels is None:
        raise InputError("--train-classifier", found="images without labels", expected="labelled images")
    test = LabelledImages(reference.test_images, reference.test_labels)

    def accuracy(images: "np.ndarray", labels: "np.ndarray") -> float:
        return classification_accuracy_score(LabelledImages(images, labels), test, recipe, threads=threads)

    return accuracy


def _write_nearest(
    output: str,
    samples: "np.ndarray",
    training_images: "np.ndarray",
    extractor: "FeatureExtractor",
    facts: dict[str, str],
) -> None:
    """Write a grid that shows each sample above the training image whose features are nearest to the sample's.

    samples: uint8 (n, H, W[, 3]). training_images: uint8 (t, H, W[, 3]). facts: how the samples were made.
    """
    from ..evaluation.neighbours import nearest_in_parts
    from ..images.grid import stacked
    from ..images.writing import write_images

    features = (
        extractor.extract(part).features for part in with_progress(parts(training_images), len(training_images))
    )
    indices, _ = nearest_in_parts(extractor.extract(samples).features, features)
    rows = stacked(NEAREST_COLUMNS, samples, training_images[indices])
    titles = ("sample", "nearest training image")
    write_images(output, [rows], len(rows), columns=NEAREST_COLUMNS, row_titles=titles, facts=facts)
    done(output, f"{len(samples)} samples above their nearest training images")
