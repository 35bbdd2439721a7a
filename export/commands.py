"""The commands that make an artifact again, as they are recorded in its manifest."""

import dataclasses
import shlex
from collections.abc import Iterator

from ..recipes.feature_extractor import FeatureExtractorRecipe
from ..recipes.flow import FlowRecipe
from ..recipes.refinement import RefinementRecipe
from ..recipes.training import Recipe
from ..train.checkpoint import BEST, Checkpoint
from ..train.priors import LearnedPrior


def recorded_commands(
    checkpoint: Checkpoint, learned: LearnedPrior | None, data: str, name: str, settings: dict[str, str]
) -> tuple[str, ...]:
    """The commands that train, train a prior and refine where that was done, and export; paths are generic.

    settings: of the export, by option.
    """

    def part(run: str) -> str:
        return run if checkpoint.file == BEST else f"{run}/{checkpoint.file}"

    run = f"runs/{name}"
    source = part(run)
    commands = [["aegen", "train", "--data", data, *changed_options(checkpoint.recipe), "-o", run]]
    if learned is not None:
        commands.append(["aegen", "train-prior", source, *changed_options(learned.recipe)])
    if checkpoint.refinement is not None:
        refined = f"{run}-refined"
        commands.append(["aegen", "refine", source, *changed_options(checkpoint.refinement), "-o", refined])
        source = part(refined)
    commands.append(["aegen", "export", source, *_flat(settings), "-o", name])
    return tuple(map(shlex.join, commands))


def changed_options(recipe: Recipe | FlowRecipe | FeatureExtractorRecipe | RefinementRecipe) -> list[str]:
    """An option for every hyperparameter that is not at its default."""
    changed = {
        field.name: getattr(recipe, field.name)
        for field in dataclasses.fields(recipe)
        if getattr(recipe, field.name) != field.default
    }
    return list(
        _flat({f"--{hyperparameter.replace('_', '-')}": _text(value) for hyperparameter, value in changed.items()})
    )


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _flat(options: dict[str, str]) -> Iterator[str]:
    for option, value in options.items():
        yield from (option, value)
