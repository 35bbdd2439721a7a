"""Check that an ONNX file is a plain network of limited cost that matches its manifest; refuse it otherwise.

A plain network has no external data, no control flow, no random operators, and defines no functions. Its inputs and
outputs must be those that the manifest lists, and its cost for one row of the batch must not exceed MAX_VALUES and
MAX_MACS. All this is checked before onnxruntime reads the file.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..errors import ArtifactError
from ..manifest import Graph, Tensor, signature_text
from .arithmetic import macs, workspace
from .messages import GRAPH, REMEDY, constant, graph_span, nodes, value_info
from .operators import CONTROL_FLOW, RANDOM, RULES
from .protobuf import fields
from .shapes import MAX_AXES, ROWS, Node, Shape, StaticTensor, UnknownSizeError, per_row, shape_text

MAX_NODES = 10_000
MAX_VALUES = 1 << 25  # limit on the values that all operators compute for one row of the batch; 134 MB of float32
MAX_MACS = 1 << 33  # limit on multiply-accumulates for one row of the batch; so many take tenths of a second


class Cost(NamedTuple):
    """The cost of one run of a graph.

    values: how many values all operators together compute for each row of the batch. fixed: how many values a run
    computes in addition, whatever the batch size is. macs: multiply-accumulates for each row of the batch.
    """

    values: int
    fixed: int
    macs: int


def check_graph(data: bytes, where: str, expected: Graph) -> Cost:
    """Check that an ONNX file is a plain network with the inputs and outputs of `expected`, and return its cost.

    where: the file's name, for error messages. Raises ArtifactError that names what was found: external data, an
    operator that is not accepted, inputs or outputs that differ from `expected`, or sizes that exceed a limit or cannot
    be determined.
    """
    try:
        return _check(data, expected)
    except ArtifactError as error:
        raise error.recast(ArtifactError, within=where) from None


def operators_of(data: bytes) -> frozenset[str]:
    """The names of the operators in an ONNX file. Raises ArtifactError if it is not a readable ONNX file."""
    return frozenset(node.op for node in nodes(data, fields(data, *graph_span(data), GRAPH)))


def _check(data: bytes, expected: Graph) -> Cost:
    messages = fields(data, *graph_span(data), GRAPH)
    tensors: dict[str, StaticTensor] = {}
    dtypes: dict[str, str] = {}
    # Fields 11, 12 and 13 of a graph's message declare its inputs, its outputs and its intermediate tensors.
    declared: dict[int, list[Tensor]] = {11: [], 12: [], 13: []}
    for number, _, start, end in messages:
        if number == 5:
            name, dtype, tensor = constant(data, start, end)
            if name in tensors:
                raise ArtifactError("graph", found=f"two tensors {name}", expected="one of each name")
            tensors[name], dtypes[name] = tensor, dtype
        elif number in declared:
            declared[number].append(value_info(data, start, end))
        elif number == 15:
            raise ArtifactError("graph", found="sparse initializers", expected="dense ones", remedy=REMEDY)
    inputs = [tensor for tensor in declared[11] if tensor.name not in tensors]
    for side, found, wanted in (("inputs", inputs, expected.inputs), ("outputs", declared[12], expected.outputs)):
        if not _agree(found, wanted):
            found_text, wanted_text = signature_text(Graph(tuple(found), ())), signature_text(Graph(wanted, ()))
            raise ArtifactError(side, found=found_text, expected=f"{wanted_text}, as the manifest says")
    tensors |= {tensor.name: StaticTensor(_with_rows(tensor.shape)) for tensor in expected.inputs}
    cost = _walk(nodes(data, messages), tensors)
    _check_declared(declared[13], tensors, dtypes)
    for output in expected.outputs:
        result = tensors.get(output.name)
        if result is None or result.shape != _with_rows(output.shape):
            described = "nothing" if result is None else f"shape {shape_text(result.shape)}"
            raise ArtifactError(f"output {output.name}", found=described, expected=f"shape {output.shape}")
    return cost


def _walk(operators: Iterator[Node], tensors: dict[str, StaticTensor]) -> Cost:
    """Add the outputs of all operators to `tensors`, and return the sum of the operators' costs.

    tensors: what is known of each tensor, by name; at first it has the graph's inputs and initializers only. Raises
    ArtifactError if the graph is invalid or the costs for one row of the batch exceed a limit.
    """
    values = fixed = row_macs = fixed_macs = largest = 0
    largest_text = ""
    for count, node in enumerate(operators, 1):
        if count > MAX_NODES:
            raise ArtifactError("graph", found=f"more than {MAX_NODES} operators", expected="fewer")
        inputs = [tensors.get(name) for name in node.inputs]
        if None in inputs:
            _check_inputs_exist(node, tensors)
        results = _results(node, inputs)
        for name, result in zip(node.outputs, results, strict=False):
            size = _add_result(node, name, result, tensors)
            if size > largest:
                largest, largest_text = size, f"operator {node.op}: {shape_text(result.shape)}"
            row, rest = per_row(size)
            values, fixed = values + row, fixed + rest
        fixed += workspace(node, inputs, results)
        row, rest = per_row(macs(node, inputs, results))
        row_macs, fixed_macs = row_macs + row, fixed_macs + rest
        if values + fixed > MAX_VALUES or row_macs + fixed_macs > MAX_MACS:
            found = f"{values + fixed:,} values and {row_macs + fixed_macs:,} multiply-accumulates for one row"
            expected = f"at most {MAX_VALUES:,} and {MAX_MACS:,}"
            raise ArtifactError(largest_text, found=found, expected=expected)
    return Cost(values, fixed, row_macs)


def _check_inputs_exist(node: Node, tensors: dict[str, StaticTensor]) -> None:
    """Raise ArtifactError if an operator's input is not in `tensors`.

    tensors: the graph's inputs and initializers, and the outputs of all earlier operators. An input with an empty name
    is an optional input that is left out.
    """
    missing = [name for name in node.inputs if name and name not in tensors]
    if missing:
        raise ArtifactError(f"{node.op}: input", found=missing[0], expected="a result of an earlier operator")


def _results(node: Node, inputs: list[StaticTensor | None]) -> list[StaticTensor]:
    """The shapes of an operator's outputs, and their values if known before a run, computed by its shape rule.

    Raises ArtifactError if the operator has no shape rule or the rule cannot be applied.
    """
    rule = RULES.get(node.op)
    if rule is None:
        kind = "control flow" if node.op in CONTROL_FLOW else "random" if node.op in RANDOM else "unknown"
        expected = "an operator that the runtime accepts"
        raise ArtifactError("graph", found=f"operator {node.op} ({kind})", expected=expected, remedy=REMEDY)
    try:
        results = rule(node, inputs)
    except (UnknownSizeError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        input_shapes = ", ".join("-" if tensor is None else shape_text(tensor.shape) for tensor in inputs)
        found = f"inputs {input_shapes}" + (f": {error}" if isinstance(error, UnknownSizeError) else "")
        expected = "sizes that can be determined"
        raise ArtifactError(f"operator {node.op}", found=found, expected=expected) from error
    if len(results) < len(node.outputs):
        raise ArtifactError(f"operator {node.op}", found=f"{len(node.outputs)} outputs", expected=len(results))
    return results


def _add_result(node: Node, name: str, result: StaticTensor, tensors: dict[str, StaticTensor]) -> int:
    """Add the output `name` of an operator to `tensors`, and return the number of values of this output."""
    if name in tensors:
        raise ArtifactError(f"{node.op}: output", found=f"{name} again", expected="a name of its own")
    if len(result.shape) > MAX_AXES:
        expected = f"at most {MAX_AXES}"
        raise ArtifactError(f"operator {node.op}", found=f"{len(result.shape)} axes", expected=expected)
    size = math.prod(result.shape)
    keeps_values = result.values is None or len(result.values) == size
    tensors[name] = result if keeps_values else StaticTensor(result.shape)
    return size


def _check_declared(declared: Sequence[Tensor], tensors: dict[str, StaticTensor], dtypes: dict[str, str]) -> None:
    """Check the graph's declarations of intermediate tensors, its `value_info` entries.

    tensors: all tensors of the graph, by name. dtypes: the dtypes of the initializers, by name. Raises ArtifactError if
    a declaration contradicts the tensor of its name, names no tensor, or has the name of an earlier declaration.
    """
    names: set[str] = set()
    for tensor in declared:
        result = tensors.get(tensor.name)
        if result is None or tensor.name in names:
            raise ArtifactError("value_info", found=tensor.name, expected="every tensor of the graph at most once")
        names.add(tensor.name)
        found = f"{tensor.dtype} {tensor.shape}"
        if tensor.dtype != dtypes.get(tensor.name, tensor.dtype) or not _has_sizes(tensor.shape, result.shape):
            expected = f"{dtypes.get(tensor.name, tensor.dtype)} {shape_text(result.shape)}"
            raise ArtifactError(f"value_info {tensor.name}", found=found, expected=expected)


def _agree(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> bool:
    """Whether declared inputs or outputs match those of the manifest: equal names, equal dtypes, fitting shapes."""
    declared = {tensor.name: tensor for tensor in found}
    if len(found) != len(wanted) or set(declared) != {tensor.name for tensor in wanted}:
        return False
    return all(
        declared[tensor.name].dtype == tensor.dtype and _has_sizes(declared[tensor.name].shape, tensor.shape)
        for tensor in wanted
    )


def _has_sizes(declared: Sequence[int | str], shape: Sequence[int | str]) -> bool:
    """Whether a declared shape fits `shape`: equally many axes of equal sizes. A named axis fits any size."""
    if len(declared) != len(shape):
        return False
    return not any(isinstance(size, int) and size != other for size, other in zip(declared, shape, strict=True))


def _with_rows(shape: Sequence[int | str]) -> Shape:
    """A shape from the manifest in which each named axis gets the size ROWS, which stands for the batch size."""
    return tuple(ROWS if isinstance(size, str) else size for size in shape)
