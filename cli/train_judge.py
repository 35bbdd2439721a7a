"""`aegen train-judge`: the classifier by whose features pictures are compared."""

from pathlib import Path

import click

from .options import note, threads_option
from .stopping import end_if_told


@click.command
@click.option("--data", required=True, metavar="NAME|PATH", help="Labelled pictures, as for `aegen train`.")
@click.option("-o", "target", required=True, type=click.Path(path_type=Path), metavar="JUDGE", help="Folder to make.")
@click.option("--epochs", type=click.IntRange(1), default=15, show_default=True, help="Passes over the pictures.")
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of weights, order and chance."
)
@threads_option
def command(data: str, target: Path, epochs: int, seed: int, threads: int | None) -> None:
    """Train a judge: a classifier whose features `aegen evaluate` compares pictures by.

    MNIST needs none, for its judge ships with aegen. A judge is never used to train what it judges.

    \b
    aegen train-judge --data fashion-mnist -o judge-fashion-mnist
    aegen train-judge --data ~/pictures --epochs 30 -o judge-pictures
    """
    from ..data.datasets import load
    from ..export.judge import export_judge
    from ..runtime.errors import InputError, OutputError
    from ..runtime.files import require_parent, taken
    from ..train.judge import JudgeRecipe, train_judge

    require_parent(target)
    if taken(target):
        raise OutputError(
            str(target), found="something there already", expected="a new folder", remedy="Choose another."
        )
    dataset = load(data)
    for remark in dataset.remarks:
        note(remark)
    for part, pictures in (("training", dataset.train), ("test", dataset.test)):
        if pictures.labels is None:
            raise InputError(f"{data}: {part} pictures", found="no labels", expected="labelled pictures")
    recipe = JudgeRecipe(epochs=epochs, seed=seed)

    def report(epoch: int, accuracy: float) -> None:
        click.echo(f"epoch {epoch}/{epochs}  validation accuracy {100 * accuracy:.2f} %", err=True)
        end_if_told()

    network = train_judge(recipe, dataset.train, dataset.validation, threads=threads, report=report)
    facts = export_judge(network, recipe, dataset, target)
    measured = "test" if facts.data.test_images else "validation"
    click.echo(f"{target}: {100 * facts.accuracy:.2f} % of the {measured} pictures told right", err=True)
