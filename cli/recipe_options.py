"""Generate command-line options from the hyperparameters of recipes, so that each is defined only once."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, TypeVar, get_args, get_origin

import click

from ..recipes.hyperparameters import Hyperparameter, Hyperparameters, hyperparameters

Command = TypeVar("Command", bound=Callable[..., Any])
MAX_SHOWN_LIMIT = 10_000


def recipe_options(*recipes: type[Hyperparameters], alternative: str = "") -> Callable[[Command], Command]:
    """Decorator that adds an option for every hyperparameter. One option serves all recipes that have it.

    An option that is not given is None, and the recipe then uses its default. The recipe checks the value. If recipes
    define a hyperparameter differently, or some lack it, the option's help describes it once for each recipe that has
    it. alternative: what an option may default to instead, such as "the recipe's", for the help.
    """
    by_name: dict[str, dict[str, Hyperparameter]] = {}  # keys: hyperparameter's name, then recipe's stage
    for recipe in recipes:
        for each in hyperparameters(recipe):
            by_name.setdefault(each.name, {})[recipe.stage] = each

    def add(command: Command) -> Command:
        for name, by_stage in reversed(by_name.items()):
            texts = {stage: _help(each, alternative) for stage, each in by_stage.items()}
            same = len(texts) == len(recipes) and len({*texts.values()}) == 1
            text = next(iter(texts.values())) if same else "  ".join(f"{stage}: {texts[stage]}" for stage in texts)
            settings = _settings(next(iter(by_stage.values())))
            command = click.option(f"--{name.replace('_', '-')}", help=text, **settings)(command)
        return command

    return add


def chosen_hyperparameters(options: dict[str, Any]) -> dict[str, Any]:
    """The hyperparameters that were set on the command line, by name."""
    return {name: value for name, value in options.items() if value is not None}


def _settings(each: Hyperparameter) -> dict[str, Any]:
    """The arguments of `click.option` for a hyperparameter."""
    if each.limits.choices:
        return {"type": click.Choice(each.limits.choices)}
    if get_origin(each.kind) is not tuple:
        return {"type": each.kind}
    number, *rest = get_args(each.kind)
    return {"callback": _numbers(number), "metavar": "N,N,..." if rest == [Ellipsis] else "LOW,HIGH"}


def _numbers(number: Callable[[str], Any]) -> Callable[..., Any]:
    """Return a callback for click that converts numbers with commas between them, such as `256,64`, to a tuple."""

    def read(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[Any, ...] | None:
        try:
            return None if value is None else tuple(number(part) for part in value.split(",") if part)
        except ValueError:
            raise click.BadParameter("expected numbers with commas between them") from None

    return read


def _help(each: Hyperparameter, alternative: str) -> str:
    """The help of an option: meaning, default and range. Upper limits above MAX_SHOWN_LIMIT are not shown."""
    limits = each.limits
    if limits.at_most > MAX_SHOWN_LIMIT:
        limits = dataclasses.replace(limits, at_most=math.inf)
    shown_range = "" if limits.choices else str(limits)
    default = f"default: {each.default_text}{f', or {alternative}' if alternative else ''}"
    return f"{each.meaning}  [{'; '.join(fact for fact in (default, shown_range) if fact)}]"
