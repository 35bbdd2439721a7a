"""A 16-bit image of any colour type is read with the levels of its 8-bit version, and never silently as black."""

import struct
import zlib

import numpy as np
import pytest
from aegen.images.reading import read_images
from aegen.runtime.errors import InputError
from PIL import Image

LEVELS = np.arange(0, 250, 10, dtype=np.uint16).reshape(5, 5)
GREY, COLOUR, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 4, 6
CHANNELS = {GREY: 1, COLOUR: 3, GREY_ALPHA: 2, COLOUR_ALPHA: 4}
CHUNKS = {
    "plain": {},
    "sBIT": {b"sBIT": b"\x0c\x0c\x0c\x0c"},
    "gAMA": {b"gAMA": struct.pack(">I", 45455)},
    "pHYs": {b"pHYs": struct.pack(">IIB", 2835, 2835, 1)},
}


def png(levels: np.ndarray, kind: int, bits: int, chunks: dict[bytes, bytes]) -> bytes:
    """Make a PNG whose colour channels all have the same levels; alpha is opaque except in the first row.

    levels: integers (H, W). kind: colour type of the PNG format, such as 2 for RGB. bits: bits per channel, 8 or 16.
    chunks: content of additional PNG chunks, by chunk name.
    """
    channels = CHANNELS[kind]
    pixels = np.repeat(levels[..., None].astype(np.uint16), channels, -1)
    if channels in (2, 4):
        pixels[..., -1] = 2**bits - 1
        pixels[0, :, -1] = 0
    rows = pixels.astype(">u2" if bits == 16 else np.uint8)
    data = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", levels.shape[1], levels.shape[0], bits, kind, 0, 0, 0)
    middle = b"".join(
        chunk(name, content[: CHANNELS[kind]] if name == b"sBIT" else content) for name, content in chunks.items()
    )
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + middle
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def transparent(kind: int, level: int) -> dict[bytes, bytes]:
    return {b"tRNS": struct.pack(">H", level) * CHANNELS[kind]}


@pytest.mark.parametrize("shape", [None, (1, 5, 5), (3, 5, 5)])
@pytest.mark.parametrize("name", CHUNKS)
@pytest.mark.parametrize("kind", CHANNELS)
def test_every_mode_and_chunk_gives_the_levels_of_eight_bits(tmp_path, kind, name, shape):
    (tmp_path / "8.png").write_bytes(png(LEVELS, kind, 8, {k: v for k, v in CHUNKS[name].items() if k != b"sBIT"}))
    (tmp_path / "16.png").write_bytes(png(LEVELS * 257, kind, 16, CHUNKS[name]))
    images = read_images(tmp_path / "16.png", shape=shape).images
    assert np.array_equal(images, read_images(tmp_path / "8.png", shape=shape).images)


def test_levels_of_the_whole_range_become_their_high_byte_in_every_mode(tmp_path):
    levels = np.random.default_rng(0).integers(0, 65536, (5, 5)).astype(np.uint16)
    # 16-bit levels become 8-bit levels by their high byte. For some of these levels, level / 257 rounded would differ.
    levels[1] = [255, 256, 65279, 65534, 65535]
    for kind in CHANNELS:
        (tmp_path / "16.png").write_bytes(png(levels, kind, 16, {}))
        images = read_images(tmp_path / "16.png", shape=(1, 5, 5)).images[0]
        assert np.array_equal(images[1:], (levels >> 8)[1:])


@pytest.mark.parametrize("kind", [GREY, COLOUR])
def test_a_transparent_level_is_black_in_eight_and_in_sixteen_bits(tmp_path, kind):
    (tmp_path / "8.png").write_bytes(png(LEVELS, kind, 8, transparent(kind, 100)))
    (tmp_path / "16.png").write_bytes(png(LEVELS * 257, kind, 16, transparent(kind, 25700)))
    images = read_images(tmp_path / "16.png", shape=(1, 5, 5)).images
    assert images[0].tolist() == np.where(LEVELS == 100, 0, LEVELS).tolist()
    assert np.array_equal(images, read_images(tmp_path / "8.png", shape=(1, 5, 5)).images)


def test_a_transparent_level_of_two_bits_is_scaled_like_the_pixels(tmp_path):
    eight_bit = png(np.array([[0b00011011]]), GREY, 8, transparent(GREY, 1))
    header = struct.pack(">IIBBBBB", 4, 1, 2, 0, 0, 0, 0)
    content = eight_bit[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + eight_bit[33:]
    (tmp_path / "two.png").write_bytes(content)
    assert read_images(tmp_path / "two.png").images.tolist() == [[[0, 0, 170, 255]]]


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_levels_of_fewer_bits_fill_the_range_and_a_note_says_so(tmp_path, bits):
    Image.fromarray(np.array([[0, 2**bits // 2], [2**bits - 2, 1]], np.uint16)).save(tmp_path / "dark.png")
    images = read_images(tmp_path / "dark.png").images
    assert images.max() == (2**bits - 2) >> (bits - 8)
    assert images[0, 0, 1] == 128
    notes = []
    read_images(tmp_path / "dark.png", note=notes.append)
    assert len(notes) == 1
    assert f"dark.png: 16-bit grey levels up to {2**bits - 2:,} are read as {bits}-bit ones" in notes[0]


def test_all_images_of_a_folder_are_scaled_alike(tmp_path):
    for name, level in (("a", 400), ("b", 4000), ("c", 1000)):
        Image.fromarray(np.full((4, 4), level, np.uint16)).save(tmp_path / f"{name}.png")
    assert read_images(tmp_path).images[:, 0, 0].tolist() == [400 >> 4, 4000 >> 4, 1000 >> 4]
    notes = []
    read_images(tmp_path, note=notes.append)
    assert len(notes) == 1
    assert "a.png and 2 more" in notes[0]


def test_sixteen_bit_colour_that_eight_bits_cannot_hold_is_refused(tmp_path):
    for kind in (COLOUR, GREY_ALPHA, COLOUR_ALPHA):
        (tmp_path / "dark.png").write_bytes(png(LEVELS * 16, kind, 16, {}))
        with pytest.raises(InputError, match=r"dark\.png: found 16 bits a channel, and no level above 4,095 of 65,535"):
            read_images(tmp_path / "dark.png")


def test_the_command_line_says_how_dark_images_were_read(cli, tmp_path):
    Image.fromarray(np.full((28, 28), 4000, np.uint16)).save(tmp_path / "depth12.png")
    done = cli("reconstruct", "depth12.png", "-o", "out.png")
    assert done.returncode == 0, done.stderr
    assert "depth12.png: 16-bit grey levels up to 4,000 are read as 12-bit ones" in done.stderr


def test_damaged_sixteen_bit_colour_is_reported_as_damaged(tmp_path):
    (tmp_path / "cut.png").write_bytes(png(LEVELS * 257, COLOUR, 16, {})[:70])
    with pytest.raises(InputError, match=r"cut\.png is damaged"):
        read_images(tmp_path / "cut.png")
