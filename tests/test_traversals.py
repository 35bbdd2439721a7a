"""Traversals move one latent dimension at a time, the most active first; a manifold shows a plane of latent space."""

import io
import json
from statistics import NormalDist

import aegen
import numpy as np
import pytest
from aegen.cli import traverse
from aegen.runtime.distributions import Gaussian
from aegen.runtime.errors import InputError
from aegen.runtime.noise import Noise
from aegen.runtime.traversals import manifold, plane, quantiles, standard_deviations, traversal
from PIL import Image, ImageSequence

RANDOM = np.random.default_rng(0)


def test_a_row_moves_one_latent_dimension_evenly_and_keeps_all_others():
    latent, deviations = RANDOM.standard_normal(5).astype(np.float32), np.array([1.0, 2, 3, 4, 5])
    rows = traversal(latent, deviations, [3, 0], 5, 2.0)
    assert rows.shape == (2, 5, 5)
    assert rows.dtype == np.float32
    assert np.array_equal(rows[:, 2], [latent, latent])
    for row, dimension in zip(rows, [3, 0], strict=True):
        offsets = np.zeros((5, 5))
        offsets[:, dimension] = deviations[dimension] * np.array([-2, -1, 0, 1, 2])
        assert np.allclose(row - latent, offsets, atol=1e-5)


def test_a_model_decodes_the_rows_from_its_mean_latent_or_from_any_other(model, tiny):
    statistics = np.load(tiny / "latents.npz")
    deviations = np.sqrt(np.diag(statistics["factor"] @ statistics["factor"].T))
    latent = model.sample_latents(1, seed=3)[0]
    for start, given in ((statistics["mean"], {}), (latent, {"latent": latent})):
        expected = traversal(start, deviations, [2, 0], 3, 1.5)
        images = model.traverse(dimensions=[2, 0], steps=3, extent=1.5, **given)
        assert images.shape == (2, 3, *model.image_shape)
        assert np.allclose(images, [model.decode(row) for row in expected], atol=1e-5)
    assert len(model.traverse(steps=2)) == model.latent_dim


def test_activity_is_the_change_of_pixels_between_one_standard_deviation_below_and_above(model, tiny):
    statistics = np.load(tiny / "latents.npz")
    factor = statistics["factor"]
    common = statistics["mean"] + Noise(0).normals(0, 16, model.latent_dim) @ factor.T
    for dimension, activity in enumerate(model.activity()):
        offset = np.zeros(model.latent_dim)
        offset[dimension] = np.linalg.norm(factor[dimension])
        difference = model.decode(common + offset) - model.decode(common - offset)
        assert activity == pytest.approx(np.sqrt((difference.astype(float) ** 2).mean()), rel=1e-3)
    assert np.array_equal(model.activity([2, 1]), model.activity()[[2, 1]])


@pytest.fixture
def quiet_dimension(copy, alter):
    """The folder of a tiny artifact in which latent dimension 1 hardly varies among the training images."""
    arrays = dict(np.load(copy / "latents.npz"))
    arrays["factor"] = np.diag(np.linalg.norm(arrays["factor"], axis=1)).astype(np.float32)
    arrays["factor"][1, 1] = 1e-6
    content = io.BytesIO()
    np.savez(content, **arrays)
    return alter("latents.npz", content.getvalue())


def test_the_most_active_latent_dimensions_come_first(cli, quiet_dimension, tmp_path, monkeypatch):
    model = aegen.load(quiet_dimension)
    titles = []
    write_paths = traverse.write_paths
    monkeypatch.setattr(
        traverse,
        "write_paths",
        lambda *a, **options: (titles.append(options["row_titles"]), write_paths(*a, **options)),
    )
    done = cli("traverse", "-n", "2", "--json", "--steps", "3", "--model", quiet_dimension, "-o", "rows.npy")
    assert done.returncode == 0, done.stderr
    ranked = json.loads(done.stdout)
    order = [entry["dimension"] for entry in ranked]
    assert sorted(order) == list(range(model.latent_dim))
    assert order[-1] == 1
    activities = [entry["activity"] for entry in ranked]
    assert activities == sorted(activities, reverse=True)
    assert activities[-1] < 1e-5
    assert activities[-2] > 1e-2
    assert np.allclose(activities, model.activity(order), rtol=1e-4)
    assert np.allclose(np.load(tmp_path / "rows.npy"), model.traverse(dimensions=order[:2], steps=3), atol=1e-5)
    assert titles == [[f"dim {dimension}" for dimension in order[:2]]]


