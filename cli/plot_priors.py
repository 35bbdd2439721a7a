"""`aegen plot priors`: show samples of every prior, and their distances to real images."""

from typing import TYPE_CHECKING

import click

from .data_sets import load_data, read_options
from .evaluate import features_option, load_reference, split_option
from .figure_options import check_output, figure_options, publish
from .messages import plural, progress_bars
from .options import chosen_model, model_argument, seed_option, threads_option

if TYPE_CHECKING:
    from ..images.read_options import ReadOptions


@click.command
@model_argument
@click.option("--data", metavar="NAME|PATH", help="Real images, to which distances are shown.  [default: none]")
@read_options
@split_option
@features_option
@click.option(
    "-n",
    "count",
    type=click.IntRange(100),
    default=10_000,
    show_default=True,
    help="How many samples to compare with as many real images; fewer if there are fewer real images.",
)
@click.option("--columns", type=click.IntRange(1, 48), default=12, show_default=True, help="Images in a row.")
@seed_option("Seed of the samples.", default=0)
@figure_options
@threads_option
def command(
    argument: str | None,
    model: str | None,
    data: str | None,
    split: str,
    extractor: str | None,
    count: int,
    columns: int,
    seed: int,
    output: str | None,
    as_json: bool,
    threads: int | None,
    reading: "ReadOptions",
) -> None:
    """Show a row of samples for each prior, beside the Frechet distance of many such samples to real images.

    The lower the distance, the better the prior. With --data, rows go from the worst prior to the best, and the last
    row shows real training images with their own distance, which a perfect model would have. The distances are those
    of `aegen evaluate` with the same options.

    --json prints one object: {"model", "default", "seed", "data", "split", "count", "rows"}. Each row has "title",
    "images" and "frechet_distance"; "default" is the model's default prior. Without --data, distances, "data", "split"
    and "count" are null.

    \b
    aegen plot priors mnist-ae --data mnist -o priors.png
    aegen plot priors mnist-vae -o priors.svg
    """
    check_output(output, as_json)
    from ..plots import priors
    from ..runtime.autoencoder import load

    loaded = load(chosen_model(argument, model), threads=threads)
    distances = None
    if data is not None:
        dataset = load_data(data, reading)
        reference = load_reference(dataset, split, extractor, count, threads)
        with progress_bars() as report:
            distances = priors.prior_distances(loaded, reference, dataset.facts.name, split, seed=seed, report=report)
    samples = priors.prior_samples(loaded, columns=columns, seed=seed, distances=distances)
    publish(priors, samples, output, plural(len(loaded.priors), "prior"), as_json=as_json)
