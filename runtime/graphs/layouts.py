"""The shapes of what ONNX operators give that move, cut, join or reduce axes; see `shapes` for the rest."""

import math

import numpy as np

from .shapes import (
    ROWS,
    Inputs,
    Known,
    Node,
    UnknownSizeError,
    axis,
    broadcast_shapes,
    known,
    letter_sizes,
    need,
    per_row,
    positive,
)

MAX_RESCALE = 1 << 12  # times that a side grows


def reduced(node: Node, inputs: Inputs) -> list[Known]:
    """Sums, means and their kin over axes, which stay as 1 or go."""
    shape = need(inputs, 0).shape
    axes = node.get("axes")
    if axes is None and len(inputs) > 1 and inputs[1] is not None:
        axes = known(inputs, 1)
    if not axes and node.get("noop_with_empty_axes"):
        return [Known(shape)]
    gone = {axis(one, len(shape)) for one in axes} if axes else set(range(len(shape)))
    return [Known(_without(shape, gone, keep=bool(node.get("keepdims", 1))))]


def arg_reduced(node: Node, inputs: Inputs) -> list[Known]:
    """ArgMax and ArgMin."""
    shape = need(inputs, 0).shape
    return [Known(_without(shape, {axis(node.get("axis", 0), len(shape))}, keep=bool(node.get("keepdims", 1))))]


def _without(shape: tuple[int, ...], gone: set[int], *, keep: bool) -> tuple[int, ...]:
    if keep:
        return tuple(1 if place in gone else size for place, size in enumerate(shape))
    return tuple(size for place, size in enumerate(shape) if place not in gone)


