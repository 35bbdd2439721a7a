"""`aegen train-features`: the classifier by whose features images are compared."""

from pathlib import Path

import click

from .options import note, threads_option
from .stopping import end_if_told


@click.command
@click.option("--data", required=True, metavar="NAME|PATH", help="Labelled images, as for `aegen train`.")
@click.option("-o", "target", required=True, type=click.Path(path_type=Path), metavar="JUDGE", help="Folder to make.")
@click.option("--epochs", type=click.IntRange(1), default=15, show_default=True, help="Passes over the images.")
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of weights, order and chance."
)
@threads_option
def command(data: str, target: Path, epochs: int, seed: int, threads: int | None) -> None:
    """Train a feature extractor: a classifier whose features `aegen evaluate` compares images by.

    MNIST needs none, for its feature extractor ships with aegen. A feature extractor is never used to train what it measures.

    \b
    aegen train-features --data fashion-mnist -o features-fashion-mnist
    aegen train-features --data ~/images --epochs 30 -o features-images
    """
    from ..data.datasets import load
    from ..export.feature_extractor import export_feature_extractor
    from ..files.atomic import require_parent, taken
    from ..recipes.feature_extractor import FeatureExtractorRecipe
    from ..runtime.errors import InputError, OutputError
    from ..train.feature_extractor import train_feature_extractor

    require_parent(target)
    if taken(target):
        raise OutputError(
            str(target), found="something there already", expected="a new folder", remedy="Choose another."
        )
    dataset = load(data)
    for remark in dataset.remarks:
        note(remark)
    for part, images in (("training", dataset.train), ("test", dataset.test)):
        if images.labels is None:
            raise InputError(f"{data}: {part} images", found="no labels", expected="labelled images")
    recipe = FeatureExtractorRecipe(epochs=epochs, seed=seed)

    def report(epoch: int, accuracy: float) -> None:
        click.echo(f"epoch {epoch}/{epochs}  validation accuracy {100 * accuracy:.2f} %", err=True)
        end_if_told()

    network = train_feature_extractor(recipe, dataset.train, dataset.validation, threads=threads, report=report)
    facts = export_feature_extractor(network, recipe, dataset, target)
    measured = "test" if facts.data.test_images else "validation"
    click.echo(f"{target}: {100 * facts.accuracy:.2f} % of the {measured} images told right", err=True)
