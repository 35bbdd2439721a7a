"""Shape rules of ONNX operators that move, cut, join or reduce axes.

A shape rule computes the shapes of an operator's outputs from its inputs. `arithmetic` has the other operators' rules.
Source: the operator specification at https://onnx.ai/onnx/operators
"""

import math

import numpy as np

from .shapes import (
    HALF_ROWS,
    Inputs,
    Node,
    Shape,
    StaticTensor,
    UnknownSizeError,
    axis_index,
    broadcast_shapes,
    constant_ints,
    is_present,
    per_row,
    positive,
    required,
)

MAX_SCALE = 1 << 12  # the largest factor by which the operator Resize may multiply the size of an axis


def reduce(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of sums, means and other reductions. The reduced axes are kept with size 1 or removed."""
    shape = required(inputs, 0).shape
    axes = node.get("axes")
    if axes is None and is_present(inputs, 1):
        axes = constant_ints(inputs, 1)
    if not axes and node.get("noop_with_empty_axes"):
        return [StaticTensor(shape)]
    reduced = {axis_index(axis, len(shape)) for axis in axes} if axes else set(range(len(shape)))
    return [StaticTensor(_reduced_shape(shape, reduced, keep=bool(node.get("keepdims", 1))))]


def arg_reduce(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of ArgMax and ArgMin along one axis. The reduced axis is kept with size 1, or removed."""
    shape = required(inputs, 0).shape
    axis = axis_index(node.get("axis", 0), len(shape))
    return [StaticTensor(_reduced_shape(shape, {axis}, keep=bool(node.get("keepdims", 1))))]


def _reduced_shape(shape: Shape, axes: set[int], *, keep: bool) -> Shape:
    """The shape after a reduction over `axes`. keep: keep these axes with size 1 instead of removing them."""
    if keep:
        return tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return tuple(size for axis, size in enumerate(shape) if axis not in axes)


def reshape(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of Reshape to a constant shape.

    A requested size of 0 stands for the size of the input's axis with the same index. One requested size may be -1;
    this axis gets the size with which the output has as many values as the input.
    """
    tensor, requested = required(inputs, 0), constant_ints(inputs, 1)
    if node.get("allowzero") and 0 in requested:
        raise UnknownSizeError("an empty tensor")
    sizes = [tensor.shape[axis] if size == 0 else size for axis, size in enumerate(requested)]
    total, fixed = math.prod(tensor.shape), math.prod(size for size in sizes if size != -1)
    fits = fixed > 0 and (total % fixed == 0 if -1 in sizes else total == fixed)
    if not fits or sizes.count(-1) > 1 or min(sizes, default=0) < -1:
        raise UnknownSizeError(f"shape {requested}")
    return [StaticTensor(tuple(total // fixed if size == -1 else size for size in sizes), tensor.values)]


def flatten(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of Flatten: the axes before `axis` are merged into one axis, and the other axes into a second one."""
    shape = required(inputs, 0).shape
    axis = node.get("axis", 1)
    axis = axis if axis == len(shape) else axis_index(axis, len(shape))
    return [StaticTensor((math.prod(shape[:axis]), math.prod(shape[axis:])))]


def squeeze(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of Squeeze: remove axes of size 1."""
    tensor = required(inputs, 0)
    axes = constant_ints(inputs, 1) if is_present(inputs, 1) else None
    if axes:
        removed = {axis_index(axis, len(tensor.shape)) for axis in axes}
    else:
        removed = {axis for axis, size in enumerate(tensor.shape) if size == 1}
    if any(tensor.shape[axis] != 1 for axis in removed):
        raise UnknownSizeError("an axis whose size is not 1")
    return [StaticTensor(_reduced_shape(tensor.shape, removed, keep=False), tensor.values)]


def unsqueeze(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of Unsqueeze: insert axes of size 1."""
    tensor, axes = required(inputs, 0), constant_ints(inputs, 1)
    count = len(tensor.shape) + len(axes)
    inserted, sizes = {axis_index(axis, count) for axis in axes}, iter(tensor.shape)
    if len(inserted) != len(axes):
        raise UnknownSizeError("the same axis twice")
    return [StaticTensor(tuple(1 if axis in inserted else next(sizes) for axis in range(count)), tensor.values)]


def transpose(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of Transpose: reorder the axes."""
    shape = required(inputs, 0).shape
    order = node.get("perm", list(range(len(shape)))[::-1])
    if sorted(order) != list(range(len(shape))):
        raise UnknownSizeError(f"axis order {order}")
    return [StaticTensor(tuple(shape[axis] for axis in order))]


def concat(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of Concat, which joins tensors along one axis."""
    tensors = [required(inputs, index) for index in range(len(inputs))]
    shape = list(tensors[0].shape)
    axis = axis_index(node.get("axis"), len(shape))
    for tensor in tensors[1:]:
        if _reduced_shape(tensor.shape, {axis}, keep=True) != _reduced_shape(tuple(shape), {axis}, keep=True):
            raise UnknownSizeError("shapes that do not fit")
    shape[axis] = sum(tensor.shape[axis] for tensor in tensors)
    if len(shape) != 1 or any(tensor.values is None for tensor in tensors):
        return [StaticTensor(tuple(shape))]
    return [StaticTensor(tuple(shape), [value for tensor in tensors for value in tensor.values or []])]


def split(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of Split along one axis, into outputs of equal size (the last may be smaller) or of constant sizes."""
    shape = required(inputs, 0).shape
    axis, count = axis_index(node.get("axis", 0), len(shape)), len(node.outputs)
    if is_present(inputs, 1):
        sizes = constant_ints(inputs, 1)
    else:
        each = -(-shape[axis] // positive(node.get("num_outputs", count)))
        sizes = [each] * (count - 1) + [shape[axis] - each * (count - 1)]
    if len(sizes) != count or sum(sizes) != shape[axis] or min(sizes, default=0) < 0:
        raise UnknownSizeError(f"parts of {sizes}")
    return [StaticTensor((*shape[:axis], size, *shape[axis + 1 :])) for size in sizes]


def slices(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of Slice. As in Python, the start and end of a slice may exceed the size of the axis."""
    tensor, starts, ends = required(inputs, 0), constant_ints(inputs, 1), constant_ints(inputs, 2)
    shape = list(tensor.shape)
    axes = constant_ints(inputs, 3) if is_present(inputs, 3) else list(range(len(starts)))
    steps = constant_ints(inputs, 4) if is_present(inputs, 4) else [1] * len(starts)
    values = tensor.values
    for start, end, given_axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = axis_index(given_axis, len(shape))
        if step == 0 or abs(start) >= HALF_ROWS:
            raise UnknownSizeError("a slice that depends on the rows")
        # In Python, a slice with a negative step reaches index 0 only if its end is None.
        reaches_first = step < 0 and end < -shape[axis]
        selected = slice(start, None if reaches_first else end, step)
        first, last, _ = selected.indices(shape[axis])
        shape[axis] = max(0, -((first - last) // step))
        values = values[selected] if values is not None and len(tensor.shape) == 1 else None
    return [StaticTensor(tuple(shape), values)]


def gather(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of Gather along one axis. In the output, the axes of the index tensor replace this axis."""
    tensor, indices = required(inputs, 0), required(inputs, 1)
    axis = axis_index(node.get("axis", 0), len(tensor.shape))
    shape = (*tensor.shape[:axis], *indices.shape, *tensor.shape[axis + 1 :])
    if tensor.values is None or indices.values is None or len(tensor.shape) != 1:
        return [StaticTensor(shape)]
    return [StaticTensor(shape, [tensor.values[axis_index(i, len(tensor.values))] for i in indices.values])]


def gather_elements(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of GatherElements: the output has the shape of the index tensor."""
    return [StaticTensor(required(inputs, 1).shape)]


def gather_nd(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of GatherND: the shape of the index tensor, with its last axis replaced by the unindexed data axes."""
    shape, indices, batch = required(inputs, 0).shape, required(inputs, 1).shape, node.get("batch_dims", 0)
    return [StaticTensor(indices[:-1] + shape[batch + indices[-1] :])]


def expand(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of Expand: the input is broadcast to a constant shape."""
    requested = tuple(map(positive, constant_ints(inputs, 1)))
    return [StaticTensor(broadcast_shapes([required(inputs, 0).shape, requested]))]


def tile(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of Tile: repeat every axis a constant number of times."""
    shape, repeats = required(inputs, 0).shape, constant_ints(inputs, 1)
    return [StaticTensor(tuple(size * positive(n) for size, n in zip(shape, repeats, strict=True)))]


def pad(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of Pad, which adds values at both ends of axes, or crops where the number to add is negative."""
    shape, pads = list(required(inputs, 0).shape), constant_ints(inputs, 1)
    axes = constant_ints(inputs, 3) if is_present(inputs, 3) else list(range(len(shape)))
    for given_axis, before, after in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        axis = axis_index(given_axis, len(shape))
        if min(before, after) < 0 and shape[axis] >= HALF_ROWS:
            raise UnknownSizeError("cropped rows")
        shape[axis] = positive(shape[axis] + before + after)
    return [StaticTensor(tuple(shape))]


def resize(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of Resize by constant scale factors or to constant sizes. The batch axis must keep its size."""
    shape = list(required(inputs, 0).shape)
    axes = [axis_index(axis, len(shape)) for axis in node.get("axes", range(len(shape)))]
    if is_present(inputs, 3):
        if node.get("keep_aspect_ratio_policy", b"stretch") != b"stretch":
            raise UnknownSizeError("a kept aspect ratio")
        sizes = constant_ints(inputs, 3)
    else:
        scales = required(inputs, 2).values or []
        if not all(0 < scale <= MAX_SCALE for scale in scales):
            raise UnknownSizeError("scales that are not constant")
        sizes = [_scaled(shape[axis], scale) for axis, scale in zip(axes, scales, strict=True)]
    for axis, size in zip(axes, sizes, strict=True):
        if (size >= HALF_ROWS or shape[axis] >= HALF_ROWS) and size != shape[axis]:
            raise UnknownSizeError("scaled rows")
        shape[axis] = positive(size)
    return [StaticTensor(tuple(shape))]


def _scaled(size: int, scale: float) -> int:
    """A size times a scale factor, computed in float32 and rounded down, as in onnxruntime.

    Raises UnknownSizeError if the size grows with the batch and the factor is not 1.
    """
    if scale == 1:
        return size
    if size >= HALF_ROWS:
        raise UnknownSizeError("scaled rows")
    return math.floor(np.float32(scale) * np.float32(size))


def depth_to_space(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of DepthToSpace with block size b: (n, c * b * b, h, w) -> (n, c, h * b, w * b)."""
    rows, channels, height, width = required(inputs, 0).shape
    block = positive(node.get("blocksize"))
    return [StaticTensor((rows, _divided(channels, block * block), height * block, width * block))]


def space_to_depth(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of SpaceToDepth with block size b: (n, c, h * b, w * b) -> (n, c * b * b, h, w)."""
    rows, channels, height, width = required(inputs, 0).shape
    block = positive(node.get("blocksize"))
    return [StaticTensor((rows, channels * block * block, _divided(height, block), _divided(width, block)))]


def _divided(size: int, divisor: int) -> int:
    if size % divisor:
        raise UnknownSizeError(f"{size} divided by {divisor}")
    return size // divisor


def shape_of(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of Shape: the output holds the sizes of the input's axes, or of a slice of these axes."""
    sizes = list(required(inputs, 0).shape[slice(node.get("start", 0), node.get("end"))])
    return [StaticTensor((len(sizes),), sizes)]


def size_of(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of Size: the output is the number of values in the input."""
    return [StaticTensor((), [math.prod(required(inputs, 0).shape)])]


def constant(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of Constant, whose output is a stored tensor, number or list of numbers."""
    for name in ("value", "value_int", "value_ints", "value_float", "value_floats"):
        value = node.get(name)
        if isinstance(value, StaticTensor):
            return [value]
        if isinstance(value, list):
            return [StaticTensor((len(value),), value)]
        if value is not None:
            return [StaticTensor((), [value])]
    raise UnknownSizeError("no value")


def constant_of_shape(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of ConstantOfShape: a tensor of constant shape, filled with one number."""
    return [StaticTensor(tuple(map(positive, constant_ints(inputs, 0))))]


def arange(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of Range, whose start, limit and step must be integers that are known before a run."""
    (start,), (limit,), (step,) = (constant_ints(inputs, index) for index in range(3))
    if any(per_row(abs(value))[0] for value in (start, step)):
        raise UnknownSizeError("a range that depends on the rows")
    return [StaticTensor((max(0, -((start - limit) // step)),))]


def one_hot(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of OneHot, which inserts an axis whose size is the number of classes."""
    indices, (depth,) = required(inputs, 0).shape, constant_ints(inputs, 1)
    axis = axis_index(node.get("axis", -1), len(indices) + 1)
    return [StaticTensor((*indices[:axis], positive(depth), *indices[axis:]))]


def top_k(node: Node, inputs: Inputs) -> list[StaticTensor]:
    """Shape rule of TopK: the k largest values along an axis, and their indices."""
    shape, (k,) = list(required(inputs, 0).shape), constant_ints(inputs, 1)
    axis = axis_index(node.get("axis", -1), len(shape))
    if not 0 < k <= shape[axis]:
        raise UnknownSizeError(f"{k} of {shape[axis]}")
    shape[axis] = k
    return [StaticTensor(tuple(shape))] * 2