def test_the_middle_of_every_row_is_the_image_or_the_sample_to_start_from(cli, model, tiny, images, tmp_path):
    np.save(tmp_path / "images.npy", images)
    options = ("--dims", "2,0", "--steps", "3", "--range", "2", "--model", tiny)
    latent = model.encode(images[4])
    for start, expected in (("images.npy[4]", model.reconstruct(images[4])), ("--seed=7", model.sample(1, seed=7)[0])):
        done = cli("traverse", start, *options, "-o", "rows.npy")
        assert done.returncode == 0, done.stderr
        rows = np.load(tmp_path / "rows.npy")
        assert np.allclose(rows[:, 1], [expected, expected], atol=1e-5)
    assert cli("traverse", "images.npy[4]", *options, "-o", "rows.npy").returncode == 0
    moved = model.traverse(latent, dimensions=[2, 0], steps=3, extent=2)
    assert np.allclose(np.load(tmp_path / "rows.npy"), moved, atol=1e-5)


def test_an_animation_of_rows_goes_there_and_back(cli, tiny, tmp_path):
    done = cli("traverse", "--dims", "0,1", "--steps", "4", "--range", "3", "--model", tiny, "-o", "rows.gif")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "rows.gif") as animation:
        frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(animation)]
    assert len(frames) == 6
    assert all(np.array_equal(frames[i], frames[-i]) for i in (1, 2))
    assert not np.array_equal(frames[1], frames[2])


def test_quantiles_are_in_the_middles_of_equally_probable_intervals():
    found = [NormalDist().cdf(quantile) for quantile in quantiles(20)]
    assert np.allclose(found, np.arange(0.025, 1, 0.05))


def test_a_manifold_grows_to_the_right_and_to_the_top():
    grid = manifold((np.array([1.0, 2, 3]), np.array([[10.0, 0, 0], [0, 0, 100]])), 5)
    assert grid.shape == (5, 5, 3)
    assert grid.dtype == np.float32
    assert np.allclose(grid[:, :, 0], 1 + 10 * quantiles(5), atol=1e-5)
    assert np.allclose(grid[:, :, 1], 2)
    assert np.allclose(grid[:, :, 2], 3 + 100 * quantiles(5)[::-1, None], atol=1e-4)


def test_two_latent_dimensions_are_shown_over_the_prior_of_a_vae_or_the_gaussian_of_others():
    gaussian = Gaussian(np.float32([5, 6]), np.float32([[3, 0], [4, 2]]))
    latent, directions = plane(gaussian, "vae", None)
    assert np.array_equal(latent, [0, 0])
    assert np.array_equal(directions, np.eye(2))
    assert np.array_equal(plane(gaussian, "vae", [1, 0])[1], np.eye(2)[::-1])
    latent, directions = plane(gaussian, "ae", None)
    assert np.array_equal(latent, [5, 6])
    assert np.allclose(directions, np.diag([3, np.sqrt(20)]))


def test_more_latent_dimensions_are_shown_along_the_principal_components_or_two_of_them():
    components, _ = np.linalg.qr(RANDOM.standard_normal((4, 4)))
    factor = np.linalg.cholesky(components @ np.diag([1, 9, 0.25, 4]) @ components.T)
    gaussian = Gaussian(np.arange(4, dtype=np.float32), factor.astype(np.float32))
    for kind in ("ae", "vae"):
        latent, directions = plane(gaussian, kind, None)
        assert np.array_equal(latent, np.arange(4))
        for direction, expected in zip(directions, (3 * components[:, 1], 2 * components[:, 3]), strict=True):
            assert np.allclose(np.abs(direction), np.abs(expected), atol=1e-4)
            assert abs(direction @ expected) == pytest.approx(expected @ expected, rel=1e-4)
            assert direction[np.abs(direction).argmax()] > 0
    _, directions = plane(gaussian, "vae", [3, 1])
    assert np.allclose(directions, np.diag(standard_deviations(gaussian))[[3, 1]])


