"""`aegen compare`: show the scores of several models and priors in one table."""

from typing import TYPE_CHECKING

import click

from .data_sets import load_data, read_options
from .evaluate import count_option, data_option, features_option, load_reference, samples_seed_option, split_option
from .messages import progress_bars, say
from .options import threads_option

if TYPE_CHECKING:
    from ..images.read_options import ReadOptions


@click.command
@click.argument("models", metavar="MODEL[:PRIOR]...", nargs=-1, required=True)
@data_option
@read_options
@split_option
@features_option
@count_option
@samples_seed_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
    help="Format of the table.",
)
@threads_option
def command(
    models: tuple[str, ...],
    data: str,
    split: str,
    extractor: str | None,
    count: int,
    seed: int,
    form: str,
    threads: int | None,
    reading: "ReadOptions",
) -> None:
    """Score models and priors side by side.

    A model is a shipped name or the path of an artifact; `:PRIOR` after it chooses one of its priors. The last row of
    the table holds the reference values: the scores that real training images get in place of samples.
    `--format json` prints a list of the objects that `aegen evaluate --json` prints.

    \b
    aegen compare mnist-ae:gaussian mnist-ae:gmm mnist-vae:standard --data mnist
    aegen compare ./a ./b --data ~/images --features ./features --format json
    """
    from ..evaluation import tables
    from ..evaluation.report import Evaluator
    from ..runtime.autoencoder import load

    pairs = [model_and_prior(model) for model in models]
    loaded = {name: load(name, threads=threads) for name, _ in pairs}
    for name, prior in pairs:
        loaded[name].sample_latents(0, prior=prior)  # raises an error for an unknown prior before scoring begins
    dataset = load_data(data, reading)
    reference = load_reference(dataset, split, extractor, count, threads)
    reports, reconstructions = [], {}
    with progress_bars() as progress:
        evaluator = Evaluator(reference, dataset.facts.name, split, seed, progress=progress)
        for name, prior in pairs:
            model = loaded[name]
            say(f"{model.name}: {prior or model.manifest.default_prior} ...")
            if name not in reconstructions:
                reconstructions[name] = evaluator.reconstruction(model)
            reports.append(evaluator.report(model, prior=prior, reconstruction=reconstructions[name]))
    if form == "json":
        click.echo(f"[{', '.join(map(tables.as_json, reports))}]")
    else:
        rows = tables.comparison(reports)
        table = tables.as_text(rows) if form == "text" else tables.as_markdown(rows)
        click.echo("\n".join([table, "", *tables.counts(reports[0])]))


def model_and_prior(model: str) -> tuple[str, str | None]:
    """Split MODEL[:PRIOR]; the prior is None if it is missing. A colon in an existing path belongs to the path."""
    from pathlib import Path

    name, colon, prior = model.rpartition(":")
    return (name, prior) if colon and not Path(model).exists() else (model, None)
