"""Every interpolation method starts and ends exactly at the given latents, and follows its own curve between them."""

import aegen
import numpy as np
import pytest
from aegen.cli import interpolate
from aegen.runtime.interpolation import DEFAULT_OF_KIND, PATHS, morph, path
from PIL import Image, ImageSequence

RANDOM = np.random.default_rng(0)
START, END = RANDOM.standard_normal((2, 50, 64)).astype(np.float32)


@pytest.mark.parametrize("name", PATHS)
def test_the_ends_are_the_latents_bit_for_bit(name):
    latents = path(name, START, END, 5)
    assert latents.shape == (50, 5, 64)
    assert latents.dtype == np.float32
    assert np.array_equal(latents[:, 0], START)
    assert np.array_equal(latents[:, -1], END)
    assert np.array_equal(path(name, START[0], END[0], 5), latents[0])


@pytest.mark.parametrize("name", PATHS)
def test_a_path_is_the_reversed_path_back(name):
    assert np.allclose(path(name, START, END, 7), path(name, END, START, 7)[:, ::-1], atol=1e-5)


def test_a_straight_line_passes_through_the_middle():
    assert np.allclose(path("linear", START, END, 3)[:, 1], (START + END) / 2, atol=1e-6)


def test_a_slerp_turns_evenly_on_the_circle():
    latents = path("slerp", np.float32([2, 0]), np.float32([0, 2]), 4)
    angles = np.deg2rad([0, 30, 60, 90])
    assert np.allclose(latents, 2 * np.stack([np.cos(angles), np.sin(angles)], 1), atol=1e-6)


@pytest.mark.parametrize("factor", [1, -1, 3])
def test_a_slerp_between_parallel_latents_is_the_straight_line(factor):
    assert np.allclose(path("slerp", START, factor * START, 6), path("linear", START, factor * START, 6), atol=1e-5)
    zero = np.zeros_like(START)
    assert np.allclose(path("slerp", START, zero, 6), path("linear", START, zero, 6), atol=1e-5)


@pytest.mark.parametrize("name", ["slerp", "norm-corrected"])
def test_between_normal_latents_only_the_straight_line_becomes_shorter(name):
    middles = path(name, START, END, 3)[:, 1]
    assert np.mean(middles**2) == pytest.approx(1, abs=0.05)
    assert np.mean(path("linear", START, END, 3)[:, 1] ** 2) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("name", PATHS)
def test_the_edges_of_a_morph_are_the_paths_between_its_corners(name):
    corners = RANDOM.standard_normal((3, 4, 64)).astype(np.float32)
    a, b, c, d = corners.swapaxes(0, 1)
    latents = morph(name, corners, 5)
    assert latents.shape == (3, 5, 5, 64)
    assert latents.dtype == np.float32
    for edge, start, end in (
        (latents[:, 0], a, b),
        (latents[:, -1], c, d),
        (latents[:, :, 0], a, c),
        (latents[:, :, -1], b, d),
    ):
        assert np.array_equal(edge, path(name, start, end, 5))


def test_the_middle_of_a_morph_of_straight_lines_is_the_mean_of_its_corners():
    corners = RANDOM.standard_normal((4, 64)).astype(np.float32)
    latents = morph("linear", corners, 3)
    assert np.allclose(latents[1, 1], corners.mean(0), atol=1e-6)
    assert np.allclose(morph("linear", corners[[0, 2, 1, 3]], 3), latents.swapaxes(0, 1), atol=1e-6)


@pytest.mark.parametrize("name", ["slerp", "norm-corrected"])
def test_between_normal_latents_only_a_morph_of_straight_lines_becomes_shorter(name):
    corners = RANDOM.standard_normal((50, 4, 64)).astype(np.float32)
    assert np.mean(morph(name, corners, 3)[:, 1, 1] ** 2) == pytest.approx(1, abs=0.05)
    assert np.mean(morph("linear", corners, 3)[:, 1, 1] ** 2) == pytest.approx(0.25, abs=0.05)


