"""Protocol buffers' wire format, read without a schema: as much as ONNX files need, and no more.

Source: https://protobuf.dev/programming-guides/encoding
"""

from ..errors import ArtifactError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
MAX_VARINT = 10  # bytes of the longest number

Field = tuple[int, int, int, int]  # number, wire type, and a value and 0, or the first byte of the content and its end


def fields(data: bytes, start: int, end: int) -> list[Field]:
    """The fields of the message that lies in data[start:end], in their order.

    Raises ArtifactError for bytes that are no message: a field beyond the end, a number too long, a wire type unknown.
    """
    found: list[Field] = []
    at = start
    try:
        while at < end:
            key = data[at]
            at += 1
            if key > 0x7F:
                key, at = _varint(data, at - 1, end)
            wire = key & 7
            if wire in (BYTES, VARINT):
                value = data[at]
                at += 1
                if value > 0x7F:
                    value, at = _varint(data, at - 1, end)
                if wire == VARINT:
                    found.append((key >> 3, wire, value, 0))
                    continue
            elif wire in (FIXED64, FIXED32):
                value = 8 if wire == FIXED64 else 4
            else:
                raise ArtifactError("protobuf", found=f"wire type {wire}", expected="0, 1, 2 or 5")
            found.append((key >> 3, wire, at, at + value))
            at += value
    except IndexError:
        at = end + 1
    if at > end:
        raise ArtifactError("protobuf", found="a field cut short", expected="whole fields")
    return found


def packed(data: bytes, start: int, end: int) -> list[int]:
    """The numbers of a packed repeated field of whole numbers."""
    values, at = [], start
    while at < end:
        value, at = _varint(data, at, end)
        values.append(signed(value))
    return values


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
        if byte < 0x80:
            return value & (1 << 64) - 1, at
    raise ArtifactError("protobuf", found="a number cut short or too long", expected="a varint of 64 bits")
