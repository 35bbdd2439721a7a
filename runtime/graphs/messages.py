"""Read those parts of an ONNX file that describe a plain network.

Anything that a plain network does not need is refused: other operator domains, functions, graphs inside operators,
sparse tensors, and tensors stored in other files.

Source: the messages and field numbers are those of onnx.proto, IR version 8.
"""

import functools
import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import ArtifactError
from ..manifest import Tensor
from .protobuf import (
    BYTES,
    FIXED32,
    FIXED64,
    REPEATED,
    VARINT,
    Field,
    fields,
    packed,
    packed_count,
    schema,
    signed,
)  # fmt: skip
from .shapes import MAX_AXES, Node, StaticTensor, shape_text

OPSETS = range(13, 22)  # versions of ONNX's standard operator set that the shape rules are valid for
MAX_CONSTANT_VALUES = 64  # constants with more values are read without values; shape rules need only short ones
MAX_CACHED_BYTES = 64  # limit on the size of cached attributes; many operators have equal short attributes
MAX_TYPE_BYTES = 1024  # limit on a tensor's type, which is its dtype and the sizes or names of its axes
REMEDY = "Export the network without it."

Span = tuple[int, int]  # byte offsets at which a message in the file starts and ends
# One occurrence of a message's field: (wire type, value, 0) for a varint; otherwise (wire type, start, end), where
# start and end are the byte offsets of its content.
Part = tuple[int, int, int]

STRINGS = MESSAGES = BYTES | REPEATED
MODEL = schema({
    1: VARINT, 2: BYTES, 3: BYTES, 4: BYTES, 5: VARINT, 6: BYTES, 7: BYTES, 8: MESSAGES, 14: MESSAGES, 20: MESSAGES,
    25: MESSAGES,
})  # fmt: skip
OPSET = schema({1: BYTES, 2: VARINT})
GRAPH = schema({
    1: MESSAGES, 2: BYTES, 5: MESSAGES, 10: BYTES, 11: MESSAGES, 12: MESSAGES, 13: MESSAGES, 14: MESSAGES, 15: MESSAGES,
    16: MESSAGES,
})  # fmt: skip
NODE = schema({1: STRINGS, 2: STRINGS, 3: BYTES, 4: BYTES, 5: MESSAGES, 6: BYTES, 7: BYTES, 8: BYTES, 9: MESSAGES})
ATTRIBUTE = schema({
    1: BYTES, 2: FIXED32, 3: VARINT, 4: BYTES, 5: BYTES, 6: BYTES, 7: FIXED32 | REPEATED, 8: VARINT | REPEATED,
    9: STRINGS, 10: MESSAGES, 11: MESSAGES, 13: BYTES, 14: BYTES, 15: MESSAGES, 20: VARINT, 21: BYTES, 22: BYTES,
    23: MESSAGES,
})  # fmt: skip
TENSOR = schema({
    1: VARINT | REPEATED, 2: VARINT, 3: BYTES, 4: FIXED32 | REPEATED, 5: VARINT | REPEATED, 6: STRINGS,
    7: VARINT | REPEATED, 8: BYTES, 9: BYTES, 10: FIXED64 | REPEATED, 11: VARINT | REPEATED, 12: BYTES, 13: MESSAGES,
    14: VARINT, 16: MESSAGES,
})  # fmt: skip
VALUE_INFO = schema({1: BYTES, 2: BYTES, 3: BYTES, 4: MESSAGES})
TYPE = schema({1: BYTES, 4: BYTES, 5: BYTES, 6: BYTES, 7: BYTES, 8: BYTES, 9: BYTES})
TENSOR_TYPE = schema({1: VARINT, 2: BYTES})
SHAPE = schema({1: MESSAGES})
AXIS = schema({1: VARINT, 2: BYTES, 3: BYTES})

# Three tables whose keys are ONNX's numbers for dtypes. They hold the dtype's name, the size of one value in bytes, and
# the number of the field that holds values of this dtype in a tensor's message.
DTYPES = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64"}
DTYPE_BYTES = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8}
DTYPE_FIELDS = {1: 4, 2: 5, 3: 5, 6: 5, 7: 7, 9: 5, 10: 5, 11: 10}
# Number of a tensor field for values of fixed width (float or double) -> bytes of one value; other fields have varints.
FIXED_FIELD_BYTES = {4: 4, 10: 8}
# ONNX's number for an attribute type -> (number of the field that holds the value, value if this field is missing).
ATTRIBUTE_FIELDS: dict[int, tuple[int, Any]] = {
    1: (2, 0.0), 2: (3, 0), 3: (4, b""), 4: (5, None), 6: (7, []), 7: (8, []), 8: (9, []),
}  # fmt: skip
GRAPH_ATTRIBUTE_TYPES = (5, 10)  # ONNX's numbers for attributes that are one graph or a list of graphs