def reshape(node: Node, inputs: Inputs) -> list[Known]:
    """Reshape: 0 keeps an axis, -1 takes what is left."""
    shape, wanted = need(inputs, 0).shape, known(inputs, 1)
    if node.get("allowzero") and 0 in wanted:
        raise UnknownSizeError("no numbers at all")
    made = [shape[place] if size == 0 else size for place, size in enumerate(wanted)]
    size, fixed = math.prod(shape), math.prod(one for one in made if one != -1)
    if (
        made.count(-1) > 1
        or min(made, default=0) < -1
        or fixed == 0
        or size % fixed
        or (-1 not in made and size != fixed)
    ):
        raise UnknownSizeError(f"shape {wanted}")
    return [Known(tuple(size // fixed if one == -1 else one for one in made), need(inputs, 0).values)]


def flatten(node: Node, inputs: Inputs) -> list[Known]:
    """Flatten to two axes."""
    shape = need(inputs, 0).shape
    place = node.get("axis", 1)
    place = place if place == len(shape) else axis(place, len(shape))
    return [Known((math.prod(shape[:place]), math.prod(shape[place:])))]


def squeeze(node: Node, inputs: Inputs) -> list[Known]:
    """Squeeze: axes of one go."""
    given = need(inputs, 0)
    axes = known(inputs, 1) if len(inputs) > 1 and inputs[1] is not None else None
    gone = {axis(one, len(given.shape)) for one in axes} if axes else {i for i, s in enumerate(given.shape) if s == 1}
    if any(given.shape[place] != 1 for place in gone):
        raise UnknownSizeError("an axis that is not 1")
    return [Known(_without(given.shape, gone, keep=False), given.values)]


def unsqueeze(node: Node, inputs: Inputs) -> list[Known]:
    """Unsqueeze: axes of one come."""
    given, axes = need(inputs, 0), known(inputs, 1)
    count = len(given.shape) + len(axes)
    new, old = {axis(one, count) for one in axes}, iter(given.shape)
    if len(new) != len(axes):
        raise UnknownSizeError("an axis twice")
    return [Known(tuple(1 if place in new else next(old) for place in range(count)), given.values)]


def transpose(node: Node, inputs: Inputs) -> list[Known]:
    """Axes in another order."""
    shape = need(inputs, 0).shape
    order = node.get("perm", list(range(len(shape)))[::-1])
    if sorted(order) != list(range(len(shape))):
        raise UnknownSizeError(f"order {order}")
    return [Known(tuple(shape[place] for place in order))]


def concat(node: Node, inputs: Inputs) -> list[Known]:
    """Concat along an axis."""
    given = [need(inputs, place) for place in range(len(inputs))]
    shape = list(given[0].shape)
    place = axis(node.get("axis"), len(shape))
    for one in given[1:]:
        if len(one.shape) != len(shape) or any(
            a != b for i, (a, b) in enumerate(zip(one.shape, shape, strict=True)) if i != place
        ):
            raise UnknownSizeError("shapes that do not fit")
    shape[place] = sum(one.shape[place] for one in given)
    parts = [one.values for one in given]
    values = [value for part in parts for value in part or []] if len(shape) == 1 and None not in parts else None
    return [Known(tuple(shape), values)]


def split(node: Node, inputs: Inputs) -> list[Known]:
    """Split along an axis, evenly or as told."""
    shape = need(inputs, 0).shape
    place, count = axis(node.get("axis", 0), len(shape)), len(node.outputs)
    if len(inputs) > 1 and inputs[1] is not None:
        sizes = known(inputs, 1)
    else:
        each = -(-shape[place] // positive(node.get("num_outputs", count)))
        sizes = [each] * (count - 1) + [shape[place] - each * (count - 1)]
    if len(sizes) != count or sum(sizes) != shape[place] or min(sizes, default=0) < 0:
        raise UnknownSizeError(f"parts of {sizes}")
    return [Known((*shape[:place], size, *shape[place + 1 :])) for size in sizes]


def sliced(node: Node, inputs: Inputs) -> list[Known]:
    """Slice; its ends may lie beyond an axis."""
    given, starts, ends = need(inputs, 0), known(inputs, 1), known(inputs, 2)
    shape = list(given.shape)
    axes = known(inputs, 3) if len(inputs) > 3 and inputs[3] is not None else list(range(len(starts)))
    steps = known(inputs, 4) if len(inputs) > 4 and inputs[4] is not None else [1] * len(starts)
    values = given.values
    for start, end, one, step in zip(starts, ends, axes, steps, strict=True):
        place = axis(one, len(shape))
        if step == 0 or abs(start) >= ROWS // 2:
            raise UnknownSizeError("a slice that depends on the rows")
        ends_before_all = step < 0 and end < -shape[place]
        chosen = slice(start, None if ends_before_all else end, step)
        first, last, _ = chosen.indices(shape[place])
        shape[place] = max(0, -((first - last) // step))
        values = values[chosen] if values is not None and len(given.shape) == 1 else None
    return [Known(tuple(shape), values)]


def gather(node: Node, inputs: Inputs) -> list[Known]:
    """Gather along an axis: that axis becomes those of the indices."""
    given, indices = need(inputs, 0), need(inputs, 1)
    place = axis(node.get("axis", 0), len(given.shape))
    shape = (*given.shape[:place], *indices.shape, *given.shape[place + 1 :])
    if given.values is None or indices.values is None or len(given.shape) != 1:
        return [Known(shape)]
    return [Known(shape, [given.values[axis(i, len(given.values))] for i in indices.values])]


def gather_elements(node: Node, inputs: Inputs) -> list[Known]:
    """GatherElements: as many as there are indices."""
    return [Known(need(inputs, 1).shape)]


def gather_nd(node: Node, inputs: Inputs) -> list[Known]:
    """GatherND."""
    shape, indices, batch = need(inputs, 0).shape, need(inputs, 1).shape, node.get("batch_dims", 0)
    return [Known(indices[:-1] + shape[batch + indices[-1] :])]


def expand(node: Node, inputs: Inputs) -> list[Known]:
    """Expand to a shape."""
    return [Known(broadcast_shapes([need(inputs, 0).shape, tuple(map(positive, known(inputs, 1)))]))]


def tile(node: Node, inputs: Inputs) -> list[Known]:
    """Tile: every axis so many times."""
    shape, times = need(inputs, 0).shape, known(inputs, 1)
    return [Known(tuple(size * positive(n) for size, n in zip(shape, times, strict=True)))]


def pad(node: Node, inputs: Inputs) -> list[Known]:
    """Pad on both sides of axes."""
    shape, pads = list(need(inputs, 0).shape), known(inputs, 1)
    axes = known(inputs, 3) if len(inputs) > 3 and inputs[3] is not None else list(range(len(shape)))
    for one, before, after in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        place = axis(one, len(shape))
        if min(before, after) < 0 and shape[place] >= ROWS // 2:
            raise UnknownSizeError("rows that are cut off")
        shape[place] = positive(shape[place] + before + after)
    return [Known(tuple(shape))]


def resize(node: Node, inputs: Inputs) -> list[Known]:
    """Resize by constant scales or to constant sizes."""
    shape = list(need(inputs, 0).shape)
    axes = [axis(one, len(shape)) for one in node.get("axes", range(len(shape)))]
    if len(inputs) > 3 and inputs[3] is not None:
        if node.get("keep_aspect_ratio_policy", b"stretch") != b"stretch":
            raise UnknownSizeError("an aspect that is kept")
        sizes = known(inputs, 3)
    else:
        scales = need(inputs, 2).values or []
        if not all(0 < scale <= MAX_RESCALE for scale in scales):
            raise UnknownSizeError("scales that are not constant")
        sizes = [_scaled(shape[place], scale) for place, scale in zip(axes, scales, strict=True)]
    for place, size in zip(axes, sizes, strict=True):
        if (size >= ROWS // 2 or shape[place] >= ROWS // 2) and size != shape[place]:
            raise UnknownSizeError("rows that are scaled")
        shape[place] = positive(size)
    return [Known(tuple(shape))]


def _scaled(size: int, scale: float) -> int:
    """A side times a scale, in float32 as onnxruntime multiplies; rows stay as they are."""
    if scale == 1:
        return size
    if size >= ROWS // 2:
        raise UnknownSizeError("rows that are scaled")
    return math.floor(np.float32(scale) * np.float32(size))


def einsum(node: Node, inputs: Inputs) -> list[Known]:
    """Einsum without an ellipsis: each letter is an axis, and has one size."""
    sizes, result = letter_sizes(node, inputs)
    return [Known(tuple(sizes[letter] for letter in result))]


def grid_sample(node: Node, inputs: Inputs) -> list[Known]:
    """GridSample: as many pixels as the grid has places."""
    images, grid = need(inputs, 0).shape, need(inputs, 1).shape
    if len(grid) != len(images) or grid[0] != images[0]:
        raise UnknownSizeError("shapes that do not fit")
    return [Known((*images[:2], *grid[1:-1]))]


def depth_to_space(node: Node, inputs: Inputs) -> list[Known]:
    """Channels become blocks of pixels."""
    rows, channels, height, width = need(inputs, 0).shape
    block = positive(node.get("blocksize"))
    return [Known((rows, _divided(channels, block * block), height * block, width * block))]


def space_to_depth(node: Node, inputs: Inputs) -> list[Known]:
    """Blocks of pixels become channels."""
    rows, channels, height, width = need(inputs, 0).shape
    block = positive(node.get("blocksize"))
    return [Known((rows, channels * block * block, _divided(height, block), _divided(width, block)))]


def _divided(size: int, by: int) -> int:
    if size % by:
        raise UnknownSizeError(f"{size} in parts of {by}")
    return size // by


def shape_of(node: Node, inputs: Inputs) -> list[Known]:
    """Shape: the sizes themselves, all or some of them."""
    shape = need(inputs, 0).shape
    part = list(shape[slice(node.get("start", 0), node.get("end"))])
    return [Known((len(part),), part)]


def size_of(node: Node, inputs: Inputs) -> list[Known]:
    """Size: how many numbers there are."""
    return [Known((), [math.prod(need(inputs, 0).shape)])]


def constant(node: Node, inputs: Inputs) -> list[Known]:
    """A constant in the graph."""
    for name in ("value", "value_int", "value_ints", "value_float", "value_floats"):
        value = node.get(name)
        if isinstance(value, Known):
            return [value]
        if isinstance(value, list):
            return [Known((len(value),), value)]
        if value is not None:
            return [Known((), [value])]
    raise UnknownSizeError("no value")


def constant_of_shape(node: Node, inputs: Inputs) -> list[Known]:
    """A tensor full of one number."""
    return [Known(tuple(map(positive, known(inputs, 0))))]


def counted(node: Node, inputs: Inputs) -> list[Known]:
    """Range of constant whole numbers."""
    (start,), (limit,), (step,) = (known(inputs, place) for place in range(3))
    if any(per_row(abs(value))[0] for value in (start, step)):
        raise UnknownSizeError("a range that depends on the rows")
    return [Known((max(0, -((start - limit) // step)),))]


def one_hot(node: Node, inputs: Inputs) -> list[Known]:
    """OneHot: a new axis as long as there are classes."""
    indices, (depth,) = need(inputs, 0).shape, known(inputs, 1)
    place = axis(node.get("axis", -1), len(indices) + 1)
    return [Known((*indices[:place], positive(depth), *indices[place:]))]


def top_k(node: Node, inputs: Inputs) -> list[Known]:
    """The k largest along an axis, and their places."""
    shape, (k,) = list(need(inputs, 0).shape), known(inputs, 1)
    place = axis(node.get("axis", -1), len(shape))
    if not 0 < k <= shape[place]:
        raise UnknownSizeError(f"{k} of {shape[place]}")
    shape[place] = k
    return [Known(tuple(shape))] * 2
