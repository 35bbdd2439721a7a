"""The messages of an ONNX file: as much of them as tells what a graph computes, and no network holds more.

What a plain network has no use for is refused where it is met: other operator domains, functions, graphs within
operators, sparse tensors, and tensors whose numbers lie in other files.

Source: the messages and their field numbers are those of onnx.proto, IR version 8.
"""

import math
import struct
from collections.abc import Iterator
from typing import Any

from ..errors import ArtifactError
from ..manifest import Tensor
from .protobuf import BYTES, VARINT, fields, packed, signed
from .shapes import Known, Node, text

OPSETS = range(13, 22)  # of the standard domain: forms of operators that `shapes` knows
DTYPES = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64"}
MAX_KNOWN = 64  # numbers in a constant whose values are kept: shapes, axes and pads are short
REMEDY = "Export the network without it."
Span = tuple[int, int]  # the first byte of a message, and its end


def graph_span(data: bytes) -> Span:
    """Where the graph of a model lies, its opset seen."""
    graph, opsets = None, []
    for number, wire, start, end in fields(data, 0, len(data)):
        if number == 7 and wire == BYTES:
            if graph is not None:
                raise ArtifactError("model", found="two graphs", expected="one")
            graph = start, end
        elif number == 8 and wire == BYTES:
            opsets.append(_opset(data, start, end))
        elif number in (20, 25):
            what = "training information" if number == 20 else "functions of its own"
            raise ArtifactError("model", found=what, expected="a plain graph", remedy=REMEDY)
    if graph is None:
        raise ArtifactError("model", found="no graph", expected="an ONNX file")
    if len(opsets) != 1 or opsets[0][0] or opsets[0][1] not in OPSETS:
        expected = f"version {OPSETS.start} to {OPSETS.stop - 1} of the standard domain alone"
        raise ArtifactError("operator sets", found=opsets, expected=expected)
    return graph


def _opset(data: bytes, start: int, end: int) -> tuple[str, int]:
    domain, version = "", 0
    for number, wire, first, last in fields(data, start, end):
        if number == 1 and wire == BYTES:
            domain = _text(data, first, last)
        elif number == 2 and wire == VARINT:
            version = first
    return "" if domain == "ai.onnx" else domain, version


def nodes(data: bytes, span: Span) -> Iterator[Node]:
    """The operators of a graph, in their order. Raises ArtifactError for one that no plain network has."""
    for number, wire, start, end in fields(data, *span):
        if number == 1 and wire == BYTES:
            yield _node(data, start, end)


def _node(data: bytes, start: int, end: int) -> Node:
    inputs: list[str] = []
    outputs: list[str] = []
    op, domain, attributes = "", "", {}
    for number, wire, first, last in fields(data, start, end):
        if wire != BYTES:
            continue
        if number == 1:
            inputs.append(_text(data, first, last))
        elif number == 2:
            outputs.append(_text(data, first, last))
        elif number == 4:
            op = _text(data, first, last)
        elif number == 5:
            name, value = _attribute(data, first, last)
            attributes[name] = value
        elif number == 7:
            domain = _text(data, first, last)
    if domain not in ("", "ai.onnx"):
        raise ArtifactError("graph", found=f"operator {op} of domain {domain}", expected="the standard domain")
    return Node(op, inputs, outputs, attributes)


def _attribute(data: bytes, start: int, end: int) -> tuple[str, Any]:
    """Name and value: a number, bytes, numbers, or the constant of a tensor."""
    name, value = "", None
    integers: list[int] = []
    floats: list[float] = []
    for number, wire, first, last in fields(data, start, end):
        if number == 1 and wire == BYTES:
            name = _text(data, first, last)
        elif number == 2:
            (value,) = struct.unpack_from("<f", data, first)
        elif number == 3 and wire == VARINT:
            value = signed(first)
        elif number == 4 and wire == BYTES:
            value = data[first:last]
        elif number == 5 and wire == BYTES:
            value = constant(data, first, last)[1]
        elif number == 7:
            width = slice(first, last) if wire == BYTES else slice(first, first + 4)
            floats += struct.unpack(
                f"<{(width.stop - width.start) // 4}f", data[width][: (width.stop - width.start) & ~3]
            )
        elif number == 8:
            integers += packed(data, first, last) if wire == BYTES else [signed(first)]
        elif number in (6, 11):
            raise ArtifactError(
                "graph", found="a graph inside an operator (control flow)", expected="none", remedy=REMEDY
            )
        elif number in (10, 14, 15, 22, 23):
            raise ArtifactError(
                "graph", found=f"attribute {name} of a kind that is not accepted", expected="plain numbers"
            )
    return name, integers or floats or value


