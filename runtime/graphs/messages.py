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
from .protobuf import BYTES, FIXED32, FIXED64, MANY, VARINT, Schema, fields, packed, packed_count, signed
from .shapes import MAX_AXES, Known, Node, text

OPSETS = range(13, 22)  # of the standard domain: forms of operators that `shapes` knows
MAX_KNOWN = 64  # numbers in a constant whose values are kept: shapes, axes and pads are short
REMEDY = "Export the network without it."
Span = tuple[int, int]  # the first byte of a message, and its end

TEXTS, MESSAGES = BYTES | MANY, BYTES | MANY
MODEL: Schema = {
    1: VARINT, 2: BYTES, 3: BYTES, 4: BYTES, 5: VARINT, 6: BYTES, 7: BYTES, 8: MESSAGES, 14: MESSAGES, 20: MESSAGES,
    25: MESSAGES,
}  # fmt: skip
OPSET: Schema = {1: BYTES, 2: VARINT}
GRAPH: Schema = {
    1: MESSAGES, 2: BYTES, 5: MESSAGES, 10: BYTES, 11: MESSAGES, 12: MESSAGES, 13: MESSAGES, 14: MESSAGES, 15: MESSAGES,
    16: MESSAGES,
}  # fmt: skip
NODE: Schema = {1: TEXTS, 2: TEXTS, 3: BYTES, 4: BYTES, 5: MESSAGES, 6: BYTES, 7: BYTES, 8: BYTES, 9: MESSAGES}
ATTRIBUTE: Schema = {
    1: BYTES, 2: FIXED32, 3: VARINT, 4: BYTES, 5: BYTES, 6: BYTES, 7: FIXED32 | MANY, 8: VARINT | MANY, 9: TEXTS,
    10: MESSAGES, 11: MESSAGES, 13: BYTES, 14: BYTES, 15: MESSAGES, 20: VARINT, 21: BYTES, 22: BYTES, 23: MESSAGES,
}  # fmt: skip
TENSOR: Schema = {
    1: VARINT | MANY, 2: VARINT, 3: BYTES, 4: FIXED32 | MANY, 5: VARINT | MANY, 6: TEXTS, 7: VARINT | MANY, 8: BYTES,
    9: BYTES, 10: FIXED64 | MANY, 11: VARINT | MANY, 12: BYTES, 13: MESSAGES, 14: VARINT, 16: MESSAGES,
}  # fmt: skip
VALUE_INFO: Schema = {1: BYTES, 2: BYTES, 3: BYTES, 4: MESSAGES}
TYPE: Schema = {1: BYTES, 4: BYTES, 5: BYTES, 6: BYTES, 7: BYTES, 8: BYTES, 9: BYTES}
TENSOR_TYPE: Schema = {1: VARINT, 2: BYTES}
SHAPE: Schema = {1: MESSAGES}
AXIS: Schema = {1: VARINT, 2: BYTES, 3: BYTES}

DTYPES = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64"}
SIZES = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8}  # bytes of a number of each type
HOLDERS = {1: 4, 2: 5, 3: 5, 6: 5, 7: 7, 9: 5, 10: 5, 11: 10}  # the field of a tensor that holds numbers of each type
WIDTHS = {4: 4, 10: 8}  # bytes of a number in these fields; in the others it is a varint
# The field of an attribute that holds a value of each type, and the value where the field is left out.
VALUES: dict[int, tuple[int, Any]] = {
    1: (2, 0.0), 2: (3, 0), 3: (4, b""), 4: (5, None), 6: (7, []), 7: (8, []), 8: (9, []),
}  # fmt: skip
OTHERS = (5, 10)  # types of an attribute that hold graphs