def test_a_model_follows_the_method_of_the_caller_or_else_that_of_its_kind(model, images):
    a, b = images[:3], images[3:6]
    for name in PATHS:
        latents = path(name, model.encode(a), model.encode(b), 4).reshape(12, -1)
        expected = model.decode(latents).reshape(3, 4, *model.image_shape)
        assert np.allclose(model.interpolate(a, b, steps=4, method=name), expected, atol=1e-5)
    default = model.interpolate(a, b, steps=4, method=DEFAULT_OF_KIND[model.manifest.kind])
    assert np.array_equal(model.interpolate(a, b, steps=4), default)
    with pytest.raises(ValueError, match=r"'arc'.* expected one of linear, slerp, norm-corrected"):
        model.interpolate(a, b, method="arc")


def test_the_corners_of_a_morph_are_the_reconstructions(model, images):
    corners = images[:4]
    grid = model.morph(*corners, steps=4)
    assert grid.shape == (4, 4, *model.image_shape)
    assert np.allclose(grid[[0, 0, -1, -1], [0, -1, 0, -1]], model.reconstruct(corners), atol=1e-5)
    assert np.allclose(grid[0], model.interpolate(*corners[:2], steps=4), atol=1e-5)
    several = model.morph(*(images[i : i + 2] for i in range(4)), steps=4, dtype="uint8")
    assert several.shape == (2, 4, 4, *model.image_shape)
    assert np.abs(several[0] - 255 * grid).max() <= 1
    with pytest.raises(ValueError, match="morph: found shapes .* expected equally many images at each end"):
        model.morph(images[:2], images[:2], images[:3], images[:2])


def test_the_command_line_offers_every_path():
    (option,) = (option for option in interpolate.command.params if option.name == "method")
    assert list(option.type.choices) == list(PATHS)


def test_a_walk_without_images_needs_a_learned_prior(tiny):
    with pytest.raises(ValueError, match=r"latent walk of .*: found priors .*, expected a learned prior"):
        aegen.load(tiny).latent_walk(2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.png"], "Give A and B, or A, B, C and D, or none of them."),
        (["a.png", "b.png", "c.png"], "Give A and B, or A, B, C and D, or none of them."),
        (["a.png", "b.png", "--seed", "1"], "--seed is for paths without A and B"),
        (["a.png", "b.png", "--label", "3"], "--label is for paths without A and B"),
        (["--resize"], "--resize is for paths between A and B"),
        (["--label", "1", "--label", "2", "--label", "3"], "Give --label once, or for both ends"),
    ],
)
def test_arguments_that_make_no_path_are_usage_errors(cli, arguments, message):
    done = cli("interpolate", *arguments, "-o", "x.png")
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr


def test_ends_of_different_counts_are_a_usage_error(cli, model, tiny, images, tmp_path):
    np.save(tmp_path / "images.npy", images)
    ends = ("images.npy[0:2]", "images.npy[2:5]")
    done = cli("interpolate", *ends, "--model", tiny, "-o", "x.png")
    assert done.returncode == 2
    assert "must hold equally many images, but they hold 2, 3." in done.stderr


def test_four_images_become_the_corners_of_a_morph(cli, model, tiny, images, tmp_path):
    np.save(tmp_path / "images.npy", images)
    ends = [f"images.npy[{i}:{i + 2}]" for i in range(4)]
    for output in ("morphs.npy", "morphs.png", "morphs.gif"):
        done = cli("interpolate", *ends, "--steps", "3", "--model", tiny, "--scale", "1", "-o", output)
        assert done.returncode == 0, done.stderr
    expected = model.morph(*(images[i : i + 2] for i in range(4)), steps=3)
    morphs = np.load(tmp_path / "morphs.npy")
    assert np.allclose(morphs, expected, atol=1e-5)
    height, width = model.image_shape[:2]
    with Image.open(tmp_path / "morphs.png") as grid:
        assert grid.size == (3 * (width + 2) + 2, 6 * (height + 2) + 2)
    # The frames of the animation are the images on the edge of each grid, clockwise.
    around = morphs[:, [0, 0, 0, 1, 2, 2, 2, 1], [0, 1, 2, 2, 2, 1, 0, 0]]
    with Image.open(tmp_path / "morphs.gif") as animation:
        frames = [
            np.asarray(frame.convert("RGB"))[2 : 2 + height, 2 : 2 + width]
            for frame in ImageSequence.Iterator(animation)
        ]
    assert len(frames) == around.shape[1]
    for frame, image in zip(frames, around[0], strict=True):
        difference = frame - 255 * np.broadcast_to(image.reshape(height, width, -1), frame.shape)
        assert np.abs(difference).mean() < 8  # not exact, because a GIF has a palette of few colours


