"""Shape rules and costs of elementwise ONNX operators, matrix products, convolutions and pooling.

A shape rule computes the shapes of an operator's outputs from its inputs.
Source: the operator specification at https://onnx.ai/onnx/operators
"""

import math
import operator
from collections.abc import Sequence
from typing import Any

from .shapes import (
    HALF_ROWS,
    MAX_CONSTANT,
    Inputs,
    Node,
    StaticTensor,
    UnknownSizeError,
    broadcast_shapes,
    positive,
    required,
)

INTEGER_OPERATORS = {"Add": operator.add, "Sub": operator.sub, "Mul": operator.mul, "Div": operator.floordiv}
INT64 = 7  # ONNX's number for the dtype int64
KERNEL_INPUT = {"QLinearConv": 3}  # operator -> index of its kernel input; the kernel of other convolutions is input 1


def macs(node: Node, inputs: Inputs, outputs: list[StaticTensor]) -> int:
    """The multiply-accumulates of a matrix product, convolution, Einsum or pooling; 0 for any other operator."""
    size = math.prod(outputs[0].shape) if outputs else 0
    if node.op in ("MatMul", "MatMulInteger", "QLinearMatMul", "Gemm"):
        shape = required(inputs, 0).shape
        transposed = node.op == "Gemm" and node.get("transA")
        return size * (shape[0] if transposed else shape[-1] if shape else 1)
    if node.op in ("Conv", "ConvInteger", "QLinearConv", "ConvTranspose"):
        per_value = math.prod(_kernel(node, inputs)[1:])
        return per_value * (math.prod(required(inputs, 0).shape) if node.op == "ConvTranspose" else size)
    if node.op == "Einsum":
        return math.prod(_letter_sizes(node, inputs)[0].values())
    if node.op in ("MaxPool", "AveragePool", "LpPool"):
        return size * math.prod(map(int, node.get("kernel_shape", [])))
    return 0


def workspace(node: Node, inputs: Inputs, outputs: list[StaticTensor]) -> int:
    """The number of temporary values that an operator needs besides its outputs.

    Some kinds of convolution are computed as a matrix product, which needs a temporary matrix (im2col or col2im).
    """
    if node.op not in ("ConvTranspose", "ConvInteger", "QLinearConv"):
        return 0
    pixels = required(inputs, 0).shape[2:] if node.op == "ConvTranspose" else outputs[0].shape[2:]
    return math.prod(_kernel(node, inputs)[1:]) * math.prod(pixels)


