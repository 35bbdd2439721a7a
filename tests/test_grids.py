"""Grids have a size that people can see, texts in the right places, and facts that can be read back."""

import hashlib
import json
import shutil
import struct
import zlib
from pathlib import Path

import aegen
import numpy as np
import pytest
from aegen.evaluation.similarity import peak_signal_to_noise, squared_errors
from aegen.images.captions import is_legible, legible
from aegen.images.facts import read_facts
from aegen.images.grid import GAP_LEVEL, fitting_columns, fitting_row, fitting_scale, stacked, stacked_captions, tile
from aegen.images.writing import write_images
from aegen.runtime.artifact import SHIPPED
from aegen.runtime.errors import InputError
from PIL import Image

GREY = str(Path(__file__).parent / "tiny" / "grey")
ROWS = np.random.default_rng(1).integers(0, 256, (10, 28, 28), np.uint8)
COLOUR = np.random.default_rng(2).integers(0, 256, (10, 16, 16, 3), np.uint8)


@pytest.fixture
def written(tmp_path):
    """`written(images, ...)` writes a grid with `write_images`, and returns its pixels, uint8 (H, W) or (H, W, 3)."""

    def write(images, **options):
        write_images(str(tmp_path / "grid.png"), [images[:3], images[3:]], len(images), **options)
        return np.asarray(Image.open(tmp_path / "grid.png"))

    return write


@pytest.mark.parametrize(
    ("count", "side", "scale", "pixels"),
    [(1, 28, 11, 352), (10, 28, 4, 608), (64, 28, 2, 484), (1, 64, 5, 340), (64, 64, 1, 530), (400, 28, 2, 1204)],
)
def test_a_grid_is_as_large_as_fits_and_its_images_can_be_seen(written, count, side, scale, pixels):
    assert fitting_scale(count, (side, side)) == scale
    assert written(np.zeros((count, side, side), np.uint8)).shape[1] == pixels


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (3, 3), (5, 3), (10, 5), (12, 4), (13, 5), (22, 6), (64, 8)])
def test_rows_are_filled_without_a_grid_that_is_much_wider_than_high(count, columns):
    assert fitting_columns(count, (28, 28)) == columns


def test_wide_images_have_fewer_columns():
    assert fitting_columns(16, (10, 40)) == 2


@pytest.mark.parametrize(("count", "side", "columns"), [(10, 28, 10), (16, 28, 16), (20, 28, 10), (32, 64, 11)])
def test_sets_of_images_are_in_one_row_or_in_rows_of_equal_length(count, side, columns):
    assert fitting_row(count, (side, side)) == columns


@pytest.mark.parametrize("images", [ROWS, COLOUR], ids=["grey", "colour"])
def test_cells_after_the_last_image_have_the_colour_of_the_gaps(images):
    side = images.shape[1]
    grid = tile(images[:5], columns=3)
    assert np.array_equal(grid[-side - 2 : -2, side + 4 : 2 * side + 4], images[4])
    assert (grid[-side - 2 :, 2 * side + 4 :] == GAP_LEVEL).all()


@pytest.mark.parametrize("images", [ROWS, COLOUR], ids=["grey", "colour"])
def test_each_caption_is_below_its_image(written, images):
    texts = [f"{number}.5" for number in range(10)]
    grid = written(images, columns=5, scale=2, captions=texts)
    without = tile(images, columns=5, scale=2)
    assert grid.shape[1:] == without.shape[1:]  # no wider, because captions are narrow here
    side, strip = 2 * images.shape[1], (len(grid) - len(without)) // 2
    for number, image in enumerate(images):
        top, left = 4 + number // 5 * (side + strip + 4), 4 + number % 5 * (side + 4)
        cell = grid[top : top + side + strip, left : left + side]
        alone = written(image[None], columns=1, scale=2, captions=[texts[number]])
        assert np.array_equal(cell, alone[4 : 4 + side + strip, 4:-4])
    assert (np.ptp(grid[4 + side : 4 + side + strip].reshape(strip, -1), axis=1) > 0).sum() > 5