def graph_span(data: bytes) -> Span:
    """The byte offsets of the graph's message in an ONNX file.

    Raises ArtifactError if there is no graph, if the file has training information or functions, or if its operators
    are not the standard ones of a version in OPSETS.
    """
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
    """The domain and the version of an operator set that an ONNX file uses. The standard domain is returned as ""."""
    domain, version = "", 0
    for number, _, first, last in fields(data, start, end, OPSET):
        if number == 1:
            domain = _text(data, first, last)
        else:
            version = first
    return "" if domain == "ai.onnx" else domain, version


def nodes(data: bytes, graph: Sequence[Field]) -> Iterator[Node]:
    """The operators of a graph, in file order. graph: the fields of the graph's message.

    Raises ArtifactError for anything that a plain network does not have.
    """
    for number, _, start, end in graph:
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
            short = last - first <= MAX_CACHED_BYTES
            name, value = _short_attribute(data[first:last]) if short else _attribute(data, first, last)
            if name in attributes:
                raise ArtifactError(f"operator {op}", found=f"attribute {name} twice", expected="once")
            attributes[name] = value
        elif number in (7, 8):
            domain = domain or _text(data, first, last)
    if domain not in ("", "ai.onnx"):
        raise ArtifactError("graph", found=f"operator {op} of domain {domain}", expected="the standard domain")
    return Node(op, inputs, outputs, attributes)


@functools.lru_cache(1024)
def _short_attribute(message: bytes) -> tuple[str, Any]:
    """Like `_attribute`, but the result is cached, so that equal bytes are parsed only once."""
    return _attribute(message, 0, len(message))


def _attribute(data: bytes, start: int, end: int) -> tuple[str, Any]:
    """The name and value of an operator's attribute: number, bytes, list of numbers or bytes, or constant tensor."""
    name, kind = "", 0
    parts: dict[int, list[Part]] = {}
    for number, wire, first, last in fields(data, start, end, ATTRIBUTE):
        if number == 1:
            name = _text(data, first, last)
        elif number == 20:
            kind = first
        elif number != 13:
            parts.setdefault(number, []).append((wire, first, last))
    if kind in GRAPH_ATTRIBUTE_TYPES or 6 in parts or 11 in parts:
        raise ArtifactError("graph", found="a graph inside an operator (control flow)", expected="none", remedy=REMEDY)
    value_field, default = ATTRIBUTE_FIELDS.get(kind, (0, None))
    if not value_field or not set(parts) <= {value_field}:
        found = f"attribute {name} of type {kind} with fields {sorted(parts)}"
        raise ArtifactError("graph", found=found, expected="one value of the type that it states")
    return name, _value(data, value_field, parts[value_field]) if parts else default


def _value(data: bytes, number: int, parts: list[Part]) -> Any:
    """The value of an attribute.

    number: the number of the message field that holds the value. parts: all occurrences of this field in the message.
    """
    _, first, last = parts[0]
    if number in (2, 7):
        floats = [value for _, a, b in parts for value in struct.unpack(f"<{(b - a) // 4}f", data[a : b - (b - a) % 4])]
        return floats if number == 7 else floats[0]
    if number == 8:
        return _integers(data, parts)
    if number in (3, 5):
        return signed(first) if number == 3 else constant(data, first, last)[2]
    return data[first:last] if number == 4 else [data[a:b] for _, a, b in parts]


def _integers(data: bytes, parts: list[Part]) -> list[int]:
    return [value for wire, a, b in parts for value in (packed(data, a, b) if wire == BYTES else [signed(a)])]


