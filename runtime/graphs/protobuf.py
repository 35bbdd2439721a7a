"""Protocol buffers' wire format, read by a strict schema: as much as ONNX files need, and no more.

Readers of this format are lenient: they merge what comes twice, cut numbers short and skip what they do not know, each
in its own way. What is checked here is run by another reader, so everything that the two could take differently is
refused: fields that the schema does not have, of another wire type, or twice.

Source: https://protobuf.dev/programming-guides/encoding
"""

from ..errors import ArtifactError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
WIDTHS = {FIXED64: 8, FIXED32: 4}  # bytes
MANY = 8  # added to a wire type: the field may come more than once, and numbers may be packed
MAX_VARINT = 10  # bytes of the longest number
MAX_FIELDS = 200_000  # of one message

Schema = dict[int, int]  # of each field's number its wire type, MANY added or not
Field = tuple[int, int, int, int]  # number, wire type, and a value and 0, or the first byte of the content and its end


def fields(data: bytes, start: int, end: int, schema: Schema) -> list[Field]:
    """The fields of the message that lies in data[start:end], in their order.

    Raises ArtifactError for bytes that are no message of the schema.
    """
    found: list[Field] = []
    once: set[int] = set()
    at = start
    try:
        while at < end:
            key = data[at]
            at += 1
            if key > 0x7F:
                key, at = _varint(data, at - 1, end)
            number, wire = key >> 3, key & 7
            kind = schema.get(number)
            if kind is None or (wire != kind & 7 and not (kind & MANY and wire == BYTES)) or key >> 32:
                raise ArtifactError("protobuf", found=f"field {number} of wire type {wire}", expected="those of ONNX")
            if not kind & MANY and number in once:
                raise ArtifactError("protobuf", found=f"field {number} twice", expected="once")
            once.add(number)
            value = WIDTHS.get(wire, 0)
            if not value:
                value = data[at]
                at += 1
                if value > 0x7F:
                    value, at = _varint(data, at - 1, end)
            if wire == VARINT:
                found.append((number, wire, value, 0))
            else:
                found.append((number, wire, at, at + value))
                at += value
            if len(found) > MAX_FIELDS:
                break
    except IndexError:
        at = end + 1
    if at > end or len(found) > MAX_FIELDS:
        raise ArtifactError("protobuf", found="a field cut short, or too many", expected=f"at most {MAX_FIELDS:,}")
    return found


def packed(data: bytes, start: int, end: int) -> list[int]:
    """The numbers of a packed repeated field of whole numbers."""
    values, at = [], start
    while at < end:
        value, at = _varint(data, at, end)
        values.append(signed(value))
    return values


def packed_count(data: bytes, start: int, end: int) -> int:
    """How many varints there are: each has one byte, its last, below 128."""
    return len(data[start:end].translate(None, bytes(range(0x80, 0x100))))


def signed(value: int) -> int:
    """A varint as a signed number of 64 bits."""
    return value - (1 << 64) if value >> 63 else value


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A number of 64 bits, and where it ends."""
    value = 0
    for place in range(MAX_VARINT):
        if at >= end:
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80 and value < 1 << 64:
            return value, at
    raise ArtifactError("protobuf", found="a number cut short or too long", expected="a varint of 64 bits")
