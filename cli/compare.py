"""`aegen compare`: models and priors in one table."""

import click

from .evaluate import count_option, data_option, feature_extractor_option, real_images, seed_option, split_option
from .options import threads_option
from .stopping import end_if_told


@click.command
@click.argument("models", metavar="MODEL[:PRIOR]...", nargs=-1, required=True)
@data_option
@split_option
@feature_extractor_option
@count_option
@seed_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
    help="Of the table.",
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
) -> None:
    """Measure models and priors side by side.

    A model is a shipped name or the path of an artifact; `:PRIOR` after it chooses one of its priors. The last row is
    the floor: real training images in the place of samples. JSON is a list of what `aegen evaluate --json` prints.

    \b
    aegen compare mnist-ae:gaussian mnist-ae:gmm mnist-vae:standard --data mnist
    aegen compare ./mine ./yours --data ~/images --features ./features-images --format markdown
    """
    from ..evaluation import tables
    from ..evaluation.metrics import evaluate, reconstruction
    from ..runtime.autoencoder import load

    pairs = list(map(_parted, models))
    loaded = {name: load(name, threads=threads) for name, _ in pairs}
    for name, prior in pairs:
        loaded[name].draw(0, prior=prior)  # a prior that is not there is an error before the work, not after it
    dataset, real = real_images(data, split, extractor, count, threads)
    reports, rebuilt = [], {}
    for name, prior in pairs:
        end_if_told()
        model = loaded[name]
        click.echo(f"{model.name}: {prior or model.manifest.default_prior} ...", err=True)
        if name not in rebuilt:
            rebuilt[name] = reconstruction(model, real, seed=seed)
        reports.append(
            evaluate(
                model,
                real,
                data=dataset.facts.name,
                split=split,
                prior=prior,
                seed=seed,
                reconstructions=rebuilt[name],
            )
        )
    if form == "json":
        click.echo(f"[{', '.join(map(tables.as_json, reports))}]")
    else:
        rows = tables.comparison(reports)
        click.echo(tables.as_text(rows) if form == "text" else tables.as_markdown(rows))


def _parted(model: str) -> tuple[str, str | None]:
    """A model and its prior; a colon in the path of an artifact is the path's."""
    from pathlib import Path

    name, colon, prior = model.rpartition(":")
    return (name, prior) if colon and not Path(model).exists() else (model, None)
