"""Tensor shapes before a graph runs, and the helpers that the shape rules of ONNX operators share.

The number of rows (the batch size) is free. It is represented by ROWS, an integer so large that no product of other
sizes reaches it: the multiple of ROWS in a size grows with the batch, and the remainder does not. Sizes are Python
integers, so nothing overflows. A rule raises UnknownSizeError where a size would shrink as the batch grows, or where it
depends on values that exist only during a run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

MAX_AXES = 8
ROWS = 1 << 600  # above any product of MAX_AXES integers of 64 bits
HALF_ROWS = ROWS // 2  # a size from here on grows with the batch
MAX_CONSTANT = 1 << 63  # integers in constants are below it

Shape = tuple[int, ...]


class UnknownSizeError(Exception):
    """A size cannot be determined before the graph runs."""


@dataclass(frozen=True)
class Node:
    """One operator of a graph. attributes: numbers, bytes, lists of numbers, or constants by name."""

    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or the default."""
        value = self.attributes.get(name)
        return default if value is None else value


@dataclass(frozen=True)
class StaticTensor:
    """What is known of a tensor before a run: its shape, and its values in order if they are few and constant."""

    shape: Shape
    values: list[Any] | None = None


Inputs = Sequence[StaticTensor | None]  # None: an optional input that is left out
Rule = Callable[[Node, Inputs], list[StaticTensor]]  # the outputs of an operator


def per_row(size: int) -> tuple[int, int]:
    """Split a size into the multiple of ROWS and the remainder, which is at least 0."""
    if size < HALF_ROWS:
        return 0, max(0, size)
    rows = (size + HALF_ROWS) // ROWS
    return rows, max(0, size - rows * ROWS)


def shape_text(shape: Shape) -> str:
    """A shape for error messages, with `n` for the rows."""
    names = []
    for size in shape[:MAX_AXES]:
        rows, rest = per_row(size)
        growing = ("n" if rows == 1 else f"{rows}n") + (f"+{rest}" if rest else "")
        names.append(growing if rows else str(size) if size < MAX_CONSTANT else "a fraction of n")
    return f"({', '.join(names)})"


def broadcast_shapes(shapes: Sequence[Shape]) -> Shape:
    """The common shape by numpy's broadcasting rule. Raises UnknownSizeError where the shapes do not fit."""
    axes = []
    for position in range(max(map(len, shapes), default=0), 0, -1):
        sizes = {shape[-position] for shape in shapes if len(shape) >= position} - {1}
        if len(sizes) > 1:
            raise UnknownSizeError("shapes that do not fit")
        axes.append(sizes.pop() if sizes else 1)
    return tuple(axes)


def required(inputs: Inputs, index: int) -> StaticTensor:
    """An input that must be present. Raises UnknownSizeError."""
    tensor = inputs[index] if index < len(inputs) else None
    if tensor is None:
        raise UnknownSizeError(f"no input {index}")
    if len(tensor.shape) > MAX_AXES:
        raise UnknownSizeError(f"{len(tensor.shape)} axes")
    return tensor


def is_present(inputs: Inputs, index: int) -> bool:
    """Whether an optional input is present."""
    return len(inputs) > index and inputs[index] is not None


def constant_ints(inputs: Inputs, index: int) -> list[int]:
    """The constant integers of an input that a shape depends on. Raises UnknownSizeError."""
    values = required(inputs, index).values
    if values is None or not all(isinstance(value, int) for value in values):
        raise UnknownSizeError(f"input {index} is not constant")
    return values


def positive(size: int) -> int:
    """A size, stride or count of at least 1. Raises UnknownSizeError."""
    if not isinstance(size, int) or size < 1:
        raise UnknownSizeError(f"a size of {size}")
    return size


def axis_index(axis: int, num_axes: int) -> int:
    """An axis counted from 0; a negative one counts from the end. Raises UnknownSizeError."""
    if not isinstance(axis, int) or not -num_axes <= axis < num_axes:
        raise UnknownSizeError(f"axis {axis} of {num_axes}")
    return axis % num_axes
