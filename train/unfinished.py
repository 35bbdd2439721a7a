"""Write and read files with the state of an unfinished training, from which the training can be continued."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from ..recipes.hyperparameters import Hyperparameters
from ..runtime.errors import InputError, NotFoundError
from ..runtime.records import from_json
from .archives import DAMAGED, State, read_archive, write_archive

FORMAT = 1
Recipe = TypeVar("Recipe", bound=Hyperparameters)


def save_unfinished(path: Path, recipe: Hyperparameters, belongs_to: Mapping[str, str], state: State) -> None:
    """Write the state of an unfinished training to a file, atomically.

    belongs_to: the fingerprints of everything that the training depends on, such as its encoder or its data.
    """
    header = {"format": FORMAT, "stage": recipe.stage, "recipe": dataclasses.asdict(recipe)}
    write_archive(path, {**header, "belongs_to": dict(belongs_to), "state": state})


def read_unfinished(
    path: Path, recipes: Iterable[type[Recipe]], belongs_to: Mapping[str, str], expected: str
) -> tuple[Recipe, State]:
    """Read the recipe and the state of an unfinished training.

    recipes: the recipe classes that the training may have. belongs_to: fingerprints that must equal those given to
    `save_unfinished`. expected: what the file should be, for error messages.
    Raises NotFoundError when there is no such file, InputError when it is damaged or has other fingerprints.
    """
    if not path.is_file():
        raise NotFoundError(str(path), found="no such file", expected=expected, remedy="Begin anew.")
    content, remedy = read_archive(path, FORMAT, expected), "Delete it, and begin anew."
    try:
        kinds = {recipe.stage: recipe for recipe in recipes}
        recipe = from_json(kinds[content["stage"]], content["recipe"], str(path))
        found, state = content["belongs_to"], content["state"]
        others = [name for name, fingerprint in belongs_to.items() if found[name] != fingerprint]
        if not isinstance(state, dict):
            raise TypeError("the state is no dictionary")
    except (LookupError, TypeError, InputError) as error:
        raise InputError(str(path), found=DAMAGED, expected=expected, remedy=remedy) from error
    if others:
        raise InputError(str(path), found=f"one of another {' and '.join(others)}", expected=expected, remedy=remedy)
    return recipe, state
