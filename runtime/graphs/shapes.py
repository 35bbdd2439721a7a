"""Tensor shapes that are known before a graph runs, and helpers for the shape rules of ONNX operators.

The batch size is not known before a run. It is represented by ROWS, an integer so large that no product of other sizes
reaches it. Any size is therefore the sum of a multiple of ROWS, which grows with the batch, and a remainder, which does
not. Sizes are Python integers, which cannot overflow. A shape rule raises UnknownSizeError if a size would shrink as
the batch grows, or depends on values that exist only during a run.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

MAX_AXES = 8
ROWS = 1 << 600  # stands for the batch size; larger than any product of MAX_AXES integers of 64 bits
HALF_ROWS = ROWS // 2  # a size that is at least this number grows with the batch
MAX_CONSTANT = 1 << 63  # all integers in constants of an ONNX file are below this number

Shape = tuple[int, ...]


class UnknownSizeError(Exception):
    """Raised if a size cannot be determined before the graph runs."""


class Node(NamedTuple):
    """One operator of a graph.

    inputs, outputs: the names of its tensors. attributes: its attributes, by name; each is a number, bytes, a list of
    numbers or bytes, or a constant tensor.
    """

    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]

    def get(self, name: str, default: Any = None) -> Any:
        """The value of the attribute `name`, or `default` if the operator does not have it."""
        value = self.attributes.get(name)
        return default if value is None else value


class StaticTensor(NamedTuple):
    """What is known of a tensor before a run: its shape, and its flattened values if they are constant and few."""

    shape: Shape
    values: list[Any] | None = None


Inputs = Sequence[StaticTensor | None]  # an operator's inputs; None stands for an optional input that is left out
Rule = Callable[[Node, Inputs], list[StaticTensor]]  # a shape rule, which computes the shapes of an operator's outputs


def per_row(size: int) -> tuple[int, int]:
    """Split a size a * ROWS + b, where ROWS stands for the batch size, into a (its part per row) and max(0, b)."""
    if size < HALF_ROWS:
        return 0, max(0, size)
    rows = (size + HALF_ROWS) // ROWS
    return rows, max(0, size - rows * ROWS)


def shape_text(shape: Shape) -> str:
    """A shape as text for error messages, with `n` for the batch size."""
    names = []
    for size in shape[:MAX_AXES]:
        rows, rest = per_row(size)
        growing = ("n" if rows == 1 else f"{rows}n") + (f"+{rest}" if rest else "")
        names.append(growing if rows else str(size) if size < MAX_CONSTANT else "a fraction of n")
    return f"({', '.join(names)})"


def broadcast_shapes(shapes: Sequence[Shape]) -> Shape:
    """The common shape to which shapes broadcast, as in numpy. Raises UnknownSizeError if they cannot be broadcast."""
    axes = []
    for position in range(max(map(len, shapes), default=0), 0, -1):
        sizes = {shape[-position] for shape in shapes if len(shape) >= position} - {1}
        if len(sizes) > 1:
            raise UnknownSizeError("shapes that do not fit")
        axes.append(sizes.pop() if sizes else 1)
    return tuple(axes)


def required(inputs: Inputs, index: int) -> StaticTensor:
    """An operator's input at `index`. Raises UnknownSizeError if it is missing or has more than MAX_AXES axes."""
    tensor = inputs[index] if index < len(inputs) else None
    if tensor is None:
        raise UnknownSizeError(f"no input {index}")
    if len(tensor.shape) > MAX_AXES:
        raise UnknownSizeError(f"{len(tensor.shape)} axes")
    return tensor


def is_present(inputs: Inputs, index: int) -> bool:
    """Whether an operator has its optional input at `index`."""
    return len(inputs) > index and inputs[index] is not None


def constant_ints(inputs: Inputs, index: int) -> list[int]:
    """The values of an operator's input at `index`. Raises UnknownSizeError if they are not constant integers."""
    values = required(inputs, index).values
    if values is None or not all(isinstance(value, int) for value in values):
        raise UnknownSizeError(f"input {index} is not constant")
    return values


def positive(size: int) -> int:
    """Check that a size, stride or count is at least 1, and return it. Raises UnknownSizeError if it is not."""
    if not isinstance(size, int) or size < 1:
        raise UnknownSizeError(f"a size of {size}")
    return size


def axis_index(axis: int, num_axes: int) -> int:
    """The index of an axis, from 0 to num_axes - 1.

    axis: an index that counts from the end if it is negative. Raises UnknownSizeError if it is out of range.
    """
    if not isinstance(axis, int) or not -num_axes <= axis < num_axes:
        raise UnknownSizeError(f"axis {axis} of {num_axes}")
    return axis % num_axes
