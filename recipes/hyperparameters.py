"""Rules that hyperparameters must pass."""

from collections.abc import Iterable
from typing import Any

from ..runtime.errors import InputError

MAX_SEED = 2**63 - 1  # torch's
Rule = tuple[bool, str, str]  # whether it holds, the hyperparameter, what is expected of it


def check_hyperparameters(kind: str, recipe: Any, rules: Iterable[Rule]) -> None:
    """Raise InputError for the first rule that does not hold, naming the recipe, the hyperparameter and its value."""
    for holds, hyperparameter, expected in rules:
        if not holds:
            raise InputError(f"{kind}: {hyperparameter}", found=getattr(recipe, hyperparameter), expected=expected)


def one_of(hyperparameter: str, value: str, options: Any) -> Rule:
    """The rule that a text is one of some options."""
    return value in options, hyperparameter, f"one of {', '.join(options)}"
