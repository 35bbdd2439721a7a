"""`aegen train-features`: train a feature extractor."""

from pathlib import Path
from typing import Any

import click

from ..recipes.feature_extractor import FeatureExtractorRecipe
from .options import note, threads_option, usage
from .recipe_options import chosen_hyperparameters, recipe_options
from .stopping import raise_pending_signal


@click.command
@click.option("--data", required=True, metavar="NAME|PATH", help="Labelled images, as for `aegen train`.")
@click.option(
    "-o", "target", required=True, type=click.Path(path_type=Path), metavar="FEATURES", help="Folder to write."
)
@threads_option
@recipe_options(FeatureExtractorRecipe)
def command(data: str, target: Path, threads: int | None, **hyperparameters: Any) -> None:
    """Train a feature extractor: a classifier whose features `aegen evaluate` uses to compare images.

    A feature extractor for MNIST ships with aegen. Feature extractors measure models and are never used to train them.

    \b
    aegen train-features --data fashion-mnist -o features-fashion-mnist
    aegen train-features --data ~/images --epochs 30 -o features-images
    """
    with usage():
        recipe = FeatureExtractorRecipe(**chosen_hyperparameters(hyperparameters))

    from ..data.datasets import load
    from ..export.feature_extractor import export_feature_extractor
    from ..files.atomic import require_parent
    from ..files.temporary import exists_nonempty
    from ..runtime.errors import InputError, OutputError
    from ..train.feature_extractor import train_feature_extractor

    require_parent(target)
    if exists_nonempty(target):
        found, remedy = "something there already", "Choose another."
        raise OutputError(str(target), found=found, expected="a new folder", remedy=remedy)
    dataset = load(data)
    for remark in dataset.remarks:
        note(remark)
    for part, images in (("training", dataset.train), ("test", dataset.test)):
        if images.labels is None:
            raise InputError(f"{data}: {part} images", found="no labels", expected="labelled images")

    def report(epoch: int, accuracy: float) -> None:
        click.echo(f"epoch {epoch}/{recipe.epochs}  validation accuracy {100 * accuracy:.2f} %", err=True)
        raise_pending_signal()

    network = train_feature_extractor(recipe, dataset.train, dataset.validation, threads=threads, report=report)
    facts = export_feature_extractor(network, recipe, dataset, target)
    part = "test" if facts.data.test_images else "validation"
    click.echo(f"{target}: accuracy {100 * facts.accuracy:.2f} % on the {part} images", err=True)
