"""Random changes of image files: of their raw bytes, or of the chunks of a PNG, whose CRCs are then recomputed."""

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
    """Return the bytes of an image file with random changes.

    content: the bytes before the changes. bomb: a raw deflate stream that inflates to a huge size.
    """
    if content.startswith(HEAD) and random.random() < 0.7:
        parts = chunks(content)
        for _ in range(random.choice((1, 1, 2, 4))):
            _change(random, parts, bomb)
        return joined(parts)
    kind = random.randrange(8)
    if kind == 0:
        return mutators.truncated(random, content)
    if kind == 1:
        return content + random.choice((b"\0", b"PK\x03\x04", content))
    return mutators.changed(random, content)


def chunks(content):
    """Split the bytes of a valid PNG into its chunks, each a list [kind, data] such as [b"IEND", b""]."""
    parts, at = [], len(HEAD)
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        parts.append([content[at + 4 : at + 8], content[at + 8 : at + 8 + length]])
        at += 12 + length
    return parts


def joined(parts):
    """Return the bytes of a PNG with these chunks [kind, data], and with correct CRCs."""
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return HEAD + b"".join(packed)


def _change(random, parts, bomb):
    """Make one random change to a list of PNG chunks [kind, data], in place."""
    if not parts:
        return
    index = random.randrange(len(parts))
    kind, data = parts[index]
    names = ("changed", "truncated", "removed", "repeated", "shuffled", "inserted")
    change = random.choice((_head, _head, _text, *names, _rows))
    if callable(change):
        change(random, parts, index, bomb)
    elif change == "changed":
        parts[index][1] = mutators.changed(random, data)
    elif change == "truncated":
        parts[index][1] = mutators.truncated(random, data)
    elif change == "removed":
        del parts[index]
    elif change == "repeated":
        parts.insert(random.randrange(len(parts) + 1), [kind, data])
    elif change == "shuffled":
        random.shuffle(parts)
    else:
        other = [random.choice(KINDS), random.choice((b"", data, random.randbytes(20)))]
        parts.insert(random.randrange(1, len(parts) + 1), other)


def _head(random, parts, index, bomb):
    """Change a random field of the PNG header, which is the chunk at index 0, such as the width or the bit depth."""
    head, field = bytearray(parts[0][1]), random.randrange(7)
    if len(head) != 13:
        return
    if field < 2:
        side = random.choice((0, 1, 5, 6, 7, 999, 9999, 30_000, 2**31 - 1, 2**32 - 1))
        head[4 * field : 4 * field + 4] = struct.pack(">I", side)
    else:
        head[6 + field] = random.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
    parts[0][1] = bytes(head)


def _text(random, parts, index, bomb):
    """Insert a chunk with a compressed text or colour profile that inflates to a huge size."""
    kind = random.choice((b"iCCP", b"zTXt", b"iTXt"))
    flags = b"\x01\0\0\0" if kind == b"iTXt" else b"\0"
    compressed = b"\x78\x9c" + bomb[: random.choice((2000, len(bomb)))]
    parts.insert(1, [kind, b"name\0" + flags + compressed])


def _rows(random, parts, index, bomb):
    """Decompress the pixel data (chunks IDAT), change some bytes, and compress the data again."""
    for part in parts:
        if part[0] == b"IDAT":
            with contextlib.suppress(zlib.error):
                part[1] = zlib.compress(mutators.changed(random, zlib.decompress(part[1])))
