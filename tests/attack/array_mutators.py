"""Random changes of arrays, of `.npy` headers, and of `.npz` files, which are zip archives."""

import io
import re
import struct
import zipfile

import bases
import mutators
import numpy as np

DTYPES = (
    "<f2", "<f4", "<f8", ">f4", "|u1", "<u2", "|i1", "<i8", ">i8", "|b1", "<c8", "<c16", "|O", "|S0", "|S5", "<U0",
    "<U7", "|V8", "|V0", "<M8[s]", "<m8", "<f16", "<g", "float32", "f4,f4", "<q7", "", "4f4", "(2,)f4",
    "<U999999999",
)  # fmt: skip
SHAPES = (
    "()", "(0,)", "(3,)", "(2.5,)", "(-1,)", "(3,3)", "(0, 6, 5)", "(2, 6, 5)", "(2, 30)", "(1, 4, 6, 3)",
    "(1,)*65", "3", "(3", "(1,2,3,)", "(9999999999999999999999,)", "(4294967296, 4294967296)", "(2147483648,)",
    "(True,)", "('3',)", "(3L,)", "(" + "1, " * 65 + ")", "(" + "1, " * 31 + ")", "(0, 99999999999999)", "[3]",
    "None", "(1e3,)", "(1_0,)", "(٣,)",
)  # fmt: skip
ZIP_FIELDS = (  # kinds of zip headers: signature, then (offset, size) in bytes of each field
    (b"PK\x01\x02", ((8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (42, 4))),
    (b"PK\x03\x04", ((6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2))),
    (b"PK\x05\x06", ((8, 2), (10, 2), (12, 4), (16, 4), (20, 2))),
)


def header(random, shape="(3,)", dtype="'<f4'", version=1):
    """Make an `.npy` header with one or two random changes. shape, dtype, version: its fields before the changes."""
    parts = {"descr": dtype, "fortran_order": "False", "shape": shape}
    for _ in range(random.choice((1, 1, 1, 2))):
        kind = random.randrange(7)
        if kind == 0:
            parts["descr"] = random.choice(
                (repr(random.choice(DTYPES)), "[('a', '<f4')]", "('<f4', (2,))", "None", "5", "'" + "f" * 300 + "'")
            )
        elif kind <= 2:
            parts["shape"] = random.choice(SHAPES)
        elif kind == 3:
            parts["fortran_order"] = random.choice(("True", "1", "None", "'False'", "true"))
        elif kind == 4:
            parts.pop(random.choice(list(parts)), None)
        elif kind == 5:
            parts[random.choice(("extra", "x" * 300, "shape "))] = "1"
        else:
            version = random.choice((0, 1, 2, 3, 4, 255))
    text = "{" + ", ".join(f"'{key}': {value}" for key, value in parts.items()) + random.choice((", }", "}", "", "}}"))
    if random.random() < 0.1:
        text += " " * random.choice((9000, 11_000, 70_000))
    content = text.encode("utf-8") + b"\n"
    width = "<H" if version < 2 else "<I"
    length = random.choice((len(content),) * 8 + (0, 5, 65535)) & (0xFFFF if version < 2 else 0xFFFFFFFF)
    return b"\x93NUMPY" + bytes((version, 0)) + struct.pack(width, length) + content


def other_array(random, numbers, array):
    """Return an array with another rank, length, dtype, memory layout or other values. array: any shape."""
    choices = (
        lambda: array[..., None],
        lambda: array[0] if array.ndim else array,
        lambda: array[:-1],
        lambda: array[:0],
        lambda: np.concatenate([array, array]),
        lambda: array.reshape(-1),
        lambda: array.T,
        lambda: np.asfortranarray(array),
        lambda: np.zeros_like(array),
        lambda: array * 0 - 1,
        lambda: np.ones_like(array),
        lambda: array.astype(
            random.choice(("f2", "f4", "f8", ">f4", "u1", "i1", "i4", "i8", "?", "c8", "S3", "U2", "M8[s]"))
        ),
        lambda: array.astype("f4") * np.float32(random.choice((1e30, -1e30, 1e-30, 300))),
        lambda: np.broadcast_to(np.float32(random.choice((np.nan, np.inf, -np.inf, 3e38))), array.shape),
        lambda: _one_changed(random, array),
        lambda: numbers.standard_normal(array.shape).astype(np.float32),
        lambda: np.zeros(random.choice(((), (0,), (1,), (3, 0), (1,) * 20, (70_000,)))),
        lambda: np.zeros(2, [("a", "f4"), ("b", "i8")]),
    )
    with np.errstate(all="ignore"):
        return np.ascontiguousarray(random.choice(choices)())


def _one_changed(random, array):
    """Return a copy of an array of any shape. One value is changed if the array holds integers or real numbers."""
    changed_array = np.array(array)
    if array.size:
        value = random.choice((np.nan, np.inf, -1, 0, 1e20, 127))
        if array.dtype.kind == "f":
            changed_array.flat[random.randrange(array.size)] = value
        elif array.dtype.kind in "iu":
            changed_array.flat[random.randrange(array.size)] = random.choice((0, 1, 7, 127))
    return changed_array


class Members:
    """The members (name, content) of an `.npz` file, a zip archive, which can be mutated and then written as bytes."""

    def __init__(self, arrays):
        self.items = [(f"{name}.npy", bases.save_npy(array)) for name, array in arrays.items()]
        self.method, self.bomb = zipfile.ZIP_STORED, None

    def mutate(self, random):
        """Change one random thing: a member's name or content, the list of members, or the compression method.

        Instead of such a change, it may choose the name of a new or existing member. `content` then puts a
        decompression bomb into this member.
        """
        index = random.randrange(len(self.items)) if self.items else 0
        name, content = self.items[index] if self.items else ("x.npy", b"")
        kind = random.randrange(11)
        if kind <= 1:
            body = content[128:] if len(content) > 128 else content
            self.items[index : index + 1] = [(name, header(random) + body)]
        elif kind == 2:
            self.items[index : index + 1] = [(name, mutators.changed(random, content))]
        elif kind == 3:
            self.items[index : index + 1] = [(name, mutators.truncated(random, content))]
        elif kind == 4:
            self.items[index : index + 1] = []
        elif kind == 5:
            self.items.append(
                (
                    random.choice(
                        (name, "undeclared.npy", "../x.npy", "/x.npy", "x" * 300 + ".npy", ".npy", "名.npy", "a\\b")
                    ),
                    content,
                )
            )
        elif kind == 6:
            self.method = random.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
        elif kind == 7:
            self.bomb = random.choice((name, "undeclared.npy"))
        elif kind == 8:
            self.items[index : index + 1] = [(name.removesuffix(".npy"), content)]
        elif kind == 9:
            random.shuffle(self.items)
            self.method = zipfile.ZIP_DEFLATED
        else:
            self.items[index : index + 1] = [(name, content + b"\0" * random.choice((1, 100, 100_000)))]

    def content(self, random, bomb):
        """Return the bytes of the archive, sometimes with a damaged header.

        bomb: a decompression bomb, as a pair: a raw deflate stream, and the huge size in bytes that it inflates to.
        """
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", self.method) as archive:
            seen = set()
            for name, content in self.items:
                if name in seen:  # forget the earlier member of this name, so that zipfile does not warn of a duplicate
                    archive.NameToInfo.pop(name, None)
                seen.add(name)
                archive.writestr(name or ".npy", content)
        data = stream.getvalue()
        if self.bomb is not None:
            data = with_member(data, self.bomb, *bomb)
        if random.random() < 0.3:
            data = patched(random, data)
        return data


def patched(random, data):
    """Change one random field in a header of a zip archive: a method, flag, size, offset, CRC or count."""
    sign, fields = random.choice(ZIP_FIELDS)
    starts = [match.start() for match in re.finditer(re.escape(sign), data)]
    start = random.choice(starts or [0])
    offset, size = random.choice(fields)
    value = random.choice((0, 1, 8, 9, 12, 14, 99, 255, 2**16 - 1, 2**31 - 1, 2**32 - 1)) & (256**size - 1)
    position = start + offset
    return data[:position] + value.to_bytes(size, "little") + data[position + size :]


def with_member(data, name, packed, size):
    """Add an already compressed member to a zip archive, replacing any member of the same name.

    data: bytes of the archive. packed: the member's content as a raw deflate stream. size: its inflated size in bytes.
    """
    stream = io.BytesIO(data)
    with zipfile.ZipFile(stream) as archive:
        items = [(member.filename, archive.read(member)) for member in archive.infolist() if member.filename != name]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for member, content in dict(items).items():
            archive.writestr(member, content)
        info = zipfile.ZipInfo(name)
        info.header_offset, info.compress_type, info.CRC = out.tell(), zipfile.ZIP_DEFLATED, 0
        info.compress_size, info.file_size = len(packed), size
        out.write(info.FileHeader(zip64=False) + packed)
        archive.start_dir = out.tell()
        archive.filelist.append(info)
        archive._didModify = True
    return out.getvalue()


def gzip_of(packed, size):
    """Make a gzip file from a raw deflate stream. Its CRC-32 field is 0. size: bytes that the stream inflates to."""
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + packed + struct.pack("<II", 0, size & 0xFFFFFFFF)
