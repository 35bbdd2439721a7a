"""`aegen report`: write one HTML page about a model."""

from typing import TYPE_CHECKING

import click

from .data_sets import load_data, read_options
from .evaluate import features_option
from .messages import done, progress_bars
from .options import chosen_model, model_argument, seed_option, threads_option

if TYPE_CHECKING:
    from ..data.datasets import Dataset
    from ..evaluation.feature_extractor import FeatureExtractor
    from ..images.read_options import ReadOptions

SUFFIXES = (".html", ".htm")


@click.command
@model_argument
@click.option("-o", "--output", required=True, metavar="OUTPUT", help="Where to write: one page (.html).")
@click.option("--data", metavar="NAME|PATH", help="Real images to show and to measure against.  [default: none]")
@read_options
@features_option
@click.option(
    "-n",
    "count",
    type=click.IntRange(1),
    default=2000,
    show_default=True,
    help="Real images to use, and samples to measure; fewer if there are fewer real images.",
)
@seed_option("Seed of the samples.", default=0)
@click.option("--no-speed", is_flag=True, help="Do not measure the speed. Then equal inputs give equal pages.")
@threads_option
def command(
    argument: str | None,
    model: str | None,
    output: str,
    data: str | None,
    extractor: str | None,
    count: int,
    seed: int,
    no_speed: bool,
    threads: int | None,
    reading: "ReadOptions",
) -> None:
    """Write a page about a model: what it is, what it samples, how good and how fast it is.

    The page is one HTML file that loads nothing else. It shows samples of each prior, reconstructions, interpolation,
    latents, traversals, the nearest training images, metrics, speed, parity and provenance. What cannot be shown, such
    as reconstructions without --data, says why. Needs the extra `plot`.

    \b
    aegen report --data mnist -o report.html
    aegen report ./my-artifact --data my-images/ -n 500 -o report.html
    """
    from ..files.atomic import require_parent, write_bytes
    from ..runtime.autoencoder import load
    from ..runtime.extras import require_extra

    if not output.lower().endswith(SUFFIXES):
        raise click.UsageError(f"--output: found {output}, expected a name that ends in .html")
    require_extra("plot", "make a report")
    require_parent(output)
    from ..report.page import html, page
    from ..report.subject import Subject

    loaded = load(chosen_model(argument, model), threads=threads)
    dataset = None if data is None else load_data(data, reading)
    features = None if dataset is None else _feature_extractor(extractor, dataset, threads)
    subject = Subject(loaded, dataset, features, count=count, seed=seed, speed=not no_speed)
    with progress_bars() as progress:
        content = html(page(subject, progress)).encode()
    write_bytes(output, content)
    done(output, f"report on {loaded.name}, {len(content):,} bytes")


def _feature_extractor(extractor: str | None, dataset: "Dataset", threads: int | None) -> "FeatureExtractor | None":
    """The feature extractor that the user named, or else the one of the data set; None if there is none."""
    from ..evaluation.feature_extractor import FeatureExtractor, find_feature_extractor
    from ..runtime.errors import NotFoundError

    if extractor is not None:
        return FeatureExtractor(find_feature_extractor(extractor, dataset.facts.name), threads=threads)
    try:
        found = FeatureExtractor(find_feature_extractor(None, dataset.facts.name), threads=threads)
    except NotFoundError:
        return None
    return found if found.record.data.sha256 == dataset.facts.sha256 else None
