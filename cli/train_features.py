"""`aegen train-features`: train a feature extractor."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..recipes.feature_extractor import FeatureExtractorRecipe
from .data_sets import load_data, read_options
from .messages import say
from .next_steps import after_train_features, say_next
from .options import folder_output, threads_option, usage
from .recipe_options import chosen_hyperparameters, recipe_options
from .resumable import refuse_unfinished, run_resumable

if TYPE_CHECKING:
    from ..data.datasets import Dataset
    from ..images.read_options import ReadOptions
    from ..train.feature_extractor import FeatureNetwork, FeatureProgress


@click.command
@click.option("--data", required=True, metavar="NAME|PATH", help="Images, as for `aegen train`, mostly with labels.")
@folder_output("target")
@click.option("--resume", is_flag=True, help="Continue an unfinished training.")
@read_options
@threads_option
@recipe_options(FeatureExtractorRecipe)
def command(
    data: str, target: Path, resume: bool, threads: int | None, reading: "ReadOptions", **hyperparameters: Any
) -> None:
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

    from ..data.orientations import with_orientations
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
        say(f"{target}: training is finished.")
        say_next(*after_train_features(target, data))
        return
    if exists_nonempty(target):
        found, remedy = "something there already", "Choose another."
        raise OutputError(str(target), found=found, expected="a new folder", remedy=remedy)
    if not resume:
        refuse_unfinished(unfinished)
    dataset = load_data(data, reading)
    clear_partial_files(target.parent, (unfinished.name,), resumed=True)
    if resume:
        recipe, state = read_training(unfinished, dataset)
    if recipe.orientations:
        dataset = with_orientations(dataset)
    for part, images in (("training", dataset.train), ("test", dataset.test)):
        if images.labels is None:
            remedy = "`--orientations True` needs no labels."
            raise InputError(f"{data}: {part} images", found="no labels", expected="labelled images", remedy=remedy)
    network = _train(recipe, dataset, state, unfinished, threads)
    facts = export_feature_extractor(network, recipe, dataset, target)
    unfinished.unlink(missing_ok=True)
    part = "test" if facts.data.test_images else "validation"
    say(f"{target}: accuracy {100 * facts.accuracy:.2f} % on the {part} images")
    say_next(*after_train_features(target, data))


def _train(
    recipe: FeatureExtractorRecipe,
    dataset: "Dataset",
    state: dict[str, Any] | None,
    unfinished: Path,
    threads: int | None,
) -> "FeatureNetwork":
    """Train a feature extractor, print the progress, and save the state in a file, from which it can be resumed."""
    from ..train.feature_extractor import save_training, train_feature_extractor

    def describe(progress: "FeatureProgress") -> str:
        return f"epoch {progress.epoch}/{recipe.epochs}  validation accuracy {100 * progress.accuracy:.2f} %"

    def save(state: dict[str, Any]) -> None:
        save_training(state, recipe, dataset, unfinished)

    images = dataset.train, dataset.validation
    train = partial(train_feature_extractor, recipe, *images, threads=threads, resume=state)
    return run_resumable(train, describe, save, unfinished, "epoch")
