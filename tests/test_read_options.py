"""Options for reading images: size, background, grey or colour, and what happens to damaged files."""

import re

import numpy as np
import pytest
from aegen.data.datasets import load
from aegen.images.read_options import ReadOptions
from aegen.images.reading import read_images
from aegen.runtime.errors import InputError, ShapeError
from PIL import Image

RANDOM = np.random.default_rng(0)
STROKES = np.where(RANDOM.random((24, 8, 8)) < 0.3, 255, 0).astype(np.uint8)
GREY = RANDOM.integers(0, 256, (24, 8, 8), np.uint8)
COLOUR = RANDOM.integers(0, 256, (24, 8, 8, 3), np.uint8)


def write(folder, images, suffix="png", **options) -> str:
    folder.mkdir(exist_ok=True)
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{i:03}.{suffix}", **options)
    return str(folder)


def contents(dataset) -> list[bytes]:
    return sorted(image.tobytes() for image in (*dataset.train.images, *dataset.validation.images))


def ink(strokes, level: int) -> np.ndarray:
    """Strokes of one grey level on a transparent background, RGBA (n, H, W, 4)."""
    return np.concatenate([np.full((*strokes.shape, 3), level, np.uint8), strokes[..., None]], -1)


def test_dark_strokes_on_transparent_get_white_behind_them_and_a_remark_says_so(tmp_path):
    dataset = load(write(tmp_path / "ink", ink(STROKES, 0)))
    assert contents(dataset) == sorted(image.tobytes() for image in 255 - STROKES)
    assert any("transparent pixels become white" in remark for remark in dataset.remarks)


def test_bright_strokes_on_transparent_keep_black_behind_them(tmp_path):
    dataset = load(write(tmp_path / "chalk", ink(STROKES, 255)))
    assert contents(dataset) == sorted(image.tobytes() for image in STROKES)


@pytest.mark.parametrize(("background", "level"), [("black", 0), ("white", 255), ("#808080", 128)])
def test_a_background_is_what_transparent_pixels_become(tmp_path, background, level):
    dataset = load(write(tmp_path / "ink", ink(STROKES, 40)), ReadOptions(background=background))
    assert set(np.unique(dataset.train.images)) == {40, level}


def test_images_that_vanish_on_the_background_are_counted_in_a_remark(tmp_path):
    images = ink(STROKES, 0)
    images[0, ..., :3] = 200
    dataset = load(write(tmp_path / "ink", images), ReadOptions(background="black"))
    (remark,) = [remark for remark in dataset.remarks if "background" in remark]
    assert remark.startswith("23 of 24 images")
    with pytest.raises(InputError, match="24 training images that are all equal"):
        load(write(tmp_path / "all", ink(STROKES, 0)), ReadOptions(background="black"))