def test_images_stand_further_apart_when_their_captions_are_wider(written):
    names = ["automobile", "a very long file name that must be shortened.jpg"]
    grid = written(ROWS[:2], columns=2, scale=1, captions=names)
    assert 2 * 60 < grid.shape[1] < 2 * 140
    left = (grid == ROWS[0][14][0]).shape[1] // 4 - 14
    assert any(np.array_equal(grid[2:30, start : start + 28], ROWS[0]) for start in range(left - 3, left + 4))


def test_only_rows_with_captions_have_room_for_them(written):
    images, titles = stacked(5, ROWS, ROWS), ("original", "again")
    texts = stacked_captions(5, [], [str(number) for number in range(10)])
    assert texts == [*[""] * 5, *map(str, range(5)), *[""] * 5, *map(str, range(5, 10))]
    grid = written(images, columns=5, scale=2, captions=texts, row_titles=titles)
    original = grid[4:60, -304:]
    assert np.array_equal(original[:, 4:60], ROWS[0].repeat(2, 0).repeat(2, 1))
    assert np.array_equal(grid[64:120, -300:-244], original[:, 4:60])  # no strip for captions below the first row


def test_stacked_captions_skip_the_cells_that_complete_a_row():
    texts = stacked_captions(4, ["a", "b", "c", "d", "e"], [])
    assert texts == ["a", "b", "c", "d", *[""] * 4, "e", *[""] * 7]
    assert len(texts) == len(stacked(4, ROWS[:5], ROWS[:5]))


def test_row_titles_repeat_and_groups_of_rows_are_further_apart(written):
    images = stacked(5, ROWS, ROWS)
    grid = written(images, columns=5, scale=2, row_titles=("original", "reconstruction"))
    margin = grid.shape[1] - (5 * 60 + 4)
    tops = [4, 64, 128, 188]
    titles = [grid[top : top + 56, :margin] for top in tops]
    assert np.array_equal(titles[0], titles[2])
    assert np.array_equal(titles[1], titles[3])
    assert not np.array_equal(titles[0], titles[1])
    assert all(title.max() > 200 for title in titles)
    assert len(grid) == tops[-1] + 56 + 4
    assert np.array_equal(grid[128:184:2, margin + 4 : margin + 60 : 2], ROWS[5])


def test_long_titles_are_broken_into_lines(written):
    grid = written(ROWS[:4], columns=2, scale=2, row_titles=("nearest training image", "x"))
    narrow = written(ROWS[:4], columns=2, scale=2, row_titles=("training", "x"))
    assert grid.shape == narrow.shape


def test_as_many_captions_as_images_are_required(written):
    with pytest.raises(InputError, match="captions: found 3, expected 10, one for each image"):
        written(ROWS, captions=["a", "b", "c"])


def test_letters_that_the_font_lacks_are_never_shown_as_boxes():
    assert [legible(text) for text in ("cat 1.5 dB", "M\u00fcller", "\u043a\u043e\u0442", "a\nb")] == [
        "cat 1.5 dB",
        "Muller",
        "???",
        "a?b",
    ]
    assert [is_legible(text) for text in ("why?", "caf\u00e9", "\u043a\u043e\u0442")] == [True, True, False]


def test_rows_of_classes_have_their_names_and_names_in_another_script_become_numbers(cli, tmp_path):
    copy = shutil.copytree(SHIPPED / "mnist-ae", tmp_path / "model")
    manifest = json.loads((copy / "manifest.json").read_text())
    images = [aegen.load("mnist-ae").sample(3, seed=0, label=label, dtype="uint8") for label in (1, 0)]
    for class_names, titles, remark in [
        (["cat", "dog"], ["dog", "cat"], ""),
        (["\u043a\u043e\u0442", "dog"], ["dog", "0"], "Note: grids cannot show the letters of '\u043a\u043e\u0442'"),
    ]:
        manifest["class_names"] = [*class_names, *"abcdefgh"]
        (copy / "manifest.json").write_text(json.dumps(manifest))
        done = cli("sample", "-n", 3, "--label", "1,0", "--seed", 0, "--captions", "--model", copy, "-o", "a.png")
        assert done.stderr.startswith(remark or "a.png: 6 images, seed 0"), done.stderr
        captions = [title for title in titles for _ in range(3)]
        write_images(str(tmp_path / "b.png"), images, 6, columns=3, captions=captions, row_titles=titles)
        shown, expected = (np.asarray(Image.open(tmp_path / name)).astype(int) for name in ("a.png", "b.png"))
        assert np.abs(shown - expected).max() <= 1


