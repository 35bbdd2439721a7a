"""The shapes of what ONNX operators give, told without running them.

The free axis stands for so many rows that no product of other sizes comes near: what a size has of ROWS grows with the
rows, and what is left does not. Sizes are Python's whole numbers, so nothing overflows. Where a size would shrink as
the rows grow, or depends on values that only a run has, it cannot be told, and the rule raises UnknownSizeError.

Source: the operators' specification at https://onnx.ai/onnx/operators
"""

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

MAX_AXES = 8
ROWS = 1 << 600  # above any product of MAX_AXES numbers of 64 bits
MAX_VALUES = 1 << 25  # numbers in all results of one row; 134 MB of float32
MAX_MACS = 1 << 33  # multiply-accumulates of one row; some tenths of a second

LARGEST = 1 << 63  # of a constant
ARITHMETIC = {"Add": operator.add, "Sub": operator.sub, "Mul": operator.mul, "Div": operator.floordiv}

Shape = tuple[int, ...]


class UnknownSizeError(Exception):
    """A size cannot be told before the graph is run."""


@dataclass(frozen=True)
class Node:
    """One operator of a graph. attributes: numbers, bytes, lists of numbers, or constants."""

    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or the default."""
        value = self.attributes.get(name)
        return default if value is None else value


@dataclass(frozen=True)
class Known:
    """What is known of a tensor: its shape, and its values in order where they are few whole numbers or floats."""

    shape: Shape
    values: list[Any] | None = None


Inputs = Sequence[Known | None]
Rule = Callable[[Node, Inputs], list[Known]]


def per_row(size: int) -> tuple[int, int]:
    """How often a size has ROWS, and what is left, which does not grow with the rows; from 0."""
    rows = (size + ROWS // 2) // ROWS
    return rows, max(0, size - rows * ROWS)


def text(shape: Shape) -> str:
    """A shape as a reader knows it, `n` for the rows."""
    names = []
    for axis in shape[:MAX_AXES]:
        rows, rest = per_row(axis)
        grows = ("n" if rows == 1 else f"{rows}n") + (f"+{rest}" if rest else "")
        names.append(grows if rows else str(axis) if axis < LARGEST else "a part of n")
    return f"({', '.join(names)})"


def macs(node: Node, inputs: Inputs, results: list[Known]) -> int:
    """Multiply-accumulates of an operator, of those whose work is not in proportion to the numbers that they give."""
    size = math.prod(results[0].shape) if results else 0
    if node.op in ("MatMul", "MatMulInteger", "QLinearMatMul", "Gemm"):
        axes = need(inputs, 0).shape
        turned = node.op == "Gemm" and node.get("transA")
        return size * (axes[0] if turned else axes[-1] if axes else 1)
    if node.op in ("Conv", "ConvInteger", "QLinearConv", "ConvTranspose"):
        per_output = math.prod(need(inputs, 3 if node.op == "QLinearConv" else 1).shape[1:])
        return per_output * (math.prod(need(inputs, 0).shape) if node.op == "ConvTranspose" else size)
    if node.op == "Einsum":
        return math.prod(letter_sizes(node, inputs)[0].values())
    if node.op in ("MaxPool", "AveragePool", "LpPool"):
        return size * math.prod(map(int, node.get("kernel_shape", [])))
    return 0


def letter_sizes(node: Node, inputs: Inputs) -> tuple[dict[str, int], str]:
    """The size that each letter of an Einsum stands for, and the letters of its result."""
    terms, arrow, result = node.get("equation", b"").decode("ascii").replace(" ", "").partition("->")
    letters = terms.split(",")
    sizes: dict[str, int] = {}
    if not arrow or not (result.isalpha() or not result) or len(letters) != len(inputs):
        raise UnknownSizeError("another equation")
    for place, term in enumerate(letters):
        shape = need(inputs, place).shape
        if len(term) != len(shape) or not term.isalpha():
            raise UnknownSizeError("another equation")
        for letter, size in zip(term, shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise UnknownSizeError("shapes that do not fit")
    return sizes, result


def workspace(node: Node, inputs: Inputs, results: list[Known]) -> int:
    """Numbers that an operator holds besides its results: the columns of a convolution that is done as a product."""
    if node.op not in ("ConvTranspose", "ConvInteger", "QLinearConv"):
        return 0
    weight = need(inputs, 3 if node.op == "QLinearConv" else 1).shape
    pixels = need(inputs, 0).shape[2:] if node.op == "ConvTranspose" else results[0].shape[2:]
    return math.prod(weight[1:]) * math.prod(pixels)


def dropout(node: Node, inputs: Inputs) -> list[Known]:
    """Dropout, which does nothing in inference. In training it is random, and refused."""
    if len(inputs) > 2 and inputs[2] is not None:
        raise UnknownSizeError("training")
    return [Known(need(inputs, 0).shape)] * max(1, len(node.outputs))


def same(node: Node, inputs: Inputs) -> list[Known]:
    """Every output has the shape of the first input."""
    return [Known(need(inputs, 0).shape)] * max(1, len(node.outputs))


def identity(node: Node, inputs: Inputs) -> list[Known]:
    """The first input itself."""
    return [need(inputs, 0)]


def cast(node: Node, inputs: Inputs) -> list[Known]:
    """Cast; whole numbers of 64 bits keep their values."""
    given = need(inputs, 0)
    whole = node.get("to") == 7 and given.values is not None and all(isinstance(v, int) for v in given.values)
    return [given if whole else Known(given.shape)]


def normalised(node: Node, inputs: Inputs) -> list[Known]:
    """Batch norm and its kin in inference: the first output has the shape of the input, and there is no other."""
    if node.get("training_mode", 0) or len(node.outputs) > 1:
        raise UnknownSizeError("training")
    return [Known(need(inputs, 0).shape)]


def broadcast(node: Node, inputs: Inputs) -> list[Known]:
    """Elementwise operators of one or more inputs, and arithmetic on shapes."""
    given = [one for one in inputs if one is not None]
    shape = broadcast_shapes([one.shape for one in given])
    return [Known(shape, _arithmetic(node.op, given))]


def broadcast_shapes(found: Sequence[Shape]) -> Shape:
    """The shape that shapes are stretched to (numpy's rule). Raises UnknownSizeError where they do not fit."""
    axes = []
    for place in range(max(map(len, found), default=0), 0, -1):
        sizes = {one[-place] for one in found if len(one) >= place} - {1}
        if len(sizes) > 1:
            raise UnknownSizeError("shapes that do not fit")
        axes.append(sizes.pop() if sizes else 1)
    return tuple(axes)


def _arithmetic(op: str, given: Sequence[Known]) -> list[Any] | None:
    """Values of a shape's arithmetic, of two scalars or lists as long as each other."""
    if len(given) != 2 or op not in ARITHMETIC:
        return None
    a, b = (one.values or [] for one in given)
    n = max(len(a), len(b))
    a, b = (one * n if len(one) == 1 else one for one in (a, b))
    if not n or len(a) != len(b) or not all(isinstance(value, int) for value in (*a, *b)):
        return None
    # What is taken away or divided by must not grow with the rows: the result would shrink as they grow.
    if op in ("Sub", "Div") and any(abs(y) >= ROWS // 2 for y in b):
        return None
    if op == "Div" and min(*a, *(y - 1 for y in b)) < 0:
        return None
    values = [ARITHMETIC[op](x, y) for x, y in zip(a, b, strict=True)]
    # No constants may be multiplied until they look like rows, and no value may fall as the rows grow.
    return None if any(value <= -LARGEST or LARGEST <= value < ROWS // 2 for value in values) else values


def matmul(node: Node, inputs: Inputs) -> list[Known]:
    """Numpy's matmul."""
    second = 3 if node.op == "QLinearMatMul" else 1
    a, b = need(inputs, 0).shape, need(inputs, second).shape
    left, right = (a if len(a) > 1 else (1, *a)), (b if len(b) > 1 else (*b, 1))
    if left[-1] != right[-2]:
        raise UnknownSizeError("shapes that do not fit")
    batch = broadcast_shapes([left[:-2], right[:-2]])
    return [Known(batch + left[-2:-1] * (len(a) > 1) + right[-1:] * (len(b) > 1))]


def gemm(node: Node, inputs: Inputs) -> list[Known]:
    """The product of two matrices, each turned over or not."""
    a, b = need(inputs, 0).shape, need(inputs, 1).shape
    (m, k), (k_of_b, n) = (a[::-1] if node.get("transA") else a), (b[::-1] if node.get("transB") else b)
    if k != k_of_b or (len(inputs) > 2 and inputs[2] and broadcast_shapes([inputs[2].shape, (m, n)]) != (m, n)):
        raise UnknownSizeError("shapes that do not fit")
    return [Known((m, n))]


def conv(node: Node, inputs: Inputs) -> list[Known]:
    """Convolutions, transposed ones too."""
    weight = need(inputs, 3 if node.op == "QLinearConv" else 1).shape
    rows, channels, *sides = need(inputs, 0).shape
    kernel = list(weight[2:])
    group = positive(node.get("group", 1))
    strides, dilations, pads = _window(node, len(sides))
    if len(kernel) != len(sides) or kernel != list(node.get("kernel_shape", kernel)):
        raise UnknownSizeError("a kernel of another shape")
    if node.op != "ConvTranspose":
        if channels != weight[1] * group:
            raise UnknownSizeError("channels that do not fit")
        return [Known((rows, weight[0], *_slid(node, sides, kernel, strides, dilations, pads)))]
    if channels != weight[0] or node.get("output_shape") or node.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise UnknownSizeError("channels or padding that do not fit")
    extra = node.get("output_padding", [0] * len(sides))
    grown = [
        positive(s * (side - 1) + e + (k - 1) * d + 1 - a - b)
        for side, k, s, d, (a, b), e in zip(sides, kernel, strides, dilations, pads, extra, strict=True)
    ]
    return [Known((rows, weight[1] * group, *grown))]


def pool(node: Node, inputs: Inputs) -> list[Known]:
    """Pooling over windows; the places of the largest values have the same shape."""
    rows, channels, *sides = need(inputs, 0).shape
    strides, dilations, pads = _window(node, len(sides))
    shape = (rows, channels, *_slid(node, sides, list(node.get("kernel_shape", [])), strides, dilations, pads))
    return [Known(shape)] * max(1, len(node.outputs))


def pool_all(node: Node, inputs: Inputs) -> list[Known]:
    """Pooling of all of each channel."""
    shape = need(inputs, 0).shape
    return [Known((*shape[:2], *[1] * (len(shape) - 2)))]


def _window(node: Node, axes: int) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    strides, dilations = (list(map(positive, node.get(name, [1] * axes))) for name in ("strides", "dilations"))
    pads = node.get("pads", [0] * 2 * axes)
    if len(pads) != 2 * axes or min(pads, default=0) < 0:
        raise UnknownSizeError("pads")
    return strides, dilations, list(zip(pads[:axes], pads[axes:], strict=True))


def _slid(
    node: Node,
    sides: list[int],
    kernel: list[int],
    strides: list[int],
    dilations: list[int],
    pads: list[tuple[int, int]],
) -> list[int]:
    """How often a window fits along each side."""
    auto = node.get("auto_pad", b"NOTSET")
    found = []
    for side, k, stride, dilation, (before, after) in zip(sides, kernel, strides, dilations, pads, strict=True):
        if auto in (b"SAME_UPPER", b"SAME_LOWER"):
            found.append(-(-side // stride))
            continue
        room = side - (positive(k) - 1) * dilation - 1 + (before + after if auto == b"NOTSET" else 0)
        found.append(positive((-(-room // stride) if node.get("ceil_mode") else room // stride) + 1))
    return found


def need(inputs: Inputs, place: int) -> Known:
    """An input that must be there. Raises UnknownSizeError."""
    found = inputs[place] if place < len(inputs) else None
    if found is None:
        raise UnknownSizeError(f"no input {place}")
    if len(found.shape) > MAX_AXES:
        raise UnknownSizeError(f"{len(found.shape)} axes")
    return found


def known(inputs: Inputs, place: int) -> list[int]:
    """The values of an input that shapes depend on, whole numbers. Raises UnknownSizeError."""
    values = need(inputs, place).values
    if values is None or not all(isinstance(value, int) for value in values):
        raise UnknownSizeError(f"input {place} is not constant")
    return values


def positive(size: int) -> int:
    """A size, stride or count from 1. Raises UnknownSizeError."""
    if not isinstance(size, int) or size < 1:
        raise UnknownSizeError(f"a size of {size}")
    return size


def axis(place: int, axes: int) -> int:
    """An axis from 0, for one that may count from the end. Raises UnknownSizeError."""
    if not isinstance(place, int) or not -axes <= place < axes:
        raise UnknownSizeError(f"axis {place} of {axes}")
    return place % axes
