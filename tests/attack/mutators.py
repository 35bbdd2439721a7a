"""Random changes of bytes and of decoded JSON. The parameter `random` of every function is a random.Random."""

import copy
import json
import struct

LONG = 100_000
STRINGS = (
    "", " ", "nan", "../x", "C:\\x", "a\nb", "\t", "é" * 5, "名" * 300, "x" * 300, "y" * LONG, "\ud800", "\x00",
    "0x1", "%s%n", "1e5", "-", "[0:2]", "mnist", "float32", "latent", "flow", "kde", "batch", "\u202e", "1️⃣", "{}",
    "'", '"',
)  # fmt: skip
NUMBERS = (-1, 0, 1, 2, 3, 7, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32, 2**40, 2**53, 2**63 - 1, 2**63, 2**64,
           -(2**31), -(2**63), -(2**64), 10**400, -(10**400), 0.5, -0.0, 1e-320, 1e38, 1e39, 1e308, -1e308,
           float("nan"), float("inf"), float("-inf"))  # fmt: skip
DEEP_MARK = "deep nesting goes here"


def changed(random, content):
    """Return bytes with a few random changes: flipped bits, and overwritten, deleted, inserted or repeated bytes."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 5, 20))):
        at = random.randrange(len(data) + 1)
        kind = random.randrange(8)
        if kind <= 2 and data:
            data[at % len(data)] ^= 1 << random.randrange(8)
        elif kind == 3 and data:
            data[at % len(data)] = random.choice((0, 1, 127, 128, 255, 32, 10))
        elif kind == 4:
            del data[at : at + random.choice((1, 2, 4, 100, 10_000))]
        elif kind == 5:
            data[at:at] = random.choice(
                (b"\0", b"\xff" * 4, b"PK\x03\x04", b"\x1f\x8b", random.randbytes(8), b"{", b"\n")
            )
        elif kind == 6:
            data[at : at + 4] = struct.pack(
                random.choice("<>") + "I", random.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1))
            )
        elif data:
            start = random.randrange(len(data))
            data[at:at] = data[start : start + 50]
    return bytes(data)


def truncated(random, content):
    """Cut bytes off at the end. A random number of bytes remain: none, a few, some, or all but one."""
    return content[: random.choice((0, 1, 4, len(content) - 1, random.randrange(len(content) + 1)))]


def paths(value, path=()):
    """Yield the path of every value in decoded JSON: a tuple of keys and indices, which is () for the whole."""
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from paths(item, (*path, index))


def value_at(value, path):
    """Return the value at a path of keys and indices in decoded JSON."""
    for key in path:
        value = value[key]
    return value


def hostile(random, old):
    """Return a random JSON value of any type, often an extreme one, that can replace the value `old`."""
    return random.choice(
        (
            lambda: random.choice((None, True, False, [], {}, "", [[]], {"": {}})),
            lambda: random.choice(NUMBERS),
            lambda: random.choice(STRINGS),
            lambda: [old] * random.choice((2, 17, 1000)),
            lambda: {str(number): old for number in range(random.choice((1, 3, 500)))},
            lambda: [random.choice(NUMBERS) for _ in range(4)],
            lambda: DEEP_MARK,
            lambda: str(old),
        )
    )()


def similar(random, old):
    """Return a random JSON value of the same type as `old`, or a bool or a number if `old` is None."""
    if old is None or isinstance(old, bool):
        return random.choice((True, False, 0.5)) if old is None else not old
    if isinstance(old, int):
        return random.choice((old + 1, old - 1, old * 2, 1, 0, -old, 2**31, 2**62))
    if isinstance(old, float):
        return random.choice((old * 2, -old, 0.0, 1e-300, 1e300, 1, old + 1))
    if isinstance(old, str):
        return random.choice(
            (old + "x", old[:-1], old * 100, old.upper(), "名", "a\nb", "'", "\x1b[2J", "x" * LONG, "")
        )
    if isinstance(old, list):
        return random.choice((old[::-1], old[:-1], old + old[-1:], []))
    return dict(random.sample(list(old.items()), len(old)))


INDEPENDENT_KEYS = (
    "name", "licence", "recipe", "commands", "versions", "quality", "notes", "data", "seed", "epoch", "opset",
    "ir_version", "macs", "sigma", "precision", "log_likelihood", "parity", "default_prior",
    "default_temperature",
)  # fmt: skip


def gentle(random, manifest):
    """Change random values of a decoded manifest in place. No other file of the artifact depends on these values."""
    manifest |= random.choice(({}, {"notes": "n"}, {"sigma": 0.5}, {"macs": {"encoder.onnx": 5}}, {"unknown": [1]}))
    key = random.choice([key for key in INDEPENDENT_KEYS if key in manifest])
    path = random.choice([(key, *rest) for rest in paths(manifest[key])])
    holder = value_at(manifest, path[:-1])
    holder[path[-1]] = similar(random, holder[path[-1]])


def violent(random, manifest):
    """Make one random change anywhere in a decoded manifest, or replace it as a whole. Returns the result."""
    path = random.choice(list(paths(manifest)))
    if not path:
        return random.choice((manifest, [manifest], None, {}, 5, "manifest"))
    holder, key = value_at(manifest, path[:-1]), path[-1]
    kind = random.randrange(6)
    if kind <= 2:
        holder[key] = hostile(random, holder[key])
    elif kind == 3:
        del holder[key]
    elif kind == 4:
        holder[key] = similar(random, holder[key])
    elif isinstance(holder, dict):
        holder[random.choice(STRINGS)] = holder.pop(key)
    else:
        holder.insert(key, copy.deepcopy(value_at(manifest, random.choice(list(paths(manifest))))))
    return manifest


def json_bytes(random, value):
    """Encode a value as JSON, with random indentation, escapes and text encoding.

    If the value contains DEEP_MARK, that is replaced by lists or objects nested to a random depth.
    """
    text = json.dumps(value, ensure_ascii=random.random() < 0.5, indent=random.choice((None, None, 1)))
    depth = random.choice((1, 50, 900, LONG))
    text = text.replace(
        f'"{DEEP_MARK}"', random.choice(("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth, "[" * depth))
    )
    content = text.encode("utf-8", "surrogatepass")
    if random.random() < 0.03:
        content = random.choice(
            (b"\xef\xbb\xbf" + content, text.encode("utf-16", "surrogatepass"), content + b"\0", b" " * 5_000_000)
        )
    return content