def same_shape(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of operators whose outputs all have the shape of their first input."""
    return [StaticTensor(required(inputs, 0).shape)] * max(1, len(node.outputs))


def identity(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of Identity: the output is the input."""
    return [required(inputs, 0)]


def dropout(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of Dropout, the identity in inference. Training mode is refused, because it is random."""
    if len(inputs) > 2 and inputs[2] is not None:
        raise UnknownSizeError("training mode")
    return same_shape(node, inputs)


def cast(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of Cast. The values of an integer constant stay known if it is cast to int64."""
    tensor = required(inputs, 0)
    keeps = node.get("to") == INT64 and tensor.values is not None and all(isinstance(v, int) for v in tensor.values)
    return [tensor if keeps else StaticTensor(tensor.shape)]


def normalization(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of batch, group, instance and layer normalization in inference: the output has the input's shape."""
    if node.get("training_mode", 0) or len(node.outputs) > 1:
        raise UnknownSizeError("training mode")
    return [StaticTensor(required(inputs, 0).shape)]


def broadcast(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of elementwise operators with several inputs. For constant integers, the values are computed too."""
    present = [tensor for tensor in inputs if tensor is not None]
    shape = broadcast_shapes([tensor.shape for tensor in present])
    return [StaticTensor(shape, _integer_values(node.op, present))]


def _integer_values(op: str, inputs: Sequence[StaticTensor]) -> list[Any] | None:
    """The values of the result of `op` on two constant integer tensors, or None if they are not known.

    The tensors must have equally many values, or one of them must have a single value.
    """
    if len(inputs) != 2 or op not in INTEGER_OPERATORS:
        return None
    a, b = (tensor.values or [] for tensor in inputs)
    n = max(len(a), len(b))
    a, b = (values * n if len(values) == 1 else values for values in (a, b))
    if not n or len(a) != len(b) or not all(isinstance(value, int) for value in (*a, *b)):
        return None
    # A difference or quotient shrinks if its second operand grows with the batch. Values that shrink count as unknown.
    if op in ("Sub", "Div") and any(abs(y) >= HALF_ROWS for y in b):
        return None
    if op == "Div" and min(*a, *(y - 1 for y in b)) < 0:
        return None
    values = [INTEGER_OPERATORS[op](x, y) for x, y in zip(a, b, strict=True)]
    # Known values are 64-bit integers, and sizes that grow with the batch, which are at least HALF_ROWS. A value
    # between 64-bit integers and HALF_ROWS counts as unknown: a later product could exceed HALF_ROWS, and would then be
    # taken for a size that grows. A value below the 64-bit integers counts as unknown, because it may shrink with the
    # batch.
    return None if any(value <= -MAX_CONSTANT or MAX_CONSTANT <= value < HALF_ROWS for value in values) else values


def matmul(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of matrix products. Shapes are combined as in numpy.matmul."""
    second = 3 if node.op == "QLinearMatMul" else 1
    a, b = required(inputs, 0).shape, required(inputs, second).shape
    left, right = (a if len(a) > 1 else (1, *a)), (b if len(b) > 1 else (*b, 1))
    if left[-1] != right[-2]:
        raise UnknownSizeError("shapes that do not fit")
    batch = broadcast_shapes([left[:-2], right[:-2]])
    return [StaticTensor(batch + left[-2:-1] * (len(a) > 1) + right[-1:] * (len(b) > 1))]


def gemm(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of Gemm: (m, k) times (k, n), each optionally transposed, plus a bias that broadcasts to (m, n)."""
    a, b = required(inputs, 0).shape, required(inputs, 1).shape
    (m, k), (k_of_b, n) = (a[::-1] if node.get("transA") else a), (b[::-1] if node.get("transB") else b)
    if k != k_of_b or (len(inputs) > 2 and inputs[2] and broadcast_shapes([inputs[2].shape, (m, n)]) != (m, n)):
        raise UnknownSizeError("shapes that do not fit")
    return [StaticTensor((m, n))]


def einsum(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of Einsum without an ellipsis. Axes with the same letter in the equation must have equal sizes."""
    sizes, result = _letter_sizes(node, inputs)
    return [StaticTensor(tuple(sizes[letter] for letter in result))]


def _letter_sizes(node: Node, inputs: Inputs) -> tuple[dict[str, int], str]:
    """The axis size for each letter of an Einsum equation, and the letters of the output's axes in order."""
    terms, arrow, result = node.get("equation", b"").decode("ascii").replace(" ", "").partition("->")
    letters = terms.split(",")
    sizes: dict[str, int] = {}
    if not arrow or not (result.isalpha() or not result) or len(letters) != len(inputs):
        raise UnknownSizeError("an equation of another form")
    for index, term in enumerate(letters):
        shape = required(inputs, index).shape
        if len(term) != len(shape) or not term.isalpha():
            raise UnknownSizeError("an equation of another form")
        for letter, size in zip(term, shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise UnknownSizeError("shapes that do not fit")
    return sizes, result


def conv(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of convolutions and transposed convolutions: (n, channels, *sides) -> (n, filters, *new sides).

    Here sides are the sizes of the spatial axes, such as height and width.
    """
    weight = _kernel(node, inputs)
    rows, channels, *sides = required(inputs, 0).shape
    kernel = list(weight[2:])
    group = positive(node.get("group", 1))
    if len(kernel) != len(sides) or kernel != list(node.get("kernel_shape", kernel)):
        raise UnknownSizeError("a kernel of another shape")
    if node.op != "ConvTranspose":
        if channels != weight[1] * group:
            raise UnknownSizeError("channels that do not fit")
        return [StaticTensor((rows, weight[0], *_window_counts(node, sides, kernel)))]
    if channels != weight[0] or node.get("output_shape") or node.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise UnknownSizeError("channels or padding that do not fit")
    strides, dilations, pads = _window_settings(node, len(sides))
    extra = node.get("output_padding", [0] * len(sides))
    upsampled = [
        positive(stride * (side - 1) + more + (size - 1) * dilation + 1 - before - after)
        for side, size, stride, dilation, (before, after), more in zip(
            sides, kernel, strides, dilations, pads, extra, strict=True
        )
    ]
    return [StaticTensor((rows, weight[1] * group, *upsampled))]


def _kernel(node: Node, inputs: Inputs) -> tuple[int, ...]:
    """The shape of a convolution's kernel: (filters, channels / groups, *kernel sides).

    The kernel of a transposed convolution has the shape (channels, filters / groups, *kernel sides).
    """
    return required(inputs, KERNEL_INPUT.get(node.op, 1)).shape


def pool(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of pooling over windows. MaxPool's optional output of indices has the shape of its main output."""
    rows, channels, *sides = required(inputs, 0).shape
    shape = (rows, channels, *_window_counts(node, sides, list(node.get("kernel_shape", []))))
    return [StaticTensor(shape)] * max(1, len(node.outputs))


def global_pool(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of global pooling, which reduces each channel of an image to one value."""
    shape = required(inputs, 0).shape
    return [StaticTensor((*shape[:2], *[1] * (len(shape) - 2)))]


def _window_settings(node: Node, num_sides: int) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """The strides, dilations and paddings (before, after) of a convolution or pooling, one per spatial axis."""
    strides, dilations = (list(map(positive, node.get(name, [1] * num_sides))) for name in ("strides", "dilations"))
    pads = node.get("pads", [0] * 2 * num_sides)
    if len(pads) != 2 * num_sides or min(pads, default=0) < 0:
        raise UnknownSizeError("pads")
    return strides, dilations, list(zip(pads[:num_sides], pads[num_sides:], strict=True))


def _window_counts(node: Node, sides: list[int], kernel: list[int]) -> list[int]:
    """The number of positions of a sliding window along each spatial axis. It is the output's size along this axis."""
    strides, dilations, pads = _window_settings(node, len(sides))
    auto = node.get("auto_pad", b"NOTSET")
    counts = []
    for side, size, stride, dilation, (before, after) in zip(sides, kernel, strides, dilations, pads, strict=True):
        if auto in (b"SAME_UPPER", b"SAME_LOWER"):
            counts.append(-(-side // stride))
            continue
        room = side - (positive(size) - 1) * dilation - 1 + (before + after if auto == b"NOTSET" else 0)
        counts.append(positive((-(-room // stride) if node.get("ceil_mode") else room // stride) + 1))
    return counts


def grid_sample(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of GridSample, which samples images (n, channels, *sides) at the points of a grid.

    The sides are the sizes of the spatial axes. The grid has the shape (n, *new sides, number of spatial axes), and the
    output has the shape (n, channels, *new sides).
    """
    images, grid = required(inputs, 0).shape, required(inputs, 1).shape
    if len(grid) != len(images) or grid[0] != images[0]:
        raise UnknownSizeError("shapes that do not fit")
    return [StaticTensor((*images[:2], *grid[1:-1]))]