def test_an_animation_goes_there_and_back_without_showing_its_ends_twice(tmp_path):
    levels = [0, 60, 120, 180]
    frames = np.stack([np.full((6, 5), level, np.uint8) for level in levels])
    write_images(str(tmp_path / "walk.gif"), [frames], 4, scale=2, there_and_back=True)
    with Image.open(tmp_path / "walk.gif") as animation:
        shown = []
        for index in range(animation.n_frames):
            animation.seek(index)
            shown.append((animation.convert("L").getpixel((0, 0)), animation.info["duration"]))
    assert shown == [(0, 500), (60, 100), (120, 100), (180, 500), (120, 100), (60, 100)]


def test_facts_are_read_back_and_the_pixels_are_the_same(tmp_path):
    facts = {"model": "mnist", "label": "\u043a\u043e\u0442", "note": "a" * 2000, "line": "a\x1b[31m\nb"}
    for name, options in {"with": {"facts": facts}, "without": {}}.items():
        write_images(str(tmp_path / f"{name}.png"), [ROWS], 10, **options)
    assert read_facts(tmp_path / "without.png") == {}
    expected = {**facts, "note": "a" * 1000, "line": "a\\x1b[31m\\nb"}
    assert read_facts(tmp_path / "with.png") == expected
    with Image.open(tmp_path / "with.png") as one, Image.open(tmp_path / "without.png") as other:
        assert np.array_equal(np.asarray(one), np.asarray(other))


def test_a_grid_too_large_for_pillow_to_open_still_shows_its_facts(tmp_path):
    write_images(str(tmp_path / "grid.png"), [ROWS], 10, facts={"seed": "1"})
    content = (tmp_path / "grid.png").read_bytes()
    header = b"IHDR" + struct.pack(">II", 40_000, 40_000) + content[24:29]
    (tmp_path / "huge.png").write_bytes(content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:])
    assert read_facts(tmp_path / "huge.png") == {"seed": "1"}


def test_info_shows_how_a_grid_was_made_and_its_bytes_repeat(cli, tmp_path):
    arguments = ("sample", "-n", 4, "--seed", 5, "--start", 8, "--temperature", 0.5, "--model", GREY)
    assert cli(*arguments, "-o", "grid.png").returncode == 0
    assert cli(*arguments, "-o", "again.png").returncode == 0
    assert (tmp_path / "grid.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    printed = json.loads(cli("info", "grid.png", "--json").stdout)
    assert set(printed) == {"path", "facts"}
    assert printed["facts"] == {
        "command": "sample",
        "model": "grey",
        "sha256": hashlib.sha256((Path(GREY) / "manifest.json").read_bytes()).hexdigest(),
        "prior": aegen.load(GREY).manifest.default_prior,
        "temperature": "0.5",
        "seed": "5",
        "start": "8",
        "images": "4",
        "version": aegen.__version__,
    }
    lines = [line.split() for line in cli("info", "grid.png").stdout.splitlines()]
    assert ["seed", "5"] in lines
    assert str(tmp_path).encode() not in (tmp_path / "grid.png").read_bytes()


def animated_without_frames(file):
    """Write a PNG file with a chunk that announces an animation of no frames, about which Pillow warns."""
    Image.fromarray(ROWS[0]).save(file, "PNG")
    content, chunk = file.read_bytes(), b"acTL" + bytes(8)
    file.write_bytes(content[:33] + struct.pack(">I", 8) + chunk + struct.pack(">I", zlib.crc32(chunk)) + content[33:])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (animated_without_frames, "found a PNG file without facts of aegen"),
        (lambda file: Image.fromarray(ROWS[0]).save(file, "PNG"), "found a PNG file without facts of aegen"),
        (lambda file: Image.fromarray(ROWS[0]).save(file, "JPEG"), "found another format, expected a PNG file"),
        (lambda file: file.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), "is damaged"),
        (lambda file: file.write_bytes(b""), "found another format, expected a PNG file"),
    ],
    ids=["no frames", "no facts", "JPEG", "cut", "empty"],
)
def test_info_says_when_a_file_holds_no_facts(cli, tmp_path, make, words):
    make(tmp_path / "x.png")
    done = cli("info", "x.png")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith("Error: x.png")
    assert words in done.stderr


