"""`aegen plot quality`: show the quality of samples beside the time that they take."""

from functools import partial
from typing import TYPE_CHECKING

import click

from .compare import model_and_prior
from .data_sets import load_data, read_options
from .evaluate import count_option, features_option, load_reference, samples_seed_option, split_option
from .figure_options import check_output, figure_options, publish
from .messages import plural, progress_bars
from .options import threads_option

if TYPE_CHECKING:
    from ..evaluation.reference import ReferenceSet
    from ..images.read_options import ReadOptions
    from ..plots.quality import Distances
    from ..runtime.autoencoder import Autoencoder


@click.command
@click.argument("models", metavar="[MODEL[:PRIOR]]...", nargs=-1)
@click.option("--data", metavar="NAME|PATH", help="Real images.  [required unless --scores]")
@click.option(
    "--scores",
    metavar="FILE",
    multiple=True,
    help="JSON of `aegen evaluate` or `aegen compare`, in place of --data.  [default: measured]",
)
@read_options
@split_option
@features_option
@count_option
@samples_seed_option
@click.option(
    "--batch",
    type=click.IntRange(1, 65_536),
    default=1024,
    show_default=True,
    help="Images that are sampled at a time.",
)
@figure_options
@threads_option
def command(
    models: tuple[str, ...],
    data: str | None,
    scores: tuple[str, ...],
    split: str,
    extractor: str | None,
    count: int,
    seed: int,
    batch: int,
    output: str | None,
    as_json: bool,
    threads: int | None,
    reading: "ReadOptions",
) -> None:
    """Show the Frechet distance of samples to real images beside the time that an image takes on this machine.

    Without MODEL all shipped models are shown, each with all of its priors. The distances are measured with --data, or
    taken from files, whose models are found by their names or among MODEL. The times are measured here. A dashed line
    is the distance of real training images, which a perfect model would have.

    --json prints one object: {"points", "reference", "count", "data", "split", "batch", "threads"}. Each point has
    "model", "prior", "frechet_distance" and "microseconds", the shortest measured time for an image.

    \b
    aegen plot quality --data mnist -o quality.png
    aegen plot quality --scores scores.json -o quality.svg
    """
    if (data is None) == (not scores):
        raise click.UsageError("Give real images with --data, or measured distances with --scores.")
    check_output(output, as_json)
    from ..plots import quality
    from ..runtime.artifact import shipped
    from ..runtime.autoencoder import load
    from ..runtime.threads import chosen_threads

    pairs = [model_and_prior(model) for model in models]
    if data is None:
        distances = quality.read_distances(scores)
        named = [load(name, threads=threads) for name, _ in pairs]
        loaded = {model.name: model for model in named}
        for scored, scored_prior in distances.by_prior:
            loaded[scored] = loaded.get(scored) or load(scored, threads=threads)
            loaded[scored].sample_latents(0, prior=scored_prior)
    else:
        chosen: list[tuple[str, str | None]] = pairs or [(name, None) for name in shipped()]
        opened = {name: load(name, threads=threads) for name, _ in chosen}
        if len({model.name for model in opened.values()}) < len(opened):
            raise click.UsageError("Two models have the same name. Rename one in its manifest.json.")
        for name, prior in chosen:
            opened[name].sample_latents(0, prior=prior)  # raises an error for an unknown prior before the measurement
        dataset = load_data(data, reading)
        reference = load_reference(dataset, split, extractor, count, threads)
        distances = _measured(
            [(opened[name], prior) for name, prior in chosen], reference, dataset.facts.name, split, seed
        )
        loaded = {model.name: model for model in opened.values()}
    with progress_bars() as report:
        measured = quality.quality(loaded, distances, batch=batch, threads=chosen_threads(threads), report=report)
    publish(quality, measured, output, plural(len(measured.points), "prior"), as_json=as_json)


def _measured(
    chosen: "list[tuple[Autoencoder, str | None]]", reference: "ReferenceSet", data: str, split: str, seed: int
) -> "Distances":
    """Measure the distances of models, each with one prior, or with all if it is None."""
    from ..plots.priors import reference_distance, sample_distance
    from ..plots.quality import Distances

    by_prior = {}
    with progress_bars() as report:
        for model, prior in chosen:
            for name in model.priors if prior is None else [prior]:
                step = partial(report, f"{model.name}: {name}")
                by_prior[model.name, name] = sample_distance(model, name, reference, seed=seed, report=step)
    return Distances(by_prior, reference_distance(reference), len(reference), data, split)
