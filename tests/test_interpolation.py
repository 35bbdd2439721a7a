"""Every interpolation method starts and ends exactly at the given latents, and follows its own curve between them."""

import aegen
import numpy as np
import pytest
from aegen.cli.interpolate import command
from aegen.runtime.interpolation import DEFAULT_OF_KIND, PATHS, path
from click.testing import CliRunner

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


def test_the_command_line_offers_every_path():
    (option,) = (option for option in command.params if option.name == "method")
    assert list(option.type.choices) == list(PATHS)


def test_a_walk_without_images_needs_a_learned_prior(tiny, tmp_path):
    with pytest.raises(ValueError, match=r"latent walk of .*: found priors .*, expected a learned prior"):
        aegen.load(tiny).latent_walk(2)
    run = CliRunner().invoke
    for arguments, message in (
        (["a.png"], "Give both A and B"),
        (["a.png", "b.png", "--seed", "1"], "--seed is for paths without A and B"),
        (["--method", "linear"], "--method is for paths between A and B"),
    ):
        result = run(command, [*arguments, "-o", str(tmp_path / "x.png"), "--model", str(tiny)])
        assert (result.exit_code, message in result.output) == (2, True), result.output