def test_labels_choose_the_classes_of_the_ends(cli, tmp_path):
    model = aegen.load("mnist-fast")
    labels, seed = ("3", "8", "0", "6"), ("--seed", "5")
    options = ("--model", "mnist-fast", "--steps", "3", *seed)
    first = [model.sample(2, seed=5, label=label) for label in labels]
    for count in (2, 4):
        flags = [word for label in labels[:count] for word in ("--label", label)]
        done = cli("interpolate", *flags, "-n", "2", *options, "-o", "ends.npy")
        assert done.returncode == 0, done.stderr
        generated = np.load(tmp_path / "ends.npy")
        ends = (
            [generated[:, 0], generated[:, -1]]
            if count == 2
            else [generated[:, i, j] for i in (0, -1) for j in (0, -1)]
        )
        assert np.allclose(ends, first[:count], atol=1e-4)
    # Within one class, the noise of the learned prior is interpolated.
    for flags in (("--label", "3"), ("--label", "3", "--label", "3")):
        assert cli("interpolate", *flags, "-n", "2", *options, "-o", "class.npy").returncode == 0
        expected = model.latent_walk(2, steps=3, seed=5, label=3)
        assert np.allclose(np.load(tmp_path / "class.npy"), expected, atol=1e-4)


def test_without_a_learned_prior_the_latents_of_samples_are_interpolated(cli, model, tiny, tmp_path):
    done = cli("interpolate", "-n", "3", "--steps", "3", "--seed", "2", "--model", tiny, "-o", "paths.npy")
    assert done.returncode == 0, done.stderr
    ends = model.sample_latents(6, seed=2).reshape(3, 2, -1)
    expected = [model.decode(latents) for latents in (ends[:, 0], ends.mean(1), ends[:, 1])]
    assert np.allclose(np.load(tmp_path / "paths.npy").swapaxes(0, 1), expected, atol=1e-5)


@pytest.mark.parametrize("flags", [(), ("--label", "3", "--label", "8"), ("--label", "3", "--method", "linear")])
def test_paths_do_not_depend_on_how_many_are_computed_at_a_time(cli, tmp_path, monkeypatch, flags):
    options = (*flags, "--model", "mnist-fast", "--steps", "3", "-n", "5", "--seed", "1")
    assert cli("interpolate", *options, "-o", "together.npy").returncode == 0
    monkeypatch.setattr(interpolate, "PART_ROWS", 6)
    assert cli("interpolate", *options, "-o", "apart.npy").returncode == 0
    together, apart = (np.load(tmp_path / name) for name in ("together.npy", "apart.npy"))
    assert np.allclose(together, apart, atol=1e-4)
    assert len(np.unique(together[:, 0].reshape(5, -1), axis=0)) == 5


def test_an_animation_of_paths_goes_there_and_back(cli, tiny, images, tmp_path):
    np.save(tmp_path / "images.npy", images)
    done = cli("interpolate", "images.npy[0]", "images.npy[1]", "--steps", "4", "--model", tiny, "-o", "path.gif")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "path.gif") as animation:
        frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(animation)]
    assert len(frames) == 6
    assert all(np.array_equal(frames[i], frames[-i]) for i in (1, 2))