def graph_span(data: bytes) -> Span:
    """Where the graph of a model lies, its opset seen."""
    graph, opsets = None, []
    for number, _, start, end in fields(data, 0, len(data), MODEL):
        if number == 7:
            graph = start, end
        elif number == 8:
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
    for number, _, first, last in fields(data, start, end, OPSET):
        if number == 1:
            domain = _text(data, first, last)
        else:
            version = first
    return "" if domain == "ai.onnx" else domain, version


def nodes(data: bytes, span: Span) -> Iterator[Node]:
    """The operators of a graph, in their order. Raises ArtifactError for one that no plain network has."""
    for number, _, start, end in fields(data, *span, GRAPH):
        if number == 1:
            yield _node(data, start, end)


def _node(data: bytes, start: int, end: int) -> Node:
    inputs: list[str] = []
    outputs: list[str] = []
    op, domain, attributes = "", "", {}
    for number, _, first, last in fields(data, start, end, NODE):
        if number == 1:
            inputs.append(_text(data, first, last))
        elif number == 2:
            outputs.append(_text(data, first, last))
        elif number == 4:
            op = _text(data, first, last)
        elif number == 5:
            name, value = _attribute(data, first, last)
            if name in attributes:
                raise ArtifactError(f"operator {op}", found=f"attribute {name} twice", expected="once")
            attributes[name] = value
        elif number in (7, 8):
            domain = domain or _text(data, first, last)
    if domain not in ("", "ai.onnx"):
        raise ArtifactError("graph", found=f"operator {op} of domain {domain}", expected="the standard domain")
    return Node(op, inputs, outputs, attributes)


def _attribute(data: bytes, start: int, end: int) -> tuple[str, Any]:
    """Name and value: a number, bytes, numbers, or the constant of a tensor."""
    name, kind = "", 0
    held: dict[int, list[tuple[int, int, int]]] = {}
    for number, wire, first, last in fields(data, start, end, ATTRIBUTE):
        if number == 1:
            name = _text(data, first, last)
        elif number == 20:
            kind = first
        elif number != 13:
            held.setdefault(number, []).append((wire, first, last))
    if kind in OTHERS or 6 in held or 11 in held:
        raise ArtifactError("graph", found="a graph inside an operator (control flow)", expected="none", remedy=REMEDY)
    place, value = VALUES.get(kind, (0, None))
    if not place or not set(held) <= {place}:
        found = f"attribute {name} of type {kind} with fields {sorted(held)}"
        raise ArtifactError("graph", found=found, expected="one value of the type that it states")
    return name, _value(data, place, held[place]) if held else value


def _value(data: bytes, place: int, parts: list[tuple[int, int, int]]) -> Any:
    """What the fields of one number of an attribute hold."""
    _, first, last = parts[0]
    if place in (2, 7):
        floats = [value for _, a, b in parts for value in struct.unpack(f"<{(b - a) // 4}f", data[a : b - (b - a) % 4])]
        return floats if place == 7 else floats[0]
    if place == 8:
        return _whole_numbers(data, parts)
    if place in (3, 5):
        return signed(first) if place == 3 else constant(data, first, last)[1]
    return data[first:last] if place == 4 else [data[a:b] for _, a, b in parts]


def _whole_numbers(data: bytes, parts: list[tuple[int, int, int]]) -> list[int]:
    return [value for wire, a, b in parts for value in (packed(data, a, b) if wire == BYTES else [signed(a)])]


