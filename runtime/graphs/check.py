"""An ONNX file is held against what its manifest says, and refused where it is more than a plain network.

A graph that passes has no external data, no control flow, no random operators and no functions of its own; it takes and
gives what the manifest says; and what it computes for a row is bounded. All that is told before onnxruntime sees it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..errors import ArtifactError
from ..manifest import Graph, Tensor, signature_text
from . import shapes
from .messages import GRAPH, REMEDY, constant, graph_span, nodes, value_info
from .operators import CONTROL_FLOW, RANDOM, RULES
from .protobuf import fields
from .shapes import ROWS, Known, Node

MAX_NODES = 10_000


@dataclass(frozen=True)
class Cost:
    """What one run of a graph computes. values: numbers in all results, of one row. fixed: those that do not grow with
    the rows. macs: multiply-accumulates of one row.
    """

    values: int
    fixed: int
    macs: int


def check_graph(data: bytes, where: str, expected: Graph) -> Cost:
    """Refuse an ONNX file that is more than a network with the inputs and outputs `expected`.

    where: the file, for errors. Raises ArtifactError, naming what was found: external data, an operator that is not
    accepted, other inputs or outputs, or results whose size is above a limit or cannot be told.
    """
    try:
        return _check(data, expected)
    except ArtifactError as error:
        raise error.recast(ArtifactError, within=where) from None


def operators_of(data: bytes) -> frozenset[str]:
    """The names of the operators that an ONNX file uses. Raises ArtifactError for a file that is none."""
    return frozenset(node.op for node in nodes(data, graph_span(data)))


def _check(data: bytes, expected: Graph) -> Cost:
    span = graph_span(data)
    known: dict[str, Known] = {}
    given: list[Tensor] = []
    results: list[Tensor] = []
    for number, _, start, end in fields(data, *span, GRAPH):
        if number == 5:
            name, tensor = constant(data, start, end)
            if name in known:
                raise ArtifactError("graph", found=f"two tensors {name}", expected="one of each name")
            known[name] = tensor
        elif number in (11, 12):
            (given if number == 11 else results).append(value_info(data, start, end))
        elif number == 15:
            raise ArtifactError("graph", found="sparse initializers", expected="dense ones", remedy=REMEDY)
    given = [one for one in given if one.name not in known]
    for side, found, wanted in (("inputs", given, expected.inputs), ("outputs", results, expected.outputs)):
        if not _agree(found, wanted):
            given_text, wanted_text = signature_text(Graph(tuple(found), ())), signature_text(Graph(wanted, ()))
            raise ArtifactError(side, found=given_text, expected=f"{wanted_text}, as the manifest says")
    known |= {one.name: Known(_rows(one.shape)) for one in expected.inputs}
    cost = _walk(nodes(data, span), known)
    for one in expected.outputs:
        result = known.get(one.name)
        if result is None or result.shape != _rows(one.shape):
            described = "nothing" if result is None else f"shape {shapes.text(result.shape)}"
            raise ArtifactError(f"output {one.name}", found=described, expected=f"shape {one.shape}")
    return cost


def _walk(operators: Iterator[Node], known: dict[str, Known]) -> Cost:
    """Follow the shapes of all results, and add up what they cost."""
    values = fixed = row_macs = fixed_macs = largest = 0
    worst = ""
    for count, node in enumerate(operators, 1):
        if count > MAX_NODES:
            raise ArtifactError("graph", found=f"more than {MAX_NODES} operators", expected="fewer")
        inputs = [known.get(name) for name in node.inputs]
        if None in inputs:
            _check_given(node, known)
        results = _inferred(node, inputs)
        for name, result in zip(node.outputs, results, strict=False):
            if name in known:
                raise ArtifactError(f"{node.op}: output", found=f"{name} again", expected="a name of its own")
            if len(result.shape) > shapes.MAX_AXES:
                expected = f"at most {shapes.MAX_AXES}"
                raise ArtifactError(f"operator {node.op}", found=f"{len(result.shape)} axes", expected=expected)
            size = math.prod(result.shape)
            kept = result.values is None or len(result.values) == size
            known[name] = result if kept else Known(result.shape)
            if size > largest:
                largest, worst = size, f"operator {node.op}: {shapes.text(result.shape)}"
            row, rest = shapes.per_row(size)
            values, fixed = values + row, fixed + rest
        fixed += shapes.workspace(node, inputs, results)
        row, rest = shapes.per_row(shapes.macs(node, inputs, results))
        row_macs, fixed_macs = row_macs + row, fixed_macs + rest
        if values + fixed > shapes.MAX_VALUES or row_macs + fixed_macs > shapes.MAX_MACS:
            found = f"{values + fixed:,} numbers and {row_macs + fixed_macs:,} multiply-accumulates of one row"
            expected = f"at most {shapes.MAX_VALUES:,} and {shapes.MAX_MACS:,}"
            raise ArtifactError(worst, found=found, expected=expected)
    return Cost(values, fixed, row_macs)


def _check_given(node: Node, known: dict[str, Known]) -> None:
    """An input without a name is left out; every other one must be there."""
    missing = [name for name in node.inputs if name and name not in known]
    if missing:
        raise ArtifactError(f"{node.op}: input", found=missing[0], expected="a result of an earlier operator")


def _inferred(node: Node, inputs: list[Known | None]) -> list[Known]:
    rule = RULES.get(node.op)
    if rule is None:
        kind = "control flow" if node.op in CONTROL_FLOW else "random" if node.op in RANDOM else "not known here"
        expected = "an operator that the runtime accepts"
        raise ArtifactError("graph", found=f"operator {node.op} ({kind})", expected=expected, remedy=REMEDY)
    try:
        found = rule(node, inputs)
    except (shapes.UnknownSizeError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        found_shapes = ", ".join("-" if one is None else shapes.text(one.shape) for one in inputs)
        reason = f": {error}" if isinstance(error, shapes.UnknownSizeError) else ""
        expected = "results whose size can be told"
        raise ArtifactError(f"operator {node.op}", found=f"inputs {found_shapes}{reason}", expected=expected) from error
    if len(found) < len(node.outputs):
        raise ArtifactError(f"operator {node.op}", found=f"{len(node.outputs)} outputs", expected=len(found))
    return found


def _agree(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> bool:
    """Whether a graph declares these tensors; the size of an axis that it names is told by what it computes."""
    declared = {one.name: one for one in found}
    if len(found) != len(wanted) or set(declared) != {one.name for one in wanted}:
        return False
    for one in wanted:
        other = declared[one.name]
        sizes = zip(other.shape, one.shape, strict=False)
        if other.dtype != one.dtype or len(other.shape) != len(one.shape):
            return False
        if any(isinstance(axis, int) and axis != size for axis, size in sizes):
            return False
    return True


def _rows(shape: tuple[int | str, ...]) -> tuple[int, ...]:
    return tuple(ROWS if isinstance(axis, str) else axis for axis in shape)
