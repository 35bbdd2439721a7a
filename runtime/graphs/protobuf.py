"""A strict reader of the Protocol Buffers wire format, limited to what ONNX files need.

Common readers are lenient, each in its own way: they merge duplicates of non-repeated fields, truncate long numbers and
skip unknown fields. onnxruntime parses a checked file again with a reader of its own. Everything that two readers could
interpret differently is therefore refused: unknown fields, wrong wire types, and non-repeated fields that occur twice.

Source: https://protobuf.dev/programming-guides/encoding
"""

from ..errors import ArtifactError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # Protocol Buffers' numbers for the wire types
WIDTHS = {FIXED64: 8, FIXED32: 4}  # number of bytes of one number, for each wire type of fixed width
REPEATED = 8  # flag, added to the wire type of a repeated field: it may occur several times or hold packed numbers
MAX_VARINT_BYTES = 10
MAX_FIELDS = 200_000  # limit on the fields of one message

# Maps a field's key, as encoded in the file, to its field number, its wire type, and whether it may occur only once.
Schema = dict[int, tuple[int, int, bool]]
# A field of a message: (field number, wire type, value, 0) for a varint; (field number, wire type, start, end) for
# other wire types, where start and end are the byte offsets of the content.
Field = tuple[int, int, int, int]


def schema(kinds: dict[int, int]) -> Schema:
    """The schema of a message. kinds: field number -> wire type, plus REPEATED if the field is a repeated one."""
    keys: Schema = {}
    for number, kind in kinds.items():
        wire, single = kind & 7, not kind & REPEATED
        keys[number << 3 | wire] = number, wire, single
        if not single:
            keys[number << 3 | BYTES] = number, BYTES, single  # repeated numbers may be packed into one field of bytes
    return keys


def fields(data: bytes, start: int, end: int, schema: Schema) -> list[Field]:
    """The fields of the message data[start:end], in file order.

    Raises ArtifactError for bytes that do not match the schema.
    """
    found: list[Field] = []
    present = 0  # bit mask of the non-repeated fields found so far, by field number
    at = start
    try:
        while at < end and len(found) <= MAX_FIELDS:
            key = data[at]
            at += 1
            if key > 0x7F:
                key, at = _varint(data, at - 1, end)
            known = schema.get(key)
            if known is None:
                raise ArtifactError(
                    "protobuf", found=f"field {key >> 3} of wire type {key & 7}", expected="ONNX fields"
                )
            number, wire, single = known
            if single:
                if present >> number & 1:
                    raise ArtifactError("protobuf", found=f"field {number} twice", expected="once")
                present |= 1 << number
            if wire in (BYTES, VARINT):
                value = data[at]
                at += 1
                if value > 0x7F:
                    value, at = _varint(data, at - 1, end)
                if wire == VARINT:
                    found.append((number, wire, value, 0))
                    continue
            else:
                value = WIDTHS[wire]
            found.append((number, wire, at, at + value))
            at += value
    except IndexError:
        at = end + 1
    if at > end:
        raise ArtifactError("protobuf", found="a truncated field", expected="a whole one")
    if len(found) > MAX_FIELDS:
        raise ArtifactError("protobuf", found="more fields", expected=f"at most {MAX_FIELDS:,} per message")
    return found


def packed(data: bytes, start: int, end: int) -> list[int]:
    """The signed 64-bit integers of a packed repeated field, whose content is data[start:end]."""
    values, at = [], start
    while at < end:
        value, at = _varint(data, at, end)
        values.append(signed(value))
    return values


def packed_count(data: bytes, start: int, end: int) -> int:
    """The number of varints in a packed field. Each varint ends with a byte below 128, so these bytes are counted."""
    return len(data[start:end].translate(None, bytes(range(0x80, 0x100))))


def signed(value: int) -> int:
    """Convert an unsigned 64-bit integer to a signed one (two's complement)."""
    return value - (1 << 64) if value >> 63 else value


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Decode the varint that begins at index `at`. Returns its unsigned 64-bit value and the index after its end."""
    value = 0
    for position in range(MAX_VARINT_BYTES):
        if at >= end:
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << (7 * position)
        if byte < 0x80 and value < 1 << 64:
            return value, at
    raise ArtifactError("protobuf", found="a number cut short or too long", expected="a varint of 64 bits")
