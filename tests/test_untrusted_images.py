"""Unusable image files are refused once their headers are read, in little memory. A one-line error names them."""

import gzip
import io
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
from aegen.data.datasets import load
from aegen.images.latents import read_latents
from aegen.images.reading import read_images
from aegen.runtime.errors import AegenError, InputError, NotFoundError, ShapeError
from peak_memory import PEAK
from PIL import Image

LIMIT = 60_000_000  # limit on the memory that refusing a file may take, in bytes


def idx_header(*shape: int) -> bytes:
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape)


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        (idx_header(200_000, 28, 29), 140_000_000, "grey images of 29x28 pixels, expected grey images of 28x28"),
        (idx_header(190_000, 28, 28), 148_900_000, "148900000 bytes of data, expected 148960000"),
        (idx_header(4_000_000_000, 28, 28), 1_000, "bytes of compressed data, expected 3136000000000"),
        (idx_header(2, 28, 28), 140_000_000, "found more data, expected 1568 bytes"),
    ],
    ids=["another size", "cut short", "announces too much", "holds more"],
)
def test_a_refused_idx_file_is_not_held_in_memory(tmp_path, header, data, message):
    with (tmp_path / "x.gz").open("wb") as file, gzip.GzipFile(fileobj=file, mode="wb") as packed:
        packed.write(header)
        for _ in range(data // 1_000_000):
            packed.write(bytes(1_000_000))
        packed.write(bytes(data % 1_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=message):
            read_images(tmp_path / "x.gz", shape=(1, 28, 28))
        assert tracemalloc.get_traced_memory()[1] < LIMIT
    finally:
        tracemalloc.stop()


def test_a_refused_archive_is_not_inflated(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", images=np.zeros((150_000, 28, 29), np.uint8))
    np.savez_compressed(tmp_path / "y.npz", images=np.zeros((20_000, 28, 28), "U2"))
    tracemalloc.start()
    try:
        with pytest.raises(ShapeError, match="grey images of 29x28 pixels"):
            read_images(tmp_path / "x.npz", shape=(1, 28, 28))
        with pytest.raises(InputError, match="dtype <U2"):
            load(str(tmp_path / "y.npz"))
        assert tracemalloc.get_traced_memory()[1] < LIMIT
    finally:
        tracemalloc.stop()


MEASURED = f"""{PEAK}
import sys, warnings
warnings.simplefilter("error")
from aegen.images.reading import read_images
from aegen.runtime.errors import AegenError
import PIL.Image, PIL.PngImagePlugin
before = peak()
try:
    print(read_images(sys.argv[1], shape=(1, 28, 28), resize=sys.argv[2] == "resize").images.shape)
except AegenError as error:
    print(error)
print((peak() - before) // 1024)
"""


def measured(path, mode: str) -> tuple[str, int]:
    """Read an image in a new process, and resize it if `mode` is "resize".

    Returns the line that the process printed (shape or error), and how much its peak memory grew, in MB.
    """
    done = subprocess.run([sys.executable, "-c", MEASURED, path, mode], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    text, memory = done.stdout.strip().splitlines()
    return text, int(memory)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_a_large_image_is_reduced_in_bounded_memory(tmp_path):
    Image.new("RGBA", (4000, 4000), (10, 200, 30, 128)).save(tmp_path / "large.png", compress_level=1)
    text, memory = measured(tmp_path / "large.png", "resize")
    assert text == "(1, 28, 28)"
    assert memory < 1.7 * 4 * 16  # in MB; the RGBA image itself takes 4 * 16 MB: 4 bytes for each of 16 million pixels
    text, memory = measured(tmp_path / "large.png", "refuse")
    assert "found grey images of 4000x4000 pixels" in text
    assert memory < 50


def test_reducing_in_strips_gives_the_result_of_reducing_at_once(tmp_path):
    # A tiny random image is enlarged to two sizes. Both results are smooth, so reducing them gives nearly equal pixels.
    random = np.random.default_rng(0).integers(0, 256, (6, 5, 4), np.uint8)
    for name, mode in (("rgba", "RGBA"), ("rgb", "RGB"), ("grey", "L")):
        image = Image.fromarray(random).convert(mode)
        image.resize((2000, 2400), Image.Resampling.BICUBIC).save(tmp_path / f"{name}.png", compress_level=1)
        image.resize((200, 240), Image.Resampling.BICUBIC).save(tmp_path / f"{name}-small.png")
        large, small = (
            read_images(tmp_path / f"{name}{end}.png", shape=(3, 12, 10), resize=True).images.astype(int)
            for end in ("", "-small")
        )
        assert np.abs(large - small).max() <= 3


def announced(width: int, height: int) -> bytes:
    """Make the bytes of a PNG whose header declares this width and height, but which has no pixel data."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [10_001, 15_000, 2_000_000])
def test_too_many_pixels_give_a_library_error_and_no_warning(tmp_path, side):
    (tmp_path / "x.png").write_bytes(announced(side, side))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(InputError, match="pixels, expected at most"):
            read_images(tmp_path / "x.png", shape=(1, 28, 28), resize=True)
    assert caught == []


def test_all_bad_files_of_a_folder_are_named_at_once(tmp_path):
    for i in range(20):
        Image.fromarray(np.full((6, 5), i, np.uint8)).save(tmp_path / f"{i}.png")
    whole = (tmp_path / "3.png").read_bytes()
    (tmp_path / "3.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "7.png").write_bytes(b"")
    Image.fromarray(np.zeros((6, 5), np.uint8)).save(tmp_path / "9.png", format="GIF")
    for read in (read_images, lambda folder: load(str(folder))):
        with pytest.raises(InputError, match="3 of 20 image files: found ") as caught:
            read(tmp_path)
        assert all(name in str(caught.value) for name in ("3.png", "7.png", "9.png"))
        assert "\n" not in str(caught.value)


def test_ten_files_of_another_size_are_named_and_the_rest_counted(tmp_path):
    for i in range(25):
        Image.fromarray(np.zeros((6 + (i > 9), 5), np.uint8)).save(tmp_path / f"{i}.png")
    with pytest.raises(
        ShapeError, match=r"15 of 25 image files: found 10\.png, .*19\.png and 5 more, expected images of"
    ):
        read_images(tmp_path)


@pytest.mark.parametrize(
    "end", ["[-:]", "[:-]", "[1:2:3]", "[]", "[--1]", "[" + "9" * 400 + "]", "[:" + "9" * 5000 + "]", "[\u0663]"]
)
def test_an_invalid_slice_is_refused(tmp_path, end):
    np.save(tmp_path / "x.npy", np.zeros((4, 6, 5), np.uint8))
    with pytest.raises(InputError, match="expected one like") as caught:
        read_images(f"{tmp_path / 'x.npy'}{end}")
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("path", ["a" * 300, "a" * 300 + ".npy[3]", "x\0.png", "\ud800.png", "a/" * 3000, ""])
@pytest.mark.parametrize("read", [read_images, read_latents, load], ids=["images", "latents", "set"])
def test_a_path_that_no_file_can_have_is_one_clear_error(tmp_path, monkeypatch, read, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AegenError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_latents_are_not_read_from_a_folder(tmp_path):
    with pytest.raises(NotFoundError, match="found a folder, expected a file"):
        read_latents(tmp_path)


def test_an_image_with_a_damaged_orientation_is_read(tmp_path):
    stream = io.BytesIO()
    Image.fromarray(np.zeros((6, 5), np.uint8)).save(stream, "JPEG", exif=b"Exif\0\0ME\0*\0\0\0\x08")
    (tmp_path / "x.jpg").write_bytes(stream.getvalue())
    assert read_images(tmp_path / "x.jpg").images.shape == (1, 6, 5)
