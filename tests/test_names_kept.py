"""Outputs keep the file names and natural order (2 before 10) of input images; several inputs are read as one set."""

from pathlib import Path

import aegen
import numpy as np
import pytest
from aegen.images.latents import read_latents
from aegen.images.names import png_names
from aegen.images.reading import read_images
from aegen.images.writing import write_images
from aegen.runtime.errors import InputError
from PIL import Image

GREY = str(Path(__file__).parent / "tiny" / "grey")
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 6, 5), np.uint8)
NAMES = [f"scan{i}.png" for i in range(1, 13)]


@pytest.fixture
def scans(tmp_path):
    """A folder of twelve images, scan1.png to scan12.png, whose natural order is not alphabetical."""
    (tmp_path / "scans").mkdir()
    for name, image in zip(NAMES, IMAGES, strict=True):
        Image.fromarray(image).save(tmp_path / "scans" / name)
    return tmp_path / "scans"


def test_a_folder_is_read_in_natural_order(scans):
    assert np.array_equal(read_images(scans).images, IMAGES)


@pytest.mark.parametrize("command", ["denoise", "reconstruct"])
def test_a_folder_of_outputs_has_the_names_of_its_inputs(cli, scans, tmp_path, command):
    done = cli(command, "scans", "--model", GREY, "-o", "out/")
    assert done.returncode == 0, done.stderr
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == sorted(NAMES)
    expected = aegen.load(GREY).reconstruct(IMAGES, dtype="uint8")
    for name, image in zip(NAMES, expected, strict=True):
        assert np.abs(np.asarray(Image.open(tmp_path / "out" / name)).astype(int) - image).max() <= 1


def test_names_are_kept_in_latents_and_restored(cli, scans, tmp_path):
    assert cli("encode", "scans", "--model", GREY, "-o", "latents.npz").returncode == 0
    assert np.load(tmp_path / "latents.npz")["names"].tolist() == NAMES
    assert cli("decode", "latents.npz[2:4]", "--model", GREY, "-o", "again").returncode == 0
    assert sorted(file.name for file in (tmp_path / "again").iterdir()) == ["scan3.png", "scan4.png"]


def test_several_inputs_of_every_kind_are_read_as_one_set(cli, scans, tmp_path):
    np.save(tmp_path / "more.npy", IMAGES[:3])
    arguments = ["scans/scan2.png", "more.npy[1:3]", "scans[0:2]"]
    done = cli("encode", *arguments, "--model", GREY, "-o", "out.npz")
    assert done.returncode == 0, done.stderr
    archive = np.load(tmp_path / "out.npz")
    expected = aegen.load(GREY).encode(IMAGES[[1, 1, 2, 0, 1]])
    assert np.allclose(archive["latents"], expected, atol=1e-5)
    assert archive.files == ["latents"]  # names are not stored, because images from more.npy have none
    done = cli("reconstruct", "scans/scan10.png", "scans/scan9.png", "--model", GREY, "-o", "two")
    assert sorted(file.name for file in (tmp_path / "two").iterdir()) == ["scan10.png", "scan9.png"]


def test_inputs_of_different_sizes_are_named(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES)
    np.save(tmp_path / "b.npy", IMAGES[:, :4])
    with pytest.raises(InputError, match=r"b\.npy: found images of shape \(4, 5\), expected \(6, 5\), as .*a\.npy has"):
        read_images(tmp_path / "a.npy", tmp_path / "b.npy")


def test_grey_levels_and_floats_are_joined_as_floats(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES)
    np.save(tmp_path / "b.npy", (IMAGES / 255).astype(np.float32))
    images = read_images(tmp_path / "a.npy", tmp_path / "b.npy").images
    assert np.allclose(images[:12], images[12:])


def test_a_jpeg_becomes_a_png_and_two_of_one_name_are_refused(tmp_path):
    assert png_names(["a.jpg", "b.png", "c.d.webp"]) == ["a.png", "b.png", "c.d.png"]
    for names in (["a.jpg", "a.png"], ["a.png", "A.png"]):
        with pytest.raises(InputError, match=r"found images a\.\w+ and [aA]\.png, expected one [aA]\.png"):
            write_images(str(tmp_path / "out"), iter([IMAGES[:2]]), 2, names=names)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../x.png", "/etc/x.png", "a\\b.png", "..", "", "x\0.png", "a" * 300])
def test_a_stored_name_never_leads_outside_the_folder(tmp_path, name):
    with pytest.raises(InputError, match="expected plain file names"):
        write_images(str(tmp_path / "out"), iter([IMAGES[:1]]), 1, names=[name])
    assert not (tmp_path / "out").exists()


def test_names_that_do_not_match_the_latents_are_refused(tmp_path):
    for names in (np.array(["a"]), np.arange(3)):
        np.savez(tmp_path / "c.npz", latents=np.ones((3, 2)), names=names)
        with pytest.raises(InputError, match=r"c\.npz: names: found .*, expected text of shape \(3,\)"):
            read_latents(tmp_path / "c.npz")
