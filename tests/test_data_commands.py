"""Commands read images with the options that the user gives, record them, and show how a data set was understood."""

import json
import os
import shutil
import threading
import zipfile

import numpy as np
import pytest
from aegen.data.datasets import load
from aegen.data.inputs import read_inputs
from aegen.images.read_options import ReadOptions
from aegen.images.reading import read_images
from aegen.runtime.errors import InputError, ShapeError
from conftest import TINY
from PIL import Image

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (24, 6, 5), np.uint8)
LABELS = np.arange(24) % 2
SHAPE = (1, 6, 5)
MODEL = TINY / "grey"


@pytest.fixture
def mixed(tmp_path):
    """A folder of two classes: grey drawings, saved in colour, of several sizes; one file is damaged."""
    for i in range(24):
        folder = tmp_path / "mixed" / ("ant", "bee")[LABELS[i]]
        folder.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(np.repeat(IMAGES[i][..., None], 3, -1)).resize((9 + i, 12))
        image.save(folder / f"{i}.png")
    (tmp_path / "mixed" / "ant" / "2.png").write_bytes(b"")
    return tmp_path / "mixed"


def test_a_run_records_how_its_images_were_read_and_the_other_stages_read_them_so(cli, mixed, tmp_path):
    tiny = ["--widths", "8", "--latent-dim", "2", "--epochs", "1", "--batch-size", "8", "--threads", "1"]
    reading = ["--size", "8x6", "--colour", "--background", "white", "--skip-bad"]
    done = cli("train", "--data", mixed, *reading, *tiny, "-o", "run")
    assert done.returncode == 0, done.stderr
    assert "1 of 24 image files are left out: 2.png" in done.stderr
    done = cli("export", "run", "-o", "artifact", "--components", "1")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "artifact" / "manifest.json").read_text())
    assert manifest["image"]["shape"] == [3, 6, 8]
    assert manifest["class_names"] == ["ant", "bee"]
    assert "--size 8x6 --colour --background white --skip-bad" in manifest["commands"][0]
    assert cli("train", "--resume", "run", "--size", "9").returncode == 2


def test_a_training_says_how_it_understood_the_images(cli, mixed):
    done = cli("train", "--data", mixed, "-o", "run")
    assert done.returncode == 1
    assert "of 24 image files" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("size", ["0", "x8", "8x", "8x8x8", "99999", "-3"])
def test_a_size_that_is_none_is_a_usage_error(cli, mixed, size):
    done = cli("train", "--data", mixed, "--size", size, "-o", "run")
    assert done.returncode == 2
    assert "size" in done.stderr


def test_info_shows_parts_classes_counts_and_remarks(cli, mixed):
    done = cli("info", "--data", mixed, "--size", "8", "--skip-bad", "-o", "classes.png")
    assert done.returncode == 0, done.stderr
    for words in ("8x8 grey", "20 training images, 3 validation images", "0 ant: 10 training", "1 bee: 10 training"):
        assert words in done.stdout, done.stdout
    assert "the channels of all images are equal" in done.stderr
    assert Image.open(mixed.parent / "classes.png").size[0] > 8 * 10
    done = cli("info", "--data", mixed, "--size", "8", "--skip-bad", "--json")
    facts = json.loads(done.stdout)
    assert facts["shape"] == [1, 8, 8]
    assert [(each["label"], each["name"]) for each in facts["classes"]] == [(0, "ant"), (1, "bee")]
    assert sum(each["training_images"] for each in facts["classes"]) == facts["training_images"] == 20
    assert len(facts["remarks"]) == 2


def test_info_of_unlabelled_images_names_no_classes(cli, tmp_path):
    np.save(tmp_path / "a.npy", IMAGES)
    done = cli("info", "--data", "a.npy", "-o", "grid.png")
    assert done.returncode == 0, done.stderr
    assert "classes  none" in done.stdout
    assert cli("info", "a.npy", "--data", "a.npy").returncode == 2
    assert cli("info", "-o", "grid.png").returncode == 2


def sources(folder) -> dict[str, object]:
    """The same 24 images in every form from which images for a model are read, by the name of the form."""
    files = folder / "files"
    for i, image in enumerate(IMAGES):
        path = files / str(LABELS[i]) / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    with zipfile.ZipFile(folder / "files.zip", "w") as packed:
        for path in sorted(files.rglob("*.png")):
            packed.write(path, f"set/{path.relative_to(files)}")
    np.savez(folder / "keras.npz", x_train=IMAGES[:4], x_test=IMAGES, y_train=LABELS[:4], y_test=LABELS)
    with zipfile.ZipFile(folder / "keras.zip", "w") as packed:
        packed.write(folder / "keras.npz", "data/keras.npz")
    np.save(folder / "channels.npy", IMAGES[:, None].astype(np.int64))
    names = ("classes", "archive", "keras", "keras in an archive", "channels first")
    paths = (files, folder / "files.zip", folder / "keras.npz", folder / "keras.zip", folder / "channels.npy")
    return dict(zip(names, paths, strict=True))