def test_the_command_writes_a_manifold_without_gaps(cli, model, tiny, tmp_path):
    for output in ("plane.npy", "plane.png", "plane.gif", "plane"):
        options = ("--steps", "3", "--dims", "2,0", "--scale", "1", "--model", tiny)
        done = cli("manifold", *options, "-o", output)
        assert done.returncode == 0, done.stderr
    expected = model.manifold(steps=3, dimensions=[2, 0])
    latents = model.manifold_latents(steps=3, dimensions=[2, 0])
    assert np.allclose(expected[1, 2], model.decode(latents[1, 2]), atol=1e-5)
    assert np.allclose(np.load(tmp_path / "plane.npy"), expected, atol=1e-5)
    assert len([*(tmp_path / "plane").iterdir()]) == 9
    height, width = model.image_shape[:2]
    with Image.open(tmp_path / "plane.png") as image:
        canvas = np.asarray(image)
    inner = canvas[2:-2, 2:-2]
    assert inner.shape[:2] == (3 * height, 3 * width)
    assert np.abs(inner[height : 2 * height, 2 * width :] - 255 * expected[1, 2]).max() <= 1
    with Image.open(tmp_path / "plane.gif") as animation:
        frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(animation)]
    assert len(frames) == 4
    bottom = np.concatenate([*expected[2]], 1).reshape(height, 3 * width, -1)
    assert np.abs(frames[0] - 255 * np.broadcast_to(bottom, frames[0].shape)).mean() < 8  # a GIF has few colours


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.traverse(dimensions=[99]), r"dimensions: found \[99\], expected a list of numbers from 0 to"),
        (lambda m: m.traverse(dimensions=[]), r"dimensions: found \[\], expected a list"),
        (lambda m: m.traverse(dimensions=[True]), r"dimensions: found \[True\], expected a list"),
        (lambda m: m.traverse(dimensions=3), "dimensions: found 3, expected a list"),
        (lambda m: m.traverse(steps=1), "steps: found 1, expected at least 2"),
        (lambda m: m.traverse(extent=float("nan")), "extent: found nan, expected a number above 0"),
        (lambda m: m.traverse(np.zeros((1, m.latent_dim))), r"latent: found shape \(1, 12\), expected \(12,\)"),
        (lambda m: m.manifold(dimensions=[1]), r"dimensions: found \[1\], expected two different latent dimensions"),
        (lambda m: m.manifold(dimensions=[1, 1]), r"dimensions: found \[1, 1\], expected two different"),
        (lambda m: m.manifold(steps=1), "steps: found 1, expected at least 2"),
        (
            lambda m: plane(Gaussian(np.zeros(1), np.eye(1)), "vae", None),
            "manifold: found 1 latent dimension, expected",
        ),
    ],
)
def test_bad_arguments_are_errors(call, message):
    with pytest.raises(InputError, match=message):
        call(aegen.load("mnist-ae"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["traverse"], "Missing option '-o' / '--output', or --json."),
        (["traverse", "a.npy", "--seed", "1", "-o", "x.png"], "Give IMAGE or --seed, and -n or --dims, but not both."),
        (["traverse", "--dims", "0,12", "-o", "x.png"], "'--dims': expected numbers from 0 to 11, such as 0,11."),
        (["traverse", "--dims", "1,,2", "-o", "x.png"], "'--dims': expected numbers from 0 to 11"),
        (["traverse", "images.npy", "-o", "x.png"], "IMAGE holds 2 images: choose one with a slice such as [0]."),
        (["traverse", "--json", "-o", "-"], "--json and -o - both write to standard output."),
        (["manifold", "--dims", "-1,2", "-o", "x.png"], "'--dims': expected numbers from 0 to 11"),
        (["manifold", "--steps", "1", "-o", "x.png"], "'--steps'"),
    ],
)
def test_bad_options_are_usage_errors(cli, tmp_path, arguments, message):
    np.save(tmp_path / "images.npy", np.zeros((2, 28, 28), np.uint8))
    done = cli(*arguments, "--model", "mnist-ae")
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr
