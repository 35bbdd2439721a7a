"""`aegen evaluate`: how good a model's reconstructions and samples are, beside what real pictures score."""

from typing import TYPE_CHECKING

import click

from .options import chosen_model, model_argument, threads_option

if TYPE_CHECKING:
    from ..runtime.evaluation.reality import Reality

judge_option = click.option("--judge", metavar="NAME|PATH", help="Whose features count.  [default: judge-DATA]")
data_option = click.option("--data", default="mnist", show_default=True, metavar="NAME|PATH", help="Real pictures.")
count_option = click.option(
    "-n", "count", type=click.IntRange(100), default=10_000, show_default=True, help="Samples, and test pictures."
)
seed_option = click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the samples.")


@click.command
@model_argument
@data_option
@judge_option
@click.option("--prior", help="What codes are drawn from.  [default: the artifact's]")
@click.option("--temperature", type=click.FloatRange(0), help="Spread of the codes.  [default: the artifact's]")
@count_option
@seed_option
@click.option(
    "--importance-samples", type=click.IntRange(1), default=100, show_default=True, help="For a VAE's likelihood."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@threads_option
def command(
    argument: str | None,
    model: str | None,
    data: str,
    judge: str | None,
    prior: str | None,
    temperature: float | None,
    count: int,
    seed: int,
    importance_samples: int,
    as_json: bool,
    threads: int | None,
) -> None:
    """Measure a model: its reconstructions of test pictures, and as many samples.

    Every measure of samples stands beside its floor, what real training pictures score in the samples' place; the
    docstrings in aegen/runtime/evaluation name the papers. --json prints one object: what was measured, and `metrics`,
    by name, each with `value`, `floor` (or null) and `better`.

    \b
    aegen evaluate --data mnist
    aegen evaluate mnist-vae --data ~/mnist --prior standard --json
    """
    from ..runtime.autoencoder import load
    from ..runtime.evaluation import tables
    from ..runtime.evaluation.metrics import evaluate

    loaded = load(chosen_model(argument, model), threads=threads)
    loaded.draw(0, prior=prior, temperature=temperature)  # refused before the work, not after it
    name, real = real_pictures(data, judge, count, threads)
    report = evaluate(
        loaded,
        real,
        data=name,
        prior=prior,
        temperature=temperature,
        seed=seed,
        importance_samples=importance_samples,
    )
    click.echo(tables.as_json(report) if as_json else tables.report_text(report))


def real_pictures(data: str, judge: str | None, count: int, threads: int | None) -> "tuple[str, Reality]":
    """The name of a data set, and its pictures as a judge sees them."""
    from ..data.datasets import load
    from ..runtime.evaluation.judge import Judge, find_judge
    from ..runtime.evaluation.reality import reality

    dataset = load(data)
    name = dataset.facts.name
    judged = Judge(find_judge(judge, name), threads=threads)
    training, test = dataset.train, dataset.test
    return name, reality(judged, (training.images, training.labels), (test.images, test.labels), count)