@pytest.mark.parametrize("form", ["classes", "archive", "keras", "keras in an archive", "channels first"])
def test_a_model_reads_what_train_reads_and_keeps_names(tmp_path, form):
    notes = []
    image_set = read_inputs(sources(tmp_path)[form], shape=SHAPE, note=notes.append)
    in_files = form in ("classes", "archive")
    order = np.argsort(LABELS, kind="stable") if in_files else np.arange(24)
    assert np.array_equal(image_set.images, IMAGES[order])
    assert image_set.names == (tuple(f"{i:02}.png" for i in order) if in_files else ())
    assert any("only the test images are read" in each for each in notes) == form.startswith("keras")


def test_several_sources_are_joined_in_order_and_slices_select_images(tmp_path):
    paths = sources(tmp_path)
    image_set = read_inputs(f"{paths['archive']}[0:2]", f"{paths['keras']}[1]", shape=SHAPE)
    assert np.array_equal(image_set.images, IMAGES[[0, 2, 1]])
    one = read_inputs(f"{paths['archive']}[3]", paths["classes"] / "1" / "05.png", shape=SHAPE)
    assert one.names == ("06.png", "05.png")
    with pytest.raises(InputError, match="found no images, expected at least one"):
        read_inputs(f"{paths['archive']}[90:]", shape=SHAPE)


def test_images_of_another_size_are_refused_or_scaled(tmp_path):
    paths = sources(tmp_path)
    for form in ("archive", "keras"):
        with pytest.raises(ShapeError, match="expected grey images of 7x7 pixels"):
            read_inputs(paths[form], shape=(1, 7, 7))
        assert read_inputs(paths[form], shape=(1, 7, 7), resize=True).images.shape == (24, 7, 7)
        assert read_inputs(paths[form], shape=(3, 6, 5)).images.shape == (24, 6, 5, 3)


@pytest.mark.parametrize("command", ["reconstruct", "denoise", "encode"])
def test_commands_that_use_a_model_read_an_archive_with_a_background(cli, tmp_path, command):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for i in range(3):
            pixels = np.dstack([np.zeros((6, 5, 3), np.uint8), IMAGES[i]])
            Image.fromarray(pixels).save(tmp_path / f"{i}.png")
            packed.write(tmp_path / f"{i}.png", f"{i}.png")
        packed.writestr("3.png", b"")
    output = "out.npz"
    done = cli(command, "a.zip", "--background", "white", "--skip-bad", "--model", MODEL, "-o", output)
    assert done.returncode == 0, done.stderr
    assert "1 of 4 image files are left out" in done.stderr
    with np.load(tmp_path / output) as arrays:
        assert len(arrays["latents" if command == "encode" else "images"]) == 3


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.xz", "a.tar.bz2", "a.parquet"])
def test_an_archive_or_table_in_a_pipe_is_refused_with_the_way_out(tmp_path, name):
    (tmp_path / "set").mkdir()
    Image.fromarray(IMAGES[0]).save(tmp_path / "set" / "0.png")
    kind = "a Parquet table" if name == "a.parquet" else "an archive"
    if name == "a.parquet":
        (tmp_path / name).write_bytes(b"PAR1" + bytes(100))
    else:
        archive_format = {"a.zip": "zip", "a.tar": "tar", "a.tar.gz": "gztar", "a.tar.xz": "xztar"}.get(name, "bztar")
        shutil.make_archive(str(tmp_path / "a"), archive_format, tmp_path / "set")
    for i, read in enumerate((load, lambda path: read_inputs(path, shape=SHAPE))):
        os.mkfifo(tmp_path / f"pipe{i}")
        content = (tmp_path / name).read_bytes()
        threading.Thread(target=(tmp_path / f"pipe{i}").write_bytes, args=(content,), daemon=True).start()
        with pytest.raises(InputError, match=rf"pipe{i}: found {kind}, .*\. Save it as a file, and give its path\."):
            read(str(tmp_path / f"pipe{i}"))


def test_a_background_reaches_the_images_of_a_model(tmp_path):
    Image.fromarray(np.dstack([np.zeros((6, 5, 3), np.uint8), IMAGES[0]])).save(tmp_path / "a.png")
    for background, expected in (("white", 255 - IMAGES[0]), ("black", 0 * IMAGES[0])):
        options = ReadOptions(background=background)
        assert np.array_equal(read_images(tmp_path / "a.png", shape=SHAPE, options=options).images[0], expected)
