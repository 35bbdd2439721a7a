"""`aegen train-features`: train a feature extractor."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..recipes.feature_extractor import FeatureExtractorRecipe
from .options import folder_output, note, threads_option, usage
from .recipe_options import chosen_hyperparameters, recipe_options
from .stopping import raise_pending_signal

if TYPE_CHECKING:
    from ..data.datasets import Dataset
    from ..train.feature_extractor import FeatureNetwork, FeatureProgress


@click.command
@click.option("--data", required=True, metavar="NAME|PATH", help="Labelled images, as for `aegen train`.")
@folder_output("target")
@click.option("--resume", is_flag=True, help="Continue an unfinished training.")
@threads_option
@recipe_options(FeatureExtractorRecipe)
def command(data: str, target: Path, resume: bool, threads: int | None, **hyperparameters: Any) -> None:
    """Train a feature extractor: a classifier whose features `aegen evaluate` uses to compare images.

    A feature extractor for MNIST ships with aegen. Feature extractors measure models and are never used to train them.
    Unfinished training leaves a file OUTPUT-training.pt; --resume continues from there, with the same result as without
    the interruption.

    \b
    aegen train-features --data fashion-mnist -o features-fashion-mnist
    aegen train-features --data ~/images --epochs 30 -o features-images
    """
    overrides = chosen_hyperparameters(hyperparameters)
    if resume and overrides:
        raise click.UsageError("--resume takes the recipe of the unfinished training.")
    with usage():
        recipe, state = FeatureExtractorRecipe(**overrides), None

    from ..data.datasets import load
    from ..evaluation.feature_extractor import FeatureExtractor
    from ..export.feature_extractor import export_feature_extractor
    from ..files.atomic import require_parent
    from ..files.temporary import clear_partial_files, exists_nonempty
    from ..runtime.errors import InputError, OutputError
    from ..train.feature_extractor import read_training

    require_parent(target)
    unfinished = target.with_name(f"{target.resolve().name}-training.pt")
    if resume and exists_nonempty(target):
        FeatureExtractor(target)  # raises an error if the folder holds something else
        unfinished.unlink(missing_ok=True)
        click.echo(f"{target}: training is finished.", err=True)
        return
    if exists_nonempty(target):
        found, remedy = "something there already", "Choose another."
        raise OutputError(str(target), found=found, expected="a new folder", remedy=remedy)
    if unfinished.exists() and not resume:
        remedy = "Continue it with --resume, or delete it to begin anew."
        raise OutputError(str(unfinished), found="an unfinished training", expected="none", remedy=remedy)
    dataset = load(data)
    for remark in dataset.remarks:
        note(remark)
    for part, images in (("training", dataset.train), ("test", dataset.test)):
        if images.labels is None:
            raise InputError(f"{data}: {part} images", found="no labels", expected="labelled images")
    clear_partial_files(target.parent, (unfinished.name,), resumed=True)
    if resume:
        recipe, state = read_training(unfinished, dataset)
    network = _train(recipe, dataset, state, unfinished, threads)
    facts = export_feature_extractor(network, recipe, dataset, target)
    unfinished.unlink(missing_ok=True)
    part = "test" if facts.data.test_images else "validation"
    click.echo(f"{target}: accuracy {100 * facts.accuracy:.2f} % on the {part} images", err=True)


def _train(
    recipe: FeatureExtractorRecipe,
    dataset: "Dataset",
    state: dict[str, Any] | None,
    unfinished: Path,
    threads: int | None,
) -> "FeatureNetwork":
    """Train a feature extractor, print the progress, and save the state in a file, from which it can be resumed."""
    from ..train.feature_extractor import save_training, train_feature_extractor

    def report(progress: "FeatureProgress") -> None:
        accuracy = 100 * progress.accuracy
        click.echo(f"epoch {progress.epoch}/{recipe.epochs}  validation accuracy {accuracy:.2f} %", err=True)
        raise_pending_signal()

    def keep(state: dict[str, Any]) -> None:
        save_training(state, recipe, dataset, unfinished)

    try:
        return train_feature_extractor(
            recipe, dataset.train, dataset.validation, threads=threads, resume=state, report=report, keep=keep
        )
    except KeyboardInterrupt:
        if unfinished.exists():
            click.echo(f"{unfinished} keeps the state of the last epoch; --resume continues from it.", err=True)
        raise