def test_the_errors_that_reconstruct_prints_are_those_of_its_images(cli, tmp_path):
    images = np.random.default_rng(3).integers(0, 256, (5, 6, 5), np.uint8)
    np.save(tmp_path / "images.npy", images)
    done = cli("reconstruct", "images.npy", "--model", GREY, "--dtype", "uint8", "--json", "-o", "out.npy")
    printed = json.loads(done.stdout)
    errors = squared_errors(images, np.load(tmp_path / "out.npy"))
    expected = {"output": "out.npy", "images": 5, "mse": errors.mean(), "psnr": peak_signal_to_noise(errors.mean())}
    assert printed == pytest.approx(expected)
    assert f"mean squared error {errors.mean():.4f}, PSNR {printed['psnr']:.1f} dB" in done.stderr
    grid = cli("reconstruct", "images.npy", "--model", GREY, "--captions", "--scale", 12, "-o", "grid.png")
    assert grid.returncode == 0, grid.stderr
    again = stacked(5, images, np.load(tmp_path / "out.npy"))
    texts = stacked_captions(5, [], [f"{error:.4f}" for error in errors])
    titles = ("original", "reconstruction (MSE)")
    write_images(str(tmp_path / "expected.png"), [again], 10, columns=5, scale=12, captions=texts, row_titles=titles)
    shown, expected = (np.asarray(Image.open(tmp_path / name)) for name in ("grid.png", "expected.png"))
    assert np.array_equal(shown, expected)


def test_squared_errors_are_means_over_pixels_and_channels():
    original, image = np.zeros((2, 2, 2, 3), np.uint8), np.zeros((2, 2, 2, 3), np.float32)
    image[1, 0, 0] = (0.5, 0.5, 1)
    assert squared_errors(original, image).tolist() == [0, 1.5 / 12]
    assert [peak_signal_to_noise(mse) for mse in (1.0, 0.01, 0.0)] == [0, 20, 120]


def test_denoise_reports_the_noise_before_and_after(cli, tmp_path):
    images = np.random.default_rng(3).integers(0, 256, (5, 6, 5), np.uint8)
    np.save(tmp_path / "images.npy", images)
    options = ("--model", GREY, "--noise", 0.2, "--seed", 4)
    printed = json.loads(cli("denoise", "images.npy", *options, "--json", "-o", "out.npy").stdout)
    noise = 0.2 * np.random.default_rng(4).standard_normal(images.shape, dtype=np.float32)
    noisy = np.clip(images / np.float32(255) + noise, 0, 1)
    assert printed["psnr_before"] == pytest.approx(-10 * np.log10(((noisy - images / 255) ** 2).mean()), rel=1e-5)
    out = np.load(tmp_path / "out.npy")
    assert printed["psnr_after"] == pytest.approx(-10 * np.log10(((out - images / 255) ** 2).mean()), rel=1e-5)
    plain = cli("denoise", "images.npy", "--model", GREY, "--json", "-o", "out.npy")
    assert json.loads(plain.stdout) == {"output": "out.npy", "images": 5, "psnr_before": None, "psnr_after": None}
    assert "Note: grey is a plain autoencoder, which was not trained to remove noise; mnist-dae was." in plain.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("denoise", "x.npy", "--captions", "-o", "x.png"), "--captions needs --noise"),
        (("denoise", "x.npy", "--json", "-o", "-"), "both write to standard output"),
        (("reconstruct", "x.npy", "--json", "-o", "-"), "both write to standard output"),
    ],
)
def test_options_that_contradict_each_other_are_refused(cli, arguments, words):
    done = cli(*arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_captions_of_samples_are_their_indices_in_the_sequence(cli, tmp_path):
    done = cli("sample", "-n", 3, "--start", 20, "--seed", 1, "--captions", "--model", GREY, "-o", "a.png")
    assert done.returncode == 0, done.stderr
    images = aegen.load(GREY).sample(3, seed=1, start=20, dtype="uint8")
    write_images(str(tmp_path / "b.png"), [images], 3, captions=["20", "21", "22"])
    shown, expected = (np.asarray(Image.open(tmp_path / name)) for name in ("a.png", "b.png"))
    assert np.abs(shown.astype(int) - expected).max() <= 1
