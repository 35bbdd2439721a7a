"""A pipe can be read wherever a file can: standard input, a named pipe, or a shell's `<(...)`."""

import contextlib
import gzip
import io
import os
import resource
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from aegen.data.datasets import load
from aegen.files import sources
from aegen.images.latents import read_latents
from aegen.images.reading import read_images
from aegen.recipes.training import named_recipe
from aegen.runtime.errors import InputError
from PIL import Image

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 6, 5), np.uint8)
GREY = str(Path(__file__).parent / "tiny" / "grey")


def content(format: str) -> bytes:
    stream = io.BytesIO()
    match format:
        case "npy":
            np.save(stream, IMAGES)
        case "npz":
            np.savez(stream, images=IMAGES, labels=np.arange(60) % 2)
        case "idx" | "idx.gz":
            stream.write(struct.pack(">BBBB3I", 0, 0, 8, 3, *IMAGES.shape) + IMAGES.tobytes())
        case "png":
            Image.fromarray(IMAGES[0]).save(stream, "PNG")
    return gzip.compress(stream.getvalue()) if format == "idx.gz" else stream.getvalue()


@pytest.fixture
def pipe():
    """`pipe(data)` returns the path of a pipe from which a reader gets these bytes and then the end of the file."""
    readers = []

    def path_of(data: bytes) -> str:
        reader, writer = os.pipe()

        def fill():
            with os.fdopen(writer, "wb") as stream, contextlib.suppress(BrokenPipeError):
                stream.write(data)

        threading.Thread(target=fill, daemon=True).start()
        readers.append(reader)
        return f"/dev/fd/{reader}"

    yield path_of
    for reader in readers:
        os.close(reader)


@pytest.mark.parametrize("format", ["npy", "npz", "idx", "idx.gz", "png"])
def test_images_are_read_from_a_pipe_in_every_format(pipe, format):
    expected = IMAGES[:1] if format == "png" else IMAGES
    assert np.array_equal(read_images(pipe(content(format)), shape=(1, 6, 5)).images, expected)


def test_a_slice_of_a_pipe_is_read(pipe):
    assert np.array_equal(read_images(f"{pipe(content('npy'))}[2:5]").images, IMAGES[2:5])


def test_a_named_pipe_is_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content("npy"),), daemon=True).start()
    assert np.array_equal(read_images(tmp_path / "pipe").images, IMAGES)


def test_a_large_pipe_is_kept_on_disk_and_mapped(pipe):
    large = np.random.default_rng(0).random((400, 64, 64))
    stream = io.BytesIO()
    np.save(stream, large)
    assert stream.tell() > 2**23  # a smaller pipe would be copied into memory, not into a file
    images = read_images(pipe(stream.getvalue())).images
    assert isinstance(images, np.memmap)
    assert np.array_equal(images, large)


def test_data_sets_latents_and_recipes_are_read_from_pipes(pipe):
    dataset = load(pipe(content("npz")))
    assert dataset.facts.labelled
    assert len(dataset.train) == 50
    stream = io.BytesIO()
    np.savez(stream, latents=np.ones((3, 2), np.float32))
    assert read_latents(pipe(stream.getvalue())).latents.shape == (3, 2)
    assert named_recipe(pipe(b"epochs = 3\n")).epochs == 3


@pytest.mark.parametrize("path", ["-", "/dev/stdin"])
@pytest.mark.parametrize("format", ["npy", "npz", "idx.gz", "png"])
def test_commands_read_standard_input_by_either_name(cli_process, tmp_path, path, format):
    done = cli_process("encode", path, "--model", GREY, "-o", "out.npy", input=content(format), text=False)
    assert done.returncode == 0, done.stderr
    assert len(np.load(tmp_path / "out.npy")) == (1 if format == "png" else 60)


def test_an_endless_stream_of_zeros_is_refused_at_once():
    with pytest.raises(InputError, match="/dev/zero: found no format that can be read"):
        read_images("/dev/zero")
    with pytest.raises(InputError, match="/dev/zero: found no format that can be read"):
        load("/dev/zero")
    with pytest.raises(InputError, match=r"/dev/zero: found more than 1,048,576 bytes"):
        named_recipe("/dev/zero")


def test_a_pipe_is_read_up_to_a_stated_limit(pipe, monkeypatch):
    monkeypatch.setattr(sources, "MAX_PIPE_BYTES", 12_000_000)
    with pytest.raises(InputError, match="found more than 12,000,000 bytes, expected at most that"):
        read_images(pipe(content("npy") + bytes(15_000_000)))


def test_an_empty_pipe_says_so(pipe):
    with pytest.raises(InputError, match="found an empty file"):
        read_images(pipe(b""))


def test_a_temporary_disk_without_space_is_one_clear_error(tmp_path):
    code = "import sys; from aegen.images.reading import read_images; read_images('-')"
    stream = io.BytesIO()
    np.save(stream, np.zeros((300, 64, 64)))
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=stream.getvalue() + bytes(1000),
        capture_output=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, 4_000_000)),
    )
    last = done.stderr.decode().splitlines()[-1]
    assert "aegen.runtime.errors.OutputError" in last
    assert f"{tmp_path}: found file too large, expected space for a copy of what a pipe holds. Set TMPDIR" in last
