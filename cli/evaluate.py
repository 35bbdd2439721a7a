"""`aegen evaluate`: how good a model's reconstructions and samples are, beside what real pictures score."""

from typing import TYPE_CHECKING

import click

from .options import chosen_model, done, json_option, model_argument, note, parts, threads_option, usage, with_progress

if TYPE_CHECKING:
    from ..data.datasets import Dataset
    from ..runtime.autoencoder import Autoencoder
    from ..runtime.evaluation.metrics import Metrics
    from ..runtime.evaluation.reality import Reality

SHOWN, ACROSS = 32, 16  # samples beside their nearest training pictures, and in a row of them

judge_option = click.option("--judge", metavar="NAME|PATH", help="Whose features count.  [default: judge-DATA]")
data_option = click.option("--data", default="mnist", show_default=True, metavar="NAME|PATH", help="Real pictures.")
split_option = click.option(
    "--split",
    type=click.Choice(["test", "validation"]),
    default="test",
    show_default=True,
    help="Which of them: choose a model by validation.",
)
count_option = click.option(
    "-n", "count", type=click.IntRange(100), default=10_000, show_default=True, help="Samples, and test pictures."
)
seed_option = click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the samples.")


@click.command
@model_argument
@data_option
@split_option
@judge_option
@click.option("--prior", help="What codes are drawn from.  [default: the artifact's]")
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
    help="Also train one on samples and test it on real pictures; needs torch, and minutes.",
)
@click.option("--nearest", metavar="FILE.png", help="Write samples over the nearest of all training images.")
@json_option
@threads_option
def command(
    argument: str | None,
    model: str | None,
    data: str,
    split: str,
    judge: str | None,
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
    """Measure a model: its reconstructions of test pictures, and as many samples.

    Every measure of samples stands beside its floor, what real training pictures score in the samples' place; the
    docstrings in aegen/runtime/evaluation name the papers. --json prints one object: what was measured, and `metrics`,
    by name, each with `value`, `floor` (or null) and `better`.

    \b
    aegen evaluate --data mnist
    aegen evaluate mnist-vae --data ~/mnist --prior standard --nearest nearest.png --json
    """
    from ..runtime.autoencoder import load
    from ..runtime.evaluation import tables
    from ..runtime.evaluation.metrics import evaluate
    from ..runtime.extras import require_extra
    from ..runtime.files import require_parent
    from ..runtime.outputs import GRIDS, output_suffix

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
    dataset, real = real_pictures(data, split, judge, count, threads)
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

        found = _usefulness(loaded, real, prior, temperature, seed, threads)
        report = dataclasses.replace(report, metrics=report.metrics | found)
    if nearest is not None:
        _write_nearest(nearest, loaded, real, dataset, prior, temperature, seed)
    click.echo(tables.as_json(report) if as_json else tables.report_text(report))


def _usefulness(
    model: "Autoencoder", real: "Reality", prior: str | None, temperature: float | None, seed: int, threads: int | None
) -> "Metrics":
    """Accuracy on the test pictures of a classifier trained on samples, and of one trained on as many real pictures."""
    from ..data.datasets import Pictures
    from ..runtime.errors import InputError
    from ..runtime.evaluation.metrics import HIGH, Metric, labelled
    from ..train.judge import JudgeRecipe, usefulness

    drawn = labelled(model, len(real), prior, temperature, seed)
    if drawn is None or real.floor_labels is None or real.test_labels is None:
        raise InputError("--train-classifier", found="no labels to ask for", expected="a model of labelled pictures")
    test = Pictures(real.test, real.test_labels)
    recipe = JudgeRecipe(channels=16, epochs=5, seed=seed)
    sets = (Pictures(*drawn), Pictures(real.floor, real.floor_labels))
    ours, floor = (usefulness(pictures, test, recipe, threads=threads) for pictures in sets)
    return {"classifier_accuracy": Metric(ours, floor, HIGH)}


def _write_nearest(
    output: str,
    model: "Autoencoder",
    real: "Reality",
    dataset: "Dataset",
    prior: str | None,
    temperature: float | None,
    seed: int,
) -> None:
    """The first samples over those of all training images that look most like them to the judge."""
    from ..runtime.evaluation.neighbours import nearest_in_parts
    from ..runtime.files import write_bytes
    from ..runtime.grid import image_bytes, stacked, tile
    from ..runtime.outputs import output_suffix

    samples = model.sample(SHOWN, seed=seed, prior=prior, temperature=temperature, dtype="uint8")
    images = dataset.train.images
    seen = (real.judge.look(part).features for part in with_progress(parts(images), len(images)))
    places, _ = nearest_in_parts(real.judge.look(samples).features, seen)
    rows = stacked(ACROSS, samples, images[places])
    write_bytes(output, image_bytes(tile(rows, columns=ACROSS, scale=2), output_suffix(output)))
    done(output, f"{SHOWN} samples over their nearest training pictures")


def real_pictures(
    data: str, split: str, judge: str | None, count: int, threads: int | None
) -> "tuple[Dataset, Reality]":
    """A data set, and its pictures as a judge sees them. split: "test" or "validation"."""
    from ..data.datasets import load
    from ..runtime.errors import InputError
    from ..runtime.evaluation.judge import Judge, find_judge
    from ..runtime.evaluation.reality import reality

    dataset = load(data)
    for remark in dataset.remarks:
        note(remark)
    judged = Judge(find_judge(judge, dataset.facts.name), threads=threads)
    if judge is None and judged.facts.data.sha256 != dataset.facts.sha256:
        found, expected = f"a judge of other pictures than {data}", "one trained on them"
        raise InputError(judged.facts.name, found=found, expected=expected, remedy="Choose one with --judge.")
    training, test = dataset.train, dataset.test if split == "test" else dataset.validation
    return dataset, reality(judged, (training.images, training.labels), (test.images, test.labels), count)