def constant(data: bytes, start: int, end: int) -> tuple[str, str, StaticTensor]:
    """The name, dtype and shape of a stored tensor, with its values if it is short and may hold sizes or scales."""
    name, kind = "", 0
    dims: list[int] = []
    raw: Span | None = None
    parts: dict[int, list[Part]] = {}
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
            expected = "values in the file itself"
            raise ArtifactError(f"tensor {name}", found="external data", expected=expected, remedy=REMEDY)
        elif number in (3, 4, 5, 6, 7, 10, 11):
            parts.setdefault(number, []).append((wire, first, last))
    if kind not in DTYPES or len(dims) > MAX_AXES or min(dims, default=0) < 0:
        found = f"{len(dims)} axes of type {kind}"
        expected = f"at most {MAX_AXES} of a type among {', '.join(DTYPES.values())}"
        raise ArtifactError(f"tensor {name}", found=found, expected=expected)
    size = math.prod(dims)
    count, is_plain = _stored_values(data, kind, raw, parts)
    if count != size or not is_plain:
        found = f"{count:,} values for shape {shape_text(tuple(dims))}"
        raise ArtifactError(f"tensor {name}", found=found, expected=f"{size:,} in one field")
    values = _constant_values(data, kind, size, raw, parts.get(DTYPE_FIELDS[kind], []))
    return name, DTYPES[kind], StaticTensor(tuple(dims), values)


def _stored_values(data: bytes, kind: int, raw: Span | None, parts: dict[int, list[Part]]) -> tuple[int, bool]:
    """The number of values stored in a tensor, and whether one field holds all of them.

    The values may be in the field for raw bytes, or in the field for the tensor's dtype.
    """
    if raw is not None:
        count, rest = divmod(raw[1] - raw[0], DTYPE_BYTES[kind])
        return count, not rest and not parts
    number = DTYPE_FIELDS[kind]
    return sum(_count(data, number, *part) for part in parts.get(number, [])), set(parts) <= {number}


def _count(data: bytes, number: int, wire: int, first: int, last: int) -> int:
    """How many values are in one occurrence of a tensor field: one, or several if they are packed."""
    if wire == VARINT:
        return 1
    width = FIXED_FIELD_BYTES.get(number)
    return (last - first) // width if width else packed_count(data, first, last)


def _constant_values(data: bytes, kind: int, size: int, raw: Span | None, parts: list[Part]) -> list[Any] | None:
    """The values of a short int64 or float constant; None for any other constant.

    int32 is left out, because int32 arithmetic may overflow in a run, which Python's integers do not reproduce.
    """
    struct_format = {1: "f", 7: "q", 11: "d"}.get(kind)
    if struct_format is None or size > MAX_CONSTANT_VALUES:
        return None
    if raw is not None:
        return list(struct.unpack_from(f"<{size}{struct_format}", data, raw[0]))
    if kind == 7:
        return _integers(data, parts)
    width = struct.calcsize(struct_format)
    return [value for _, a, b in parts for value in struct.unpack(f"<{(b - a) // width}{struct_format}", data[a:b])]


def value_info(data: bytes, start: int, end: int) -> Tensor:
    """The name, dtype and shape that a graph declares for a tensor. An axis that may have any size is a name."""
    name, dtype = "", "no type"
    shape: tuple[int | str, ...] = ()
    for number, _, first, last in fields(data, start, end, VALUE_INFO):
        if number == 1:
            name = _text(data, first, last)
        elif number == 2:
            if last - first > MAX_TYPE_BYTES:
                expected = f"at most {MAX_TYPE_BYTES:,}"
                raise ArtifactError(f"type of {name}", found=f"{last - first:,} bytes", expected=expected)
            dtype, shape = _tensor_type(data[first:last])
    return Tensor(name, dtype, shape)


@functools.lru_cache(1024)
def _tensor_type(message: bytes) -> tuple[str, tuple[int | str, ...]]:
    """The dtype and axes in the message of a tensor's type. Cached, so that equal bytes are parsed only once."""
    kind = 0
    axes: tuple[int | str, ...] = ()
    for number, _, start, end in fields(message, 0, len(message), TYPE):
        if number not in (1, 6):
            raise ArtifactError("graph", found="a value that is no tensor", expected="tensors")
        for inner, _, first, last in fields(message, start, end, TENSOR_TYPE) if number == 1 else ():
            if inner == 1:
                kind = first
            else:
                axes = tuple(_axis(message, a, b) for _, _, a, b in fields(message, first, last, SHAPE))
    if len(axes) > MAX_AXES:
        raise ArtifactError("graph", found=f"{len(axes)} axes", expected=f"at most {MAX_AXES}")
    return DTYPES.get(kind, f"type {kind}"), axes


def _axis(data: bytes, start: int, end: int) -> int | str:
    """The size of a declared axis. If the axis may have any size, the result is its name, or "?" if it has no name."""
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
        raise ArtifactError("graph", found="a name that is not UTF-8", expected="plain names") from error