def constant(data: bytes, start: int, end: int) -> tuple[str, Known]:
    """Name and shape of a tensor in the file, and its values where it is short and numbers matter."""
    name, kind, dims = "", 0, []
    raw: Span | None = None
    numbers: list[float] = []
    held = 0  # bytes
    for number, wire, first, last in fields(data, start, end):
        if number == 1:
            dims += packed(data, first, last) if wire == BYTES else [signed(first)]
        elif number == 2 and wire == VARINT:
            kind = first
        elif number == 8 and wire == BYTES:
            name = _text(data, first, last)
        elif number == 9 and wire == BYTES:
            raw, held = (first, last), held + last - first
        elif number == 13 or (number == 14 and first == 1):
            expected = "numbers in the file itself"
            raise ArtifactError(f"tensor {name}", found="external data", expected=expected, remedy=REMEDY)
        elif number in (4, 5, 7, 10, 11):
            held += last - first if wire == BYTES else 8
            if number in (5, 7):
                numbers += packed(data, first, last) if wire == BYTES else [signed(first)]
            elif number == 4 and wire == BYTES and last - first <= 4 * MAX_KNOWN:
                numbers += struct.unpack(f"<{(last - first) // 4}f", data[first : last - (last - first) % 4])
    size = math.prod(dims)
    if min(dims, default=0) < 0 or size > 8 * held or kind not in DTYPES:
        found = f"shape {text(tuple(dims))} of type {kind} in {held} bytes"
        raise ArtifactError(f"tensor {name}", found=found, expected=f"a type among {', '.join(DTYPES.values())}, whole")
    return name, Known(tuple(dims), _values(data, kind, size, raw, numbers))


def _values(data: bytes, kind: int, size: int, raw: Span | None, numbers: list[float]) -> list[Any] | None:
    code = {1: "f", 6: "i", 7: "q", 11: "d"}.get(kind)
    if code is None or size > MAX_KNOWN:
        return None
    if raw is None:
        return numbers if len(numbers) == size else None
    if raw[1] - raw[0] != size * struct.calcsize(code):
        return None
    return list(struct.unpack_from(f"<{size}{code}", data, raw[0]))


def value_info(data: bytes, start: int, end: int) -> Tensor:
    """An input or output as the graph declares it; an axis is a size, or its name where it is free."""
    name, kind = "", 0
    axes: list[int | str] = []
    for number, wire, first, last in fields(data, start, end):
        if number == 1 and wire == BYTES:
            name = _text(data, first, last)
        elif number == 2 and wire == BYTES:
            kind, axes = _tensor_type(data, first, last)
    return Tensor(name, DTYPES.get(kind, f"type {kind}"), tuple(axes))


def _tensor_type(data: bytes, start: int, end: int) -> tuple[int, list[int | str]]:
    kind = 0
    axes: list[int | str] = []
    for number, wire, first, last in fields(data, start, end):
        if number != 1 or wire != BYTES:
            raise ArtifactError("graph", found="an input or output that is no tensor", expected="tensors")
        for inner, inner_wire, a, b in fields(data, first, last):
            if inner == 1 and inner_wire == VARINT:
                kind = a
            elif inner == 2 and inner_wire == BYTES:
                axes = [_axis(data, c, d) for field, _, c, d in fields(data, a, b) if field == 1]
    return kind, axes


def _axis(data: bytes, start: int, end: int) -> int | str:
    axis: int | str = "?"
    for number, wire, first, last in fields(data, start, end):
        if number == 1 and wire == VARINT:
            axis = first
        elif number == 2 and wire == BYTES:
            axis = _text(data, first, last)
    return axis


def _text(data: bytes, start: int, end: int) -> str:
    return data[start:end].decode("utf-8", "replace")
