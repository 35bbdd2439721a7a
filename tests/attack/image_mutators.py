"""Mutations of image files: of any bytes, and of a PNG's chunks with their CRC made anew."""

import contextlib
import struct
import zlib

import mutators

HEAD = b"\x89PNG\r\n\x1a\n"
KINDS = (
    b"IHDR",
    b"IDAT",
    b"PLTE",
    b"tRNS",
    b"IEND",
    b"gAMA",
    b"iCCP",
    b"zTXt",
    b"iTXt",
    b"eXIf",
    b"acTL",
    b"fcTL",
    b"fdAT",
    b"sBIT",
    b"bKGD",
)


def mutated(random, content, bomb):
    """Other bytes for an image file. bomb: raw deflate that inflates to much."""
    if content.startswith(HEAD) and random.random() < 0.7:
        parts = chunks(content)
        for _ in range(random.choice((1, 1, 2, 4))):
            _change(random, parts, bomb)
        return joined(parts)
    kind = random.randrange(8)
    if kind == 0:
        return mutators.cut(random, content)
    if kind == 1:
        return content + random.choice((b"\0", b"PK\x03\x04", content))
    return mutators.changed(random, content)


def chunks(content):
    """The chunks of a sound PNG, [kind, data]."""
    found, at = [], len(HEAD)
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        found.append([content[at + 4 : at + 8], content[at + 8 : at + 8 + length]])
        at += 12 + length
    return found


def joined(parts):
    """A PNG of chunks."""
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return HEAD + b"".join(packed)


def _change(random, parts, bomb):
    """One change of a list of chunks, in place."""
    if not parts:
        return
    index = random.randrange(len(parts))
    kind, data = parts[index]
    change = random.choice((_head, _head, _text, "changed", "cut", "gone", "again", "moved", "more", _rows))
    if callable(change):
        change(random, parts, index, bomb)
    elif change == "changed":
        parts[index][1] = mutators.changed(random, data)
    elif change == "cut":
        parts[index][1] = mutators.cut(random, data)
    elif change == "gone":
        del parts[index]
    elif change == "again":
        parts.insert(random.randrange(len(parts) + 1), [kind, data])
    elif change == "moved":
        random.shuffle(parts)
    else:
        other = [random.choice(KINDS), random.choice((b"", data, random.randbytes(20)))]
        parts.insert(random.randrange(1, len(parts) + 1), other)


def _head(random, parts, index, bomb):
    """Another width, height, depth or colour type."""
    head, place = bytearray(parts[0][1]), random.randrange(7)
    if len(head) != 13:
        return
    if place < 2:
        side = random.choice((0, 1, 5, 6, 7, 999, 9999, 30_000, 2**31 - 1, 2**32 - 1))
        head[4 * place : 4 * place + 4] = struct.pack(">I", side)
    else:
        head[6 + place] = random.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
    parts[0][1] = bytes(head)


def _text(random, parts, index, bomb):
    """A text or a profile that inflates to much."""
    kind = random.choice((b"iCCP", b"zTXt", b"iTXt"))
    flags = b"\x01\0\0\0" if kind == b"iTXt" else b"\0"
    squeezed = b"\x78\x9c" + bomb[: random.choice((2000, len(bomb)))]
    parts.insert(1, [kind, b"name\0" + flags + squeezed])


def _rows(random, parts, index, bomb):
    """Other pixels, filters or lengths of rows, compressed anew."""
    for part in parts:
        if part[0] == b"IDAT":
            with contextlib.suppress(zlib.error):
                part[1] = zlib.compress(mutators.changed(random, zlib.decompress(part[1])))
