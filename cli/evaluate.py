"""`aegen evaluate`: how good a model's reconstructions and samples are, beside what real images score."""

from typing import TYPE_CHECKING

import click

from .options import chosen_model, done, json_option, model_argument, note, parts, threads_option, usage, with_progress

if TYPE_CHECKING:
    from ..data.datasets import Dataset
    from ..evaluation.metrics import Metrics
    from ..evaluation.reference import ReferenceSet
    from ..runtime.autoencoder import Autoencoder

SHOWN, ACROSS = 32, 16  # samples beside their nearest training images, and in a row of them

feature_extractor_option = click.option(
    "--features", metavar="NAME|PATH", help="Whose features count.  [default: features-DATA]"
)
data_option = click.option("--data", default="mnist", show_default=True, metavar="NAME|PATH", help="Real images.")
split_option = click.option(
    "--split",
    type=click.Choice(["test", "validation"]),
    default="test",
    show_default=True,
    help="Which of them: choose a model by validation.",
)
count_option = click.option(
    "-n", "count", type=click.IntRange(100), default=10_000, show_default=True, help="Samples, and test images."
)
seed_option = click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the samples.")


@click.command
@model_argument
@data_option
@split_option
@feature_extractor_option
@click.option("--prior", help="What latents are drawn from.  [default: the artifact's]")
@click.option(
    "--temperature",
    type=click.FloatRange(0),
    help="Scale of the prior's noise, 1 as fitted.  [default: the artifact's]",
)
@count_option
@seed_option
@click.option(
    "--importance-samples", type=click.IntRange(1), default=100, show_default=True, help="For a VAE's likelihood."
)
@click.option(
    "--train-classifier",
    is_flag=True,
    help="Also train one on samples and test it on real images; needs torch, and minutes.",
)
@click.option("--nearest", metavar="FILE.png", help="Write samples over the nearest of all training images.")
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
) -> None:
    """Measure a model: its reconstructions of test images, and as many samples.

    Every measure of samples stands beside its floor, what real training images score in the samples' place; the
    docstrings in aegen/runtime/evaluation name the papers. --json prints one object: what was measured, and `metrics`,
    by name, each with `value`, `floor` (or null) and `better`.

    \b
    aegen evaluate --data mnist
    aegen evaluate mnist-vae --data ~/mnist --prior standard --nearest nearest.png --json
    """
    from ..evaluation import tables
    from ..evaluation.metrics import evaluate
    from ..files.atomic import require_parent
    from ..images.outputs import GRIDS, output_suffix
    from ..runtime.autoencoder import load
    from ..runtime.extras import require_extra

    loaded = load(chosen_model(argument, model), threads=threads)
    # What cannot be done is refused before the work, not after it.
    loaded.draw(0, prior=prior, temperature=temperature)
    if nearest is not None:
        with usage():
            suffix = output_suffix(nearest)
        if suffix not in GRIDS:
            raise click.UsageError(f"--nearest: found {nearest}, expected a name that ends in {', '.join(GRIDS)}")
        require_parent(nearest)
    if train_classifier:
        require_extra("train", "train a classifier")
        loaded.draw(0, prior=prior, label=next(iter(loaded.manifest.labels), 0))
    dataset, real = real_images(data, split, extractor, count, threads)
    report = evaluate(
        loaded,
        real,
        data=dataset.facts.name,
        split=split,
        prior=prior,
        temperature=temperature,
        seed=seed,
        importance_samples=importance_samples,
    )
    if train_classifier:
        import dataclasses

        found = _classification_accuracy_score(loaded, real, prior, temperature, seed, threads)
        report = dataclasses.replace(report, metrics=report.metrics | found)
    if nearest is not None:
        _write_nearest(nearest, loaded, real, dataset, prior, temperature, seed)
    click.echo(tables.as_json(report) if as_json else tables.report_text(report))


def _classification_accuracy_score(
    model: "Autoencoder",
    real: "ReferenceSet",
    prior: str | None,
    temperature: float | None,
    seed: int,
    threads: int | None,
) -> "Metrics":
    """Accuracy on the test images of a classifier trained on samples, and of one trained on as many real images."""
    from ..data.datasets import LabelledImages
    from ..evaluation.metrics import HIGH, Metric, labelled
    from ..recipes.feature_extractor import FeatureExtractorRecipe
    from ..runtime.errors import InputError
    from ..train.feature_extractor import classification_accuracy_score

    drawn = labelled(model, len(real), prior, temperature, seed)
    if drawn is None or real.reference_labels is None or real.test_labels is None:
        raise InputError("--train-classifier", found="no labels to ask for", expected="a model of labelled images")
    test = LabelledImages(real.test, real.test_labels)
    recipe = FeatureExtractorRecipe(channels=16, epochs=5, seed=seed)
    sets = (LabelledImages(*drawn), LabelledImages(real.floor, real.reference_labels))
    ours, floor = (classification_accuracy_score(images, test, recipe, threads=threads) for images in sets)
    return {"classifier_accuracy": Metric(ours, floor, HIGH)}


def _write_nearest(
    output: str,
    model: "Autoencoder",
    real: "ReferenceSet",
    dataset: "Dataset",
    prior: str | None,
    temperature: float | None,
    seed: int,
) -> None:
    """The first samples over those of all training images that look most like them to the feature extractor."""
    from ..evaluation.neighbours import nearest_in_parts
    from ..files.atomic import write_bytes
    from ..images.grid import image_bytes, stacked, tile
    from ..images.outputs import output_suffix

    samples = model.sample(SHOWN, seed=seed, prior=prior, temperature=temperature, dtype="uint8")
    images = dataset.train.images
    seen = (real.extractor.extract(part).features for part in with_progress(parts(images), len(images)))
    places, _ = nearest_in_parts(real.extractor.extract(samples).features, seen)
    rows = stacked(ACROSS, samples, images[places])
    write_bytes(output, image_bytes(tile(rows, columns=ACROSS, scale=2), output_suffix(output)))
    done(output, f"{SHOWN} samples over their nearest training images")


def real_images(
    data: str, split: str, extractor: str | None, count: int, threads: int | None
) -> "tuple[Dataset, ReferenceSet]":
    """A data set, and its images as a feature extractor sees them. split: "test" or "validation"."""
    from ..data.datasets import load
    from ..evaluation.feature_extractor import FeatureExtractor, find_feature_extractor
    from ..evaluation.reference import reference_set
    from ..runtime.errors import InputError

    dataset = load(data)
    for remark in dataset.remarks:
        note(remark)
    judged = FeatureExtractor(find_feature_extractor(extractor, dataset.facts.name), threads=threads)
    if extractor is None and judged.facts.data.sha256 != dataset.facts.sha256:
        found, expected = f"a feature extractor of other images than {data}", "one trained on them"
        raise InputError(judged.facts.name, found=found, expected=expected, remedy="Choose one with --features.")
    training, test = dataset.train, dataset.test if split == "test" else dataset.validation
    return dataset, reference_set(judged, (training.images, training.labels), (test.images, test.labels), count)