def test_a_palette_with_a_transparent_entry_follows_the_same_rule(tmp_path):
    for i, stroke in enumerate(STROKES):
        image = Image.fromarray(stroke // 255).convert("P")
        image.putpalette([255, 0, 255, 0, 0, 0])
        image.save(tmp_path / f"{i}.png", transparency=0)
    assert contents(load(str(tmp_path))) == sorted(image.tobytes() for image in 255 - STROKES)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_grey_drawings_saved_as_colour_are_read_as_grey_and_a_remark_says_so(tmp_path, suffix):
    folder = write(tmp_path / "grey", np.repeat(GREY[..., None], 3, -1), suffix)
    dataset = load(folder)
    assert dataset.shape == (1, 8, 8)
    assert any("read as grey" in remark for remark in dataset.remarks)
    assert load(folder, ReadOptions(colour=True)).shape == (3, 8, 8)
    if suffix == "png":
        assert contents(dataset) == sorted(image.tobytes() for image in GREY)


def test_one_image_with_colour_keeps_the_set_in_colour(tmp_path):
    images = np.repeat(GREY[..., None], 3, -1)
    images[5, 2, 2] = (200, 100, 100)
    dataset = load(write(tmp_path / "colour", images))
    assert dataset.shape == (3, 8, 8)
    assert load(str(tmp_path / "colour"), ReadOptions(colour=False)).shape == (1, 8, 8)


@pytest.mark.parametrize("kind", ["files", "array"])
@pytest.mark.parametrize("colour", [True, False])
def test_colour_or_grey_can_be_forced_for_files_and_arrays(tmp_path, kind, colour):
    path = write(tmp_path / "set", COLOUR)
    if kind == "array":
        path = str(tmp_path / "a.npy")
        np.save(path, COLOUR)
    assert load(path, ReadOptions(colour=colour)).shape == (3 if colour else 1, 8, 8)


def test_mixed_sizes_are_refused_without_a_size_and_cropped_and_scaled_with_one(tmp_path):
    for i in range(12):
        image = np.zeros((20 + i, 40, 3), np.uint8)
        image[:, 10:30] = (200, 100, 50)  # the columns that a crop to a square keeps
        image[0] = 7 * i
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    with pytest.raises(ShapeError, match="image files: found .*Choose a size, to which all are cropped and scaled"):
        load(str(tmp_path))
    dataset = load(str(tmp_path), ReadOptions(size=(10, 10)))
    assert dataset.train.images.shape == (10, 10, 10, 3)
    assert np.abs(dataset.train.images[:, 5, 2:8].astype(int) - [200, 100, 50]).max() < 20
    assert load(str(tmp_path), ReadOptions(size=(12, 6))).shape == (3, 6, 12)


def test_the_crop_is_centred_and_turned_with_the_image(tmp_path):
    image = np.zeros((30, 10), np.uint8)
    image[10:20] = 255
    Image.fromarray(image).save(tmp_path / "tall.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(image).save(tmp_path / "turned.png", exif=exif)
    for name in ("tall.png", "turned.png"):
        pixels = read_images(tmp_path / name, options=ReadOptions(size=(5, 5))).images
        assert pixels.shape == (1, 5, 5)
        assert pixels.min() > 230
    wide = read_images(tmp_path / "turned.png", options=ReadOptions(size=(30, 10))).images
    assert wide[0, :, 12:18].min() > 230
    assert wide[0, :, :9].max() < 5


def test_arrays_are_cropped_and_scaled_like_files(tmp_path):
    np.save(tmp_path / "a.npy", np.repeat(GREY, 2, 2))
    write(tmp_path / "set", np.repeat(GREY, 2, 2))
    size = ReadOptions(size=(5, 6))
    assert load(str(tmp_path / "a.npy"), size).shape == (1, 6, 5)
    assert contents(load(str(tmp_path / "a.npy"), size)) == contents(load(str(tmp_path / "set"), size))


def corrupt(folder) -> str:
    write(folder, GREY)
    whole = (folder / "017.png").read_bytes()
    (folder / "017.png").write_bytes(whole[: len(whole) // 2])
    (folder / "003.png").write_bytes(b"")
    (folder / "020.png").write_text("no image")
    return str(folder)


def test_all_damaged_files_are_in_one_message_in_order(tmp_path):
    with pytest.raises(InputError, match=r"3 of 24 image files: found 003\.png, 017\.png, 020\.png") as caught:
        load(corrupt(tmp_path / "set"))
    assert re.search(r"The first is \S+003\.png: found an empty file", str(caught.value))


def test_many_damaged_files_are_the_first_ten_and_a_count(tmp_path):
    folder = write(tmp_path / "set", GREY)
    for i in range(15):
        (tmp_path / "set" / f"{i:03}.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"15 of 24 image files: found 000\.png, .*, 009\.png and 5 more"):
        load(folder)


def test_damaged_files_are_left_out_on_request_and_labels_stay_with_their_images(tmp_path):
    for label, name in enumerate(("a", "b")):
        corrupt(tmp_path / name)
        for path in (tmp_path / name).glob("*.png"):
            if path.name not in ("003.png", "017.png", "020.png"):
                Image.fromarray(np.full((8, 8), 100 * label + int(path.stem), np.uint8)).save(path)
    dataset = load(str(tmp_path), ReadOptions(skip_bad=True))
    assert len(dataset.train) + len(dataset.validation) == 42
    assert np.array_equal(dataset.train.labels, dataset.train.images[:, 0, 0] // 100)
    assert any("6 of 48 image files are left out: 003.png" in remark for remark in dataset.remarks)


def test_when_every_file_is_damaged_the_set_is_refused_even_so(tmp_path):
    for i in range(8):
        (tmp_path / f"{i}.png").write_bytes(b"")
    with pytest.raises(InputError, match="8 of 8 image files"):
        load(str(tmp_path), ReadOptions(skip_bad=True))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "CMYK"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate"])
def test_tiff_is_read_in_every_mode(tmp_path, mode, compression):
    image = Image.fromarray(STROKES[0]).convert(mode)
    image.save(tmp_path / "a.tif", compression=compression)
    image.save(tmp_path / "b.tiff", compression=compression)
    assert np.array_equal(read_images(tmp_path / "a.tif", shape=(1, 8, 8)).images[0], STROKES[0])
    assert len(read_images(tmp_path, shape=(1, 8, 8)).images) == 2


def test_sixteen_bit_tiff_uses_the_range_of_the_data_and_a_note_says_so(tmp_path):
    levels = RANDOM.integers(0, 4096, (8, 8)).astype(np.uint16)
    levels[0, 0] = 4095
    Image.fromarray(levels).save(tmp_path / "a.tif")
    notes = []
    assert np.array_equal(read_images(tmp_path / "a.tif", note=notes.append).images[0], levels >> 4)
    assert "levels up to 4,095 are read as 12-bit ones" in notes[0]


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_tiff_with_32_bit_levels_is_refused_instead_of_read_as_black(tmp_path, dtype):
    Image.fromarray(np.full((8, 8), 0.5 if dtype == np.float32 else 70_000, dtype)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"a\.tif: found levels of 32 bits"):
        read_images(tmp_path / "a.tif")


def test_tiff_with_several_pages_is_refused_instead_of_cut(tmp_path):
    first, *others = map(Image.fromarray, GREY[:3])
    first.save(tmp_path / "a.tif", save_all=True, append_images=others)
    with pytest.raises(InputError, match=r"a\.tif: found a TIFF of 3 pages, expected one image"):
        read_images(tmp_path / "a.tif")


@pytest.mark.parametrize("options", [{"size": (0, 4)}, {"size": (5, 10**6)}, {"background": "no colour"}])
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(InputError, match="size|background"):
        ReadOptions(**options)
