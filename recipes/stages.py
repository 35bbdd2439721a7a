"""The stages of training that a learned prior went through."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..runtime.records import from_json
from .distillation import DistillationRecipe
from .hyperparameters import Hyperparameters
from .learned_priors import LEARNED_PRIORS
from .refinement import RefinementRecipe

OF_PRIORS: tuple[type[Hyperparameters], ...] = (*LEARNED_PRIORS.values(), DistillationRecipe, RefinementRecipe)
RECIPES = {recipe.stage: recipe for recipe in OF_PRIORS}


@dataclass(frozen=True)
class Stage:
    """One stage: its recipe, and the number of CPU threads, on which the result depends."""

    recipe: Hyperparameters
    threads: int


def stored_stages(stages: Iterable[Stage]) -> list[dict[str, Any]]:
    """Convert stages to plain values (dictionaries, texts, numbers), to store them in a file."""
    return [
        {"stage": each.recipe.stage, "recipe": dataclasses.asdict(each.recipe), "threads": each.threads}
        for each in stages
    ]


def read_stages(stored: list[dict[str, Any]], where: str) -> tuple[Stage, ...]:
    """Stages from the plain values that `stored_stages` returned. where: the file's name, for error messages.

    Raises InputError, KeyError or TypeError when the values are damaged.
    """
    return tuple(
        Stage(from_json(RECIPES[each["stage"]], each["recipe"], where), int(each["threads"])) for each in stored
    )