def constant(data: bytes, start: int, end: int) -> tuple[str, Known]:
    """Name and shape of a tensor in the file, and its values where it is short and numbers matter."""
    name, kind = "", 0
    dims: list[int] = []
    raw: Span | None = None
    held: dict[int, list[tuple[int, int, int]]] = {}
    for number, wire, first, last in fields(data, start, end, TENSOR):
        if number == 1:
            dims += packed(data, first, last) if wire == BYTES else [signed(first)]
        elif number == 2:
            kind = first
        elif number == 8:
            name = _text(data, first, last)
        elif number == 9:
            raw = first, last
        elif number == 13 or (number == 14 and first):
            expected = "numbers in the file itself"
            raise ArtifactError(f"tensor {name}", found="external data", expected=expected, remedy=REMEDY)
        elif number in (3, 4, 5, 6, 7, 10, 11):
            held.setdefault(number, []).append((wire, first, last))
    if kind not in DTYPES or len(dims) > MAX_AXES or min(dims, default=0) < 0:
        found = f"{len(dims)} axes of type {kind}"
        expected = f"at most {MAX_AXES} of a type among {', '.join(DTYPES.values())}"
        raise ArtifactError(f"tensor {name}", found=found, expected=expected)
    size = math.prod(dims)
    holder = HOLDERS[kind]
    if raw is not None and not held:
        count, rest = divmod(raw[1] - raw[0], SIZES[kind])
    else:
        count, rest = sum(_count(data, holder, *part) for part in held.get(holder, [])), len(set(held) - {holder})
    if count != size or rest or (raw is not None and held):
        found = f"{count:,} numbers for shape {text(tuple(dims))}"
        raise ArtifactError(f"tensor {name}", found=found, expected=f"{size:,} in one field")
    return name, Known(tuple(dims), _numbers(data, kind, size, raw, held.get(holder, [])))


def _count(data: bytes, number: int, wire: int, first: int, last: int) -> int:
    """How many numbers a field of a tensor holds."""
    if wire == VARINT:
        return 1
    return (last - first) // WIDTHS[number] if number in WIDTHS else packed_count(data, first, last)


def _numbers(
    data: bytes, kind: int, size: int, raw: Span | None, parts: list[tuple[int, int, int]]
) -> list[Any] | None:
    """The values of a short constant of int64 or floats; whole numbers of 32 bits overflow in another way than here."""
    code = {1: "f", 7: "q", 11: "d"}.get(kind)
    if code is None or size > MAX_KNOWN:
        return None
    if raw is not None:
        return list(struct.unpack_from(f"<{size}{code}", data, raw[0]))
    if kind == 7:
        return _whole_numbers(data, parts)
    width = struct.calcsize(code)
    return [value for _, a, b in parts for value in struct.unpack(f"<{(b - a) // width}{code}", data[a:b])]


def value_info(data: bytes, start: int, end: int) -> Tensor:
    """An input or output as the graph declares it; an axis is a size, or its name where it is free."""
    name, kind = "", 0
    axes: list[int | str] = []
    for number, _, first, last in fields(data, start, end, VALUE_INFO):
        if number == 1:
            name = _text(data, first, last)
        elif number == 2:
            kind, axes = _tensor_type(data, first, last)
    return Tensor(name, DTYPES.get(kind, f"type {kind}"), tuple(axes))


def _tensor_type(data: bytes, start: int, end: int) -> tuple[int, list[int | str]]:
    kind = 0
    axes: list[int | str] = []
    for number, _, first, last in fields(data, start, end, TYPE):
        if number not in (1, 6):
            raise ArtifactError("graph", found="an input or output that is no tensor", expected="tensors")
        for inner, _, a, b in fields(data, first, last, TENSOR_TYPE) if number == 1 else ():
            if inner == 1:
                kind = a
            else:
                axes = [_axis(data, c, d) for _, _, c, d in fields(data, a, b, SHAPE)]
    if len(axes) > MAX_AXES:
        raise ArtifactError("graph", found=f"{len(axes)} axes", expected=f"at most {MAX_AXES}")
    return kind, axes


def _axis(data: bytes, start: int, end: int) -> int | str:
    axis: int | str = "?"
    for number, _, first, last in fields(data, start, end, AXIS):
        if number == 1:
            axis = first
        elif number == 2:
            axis = _text(data, first, last)
    return axis


def _text(data: bytes, start: int, end: int) -> str:
    try:
        return data[start:end].decode("utf-8")
    except UnicodeDecodeError as error:
        raise ArtifactError("graph", found="a name that is no UTF-8", expected="plain names") from error
