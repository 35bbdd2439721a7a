"""The base class of all recipes. Every field of a recipe states its default, its meaning and its allowed values."""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, get_args, get_origin

from ..runtime.errors import InputError

MAX_SEED = 2**63 - 1  # maximum seed: the largest signed 64-bit integer
MAX_STEPS = 10**9  # limit on the numbers of steps, epochs and images in a batch; a larger number is probably a typo
ITEM_NAMES = {int: "whole numbers", float: "numbers", str: "texts"}


@dataclass(frozen=True)
class Limits:
    """The allowed values of a hyperparameter, or of each item of a tuple.

    at_least, at_most: inclusive bounds of a number. above, below: exclusive bounds of a number. choices: the allowed
    strings; empty if the value is a number.
    """

    at_least: float = -math.inf
    at_most: float = math.inf
    above: float = -math.inf
    below: float = math.inf
    choices: tuple[str, ...] = ()

    def allow(self, value: Any) -> bool:
        """Whether a value is within the limits. In a tuple, every item must be within them. NaN is never allowed."""
        if isinstance(value, tuple):
            return all(self.allow(item) for item in value)
        if self.choices:
            return value in self.choices
        return bool(self.at_least <= value <= self.at_most and self.above < value < self.below)

    def __str__(self) -> str:
        """The limits in words, such as `from 0 to below 1`, or the list of choices; empty if there are no limits."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        lower = f"above {self.above:g}" if self.above > -math.inf else ""
        if self.at_least > -math.inf:
            lower = f"from {self.at_least:g}"
        upper = f"to below {self.below:g}" if self.below < math.inf else ""
        if self.at_most < math.inf:
            upper = f"to {self.at_most:,}" if isinstance(self.at_most, int) else f"to {self.at_most:g}"
        return " ".join(part for part in (lower, upper) if part)


def hyperparameter(
    default: Any,
    meaning: str,
    *,
    at_least: float = -math.inf,
    at_most: float = math.inf,
    above: float = -math.inf,
    below: float = math.inf,
    choices: tuple[str, ...] = (),
    default_text: str = "",
) -> Any:
    """Define a field of a recipe.

    default: the field's default value. meaning: one line of text, which is also the help of the command-line option.
    default_text: the default in words, if it depends on the training images. The other parameters are those of
    `Limits`.
    """
    limits = Limits(at_least, at_most, above, below, choices)
    metadata = {"meaning": meaning, "limits": limits, "default_text": default_text}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Hyperparameter:
    """Description of one field of a recipe.

    kind: its type annotation, such as `int` or `tuple[float, float]`. default_in_words: the default in words, if it
    depends on the training images; otherwise empty.
    """

    name: str
    kind: Any
    default: Any
    meaning: str
    limits: Limits
    default_in_words: str = ""

    def allows(self, value: Any) -> bool:
        """Whether a value is allowed for this hyperparameter."""
        return isinstance(value, bool) if self.kind is bool else self.limits.allow(value)

    @property
    def default_text(self) -> str:
        """The default in words, or as it is written on the command line, such as `256,64`; `none` if it is empty."""
        if self.default_in_words:
            return self.default_in_words
        if isinstance(self.default, tuple):
            return ",".join(map(str, self.default)) or "none"
        return str(self.default).lower() if isinstance(self.default, bool) else str(self.default)

    @property
    def expected(self) -> str:
        """The allowed values in words, such as `a whole number from 1 to 100`."""
        limits = str(self.limits)
        if self.limits.choices:
            return limits
        if get_origin(self.kind) is tuple:
            items = get_args(self.kind)
            count = "" if items[-1] is Ellipsis else f"{len(items)} "
            return f"{count}{ITEM_NAMES[items[0]]} {limits}".strip()
        if self.kind is bool:
            return "true or false"
        return f"a {'whole ' if self.kind is int else ''}number {limits}".strip()


@dataclass(frozen=True)
class Hyperparameters:
    """Base class of all recipes. Raises InputError that names the field when a value is not allowed.

    stage: name of the training stage; error messages begin with it.
    """

    stage: ClassVar[str]

    def __post_init__(self) -> None:
        for each in hyperparameters(type(self)):
            value = getattr(self, each.name)
            if not each.allows(value):
                raise InputError(f"{self.stage}: {each.name}", found=value, expected=each.expected)


def hyperparameters(recipe: type[Hyperparameters]) -> Iterator[Hyperparameter]:
    """The hyperparameters of a recipe, in the order of its fields."""
    for field in dataclasses.fields(recipe):
        meaning, limits, in_words = (field.metadata[name] for name in ("meaning", "limits", "default_text"))
        yield Hyperparameter(field.name, field.type, field.default, meaning, limits, in_words)
