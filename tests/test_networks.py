"""Convolutional networks suit images of every size, and epochs and levels of a recipe follow from the data."""

import dataclasses

import numpy as np
import pytest
import torch
from aegen.data.datasets import load
from aegen.export import parity
from aegen.export.graphs import decoder, encoder, onnx_bytes
from aegen.recipes.settled import decoder_channels, encoder_channels, level_sides, settled
from aegen.recipes.training import MAX_EPOCHS, Recipe, named_recipe, shipped_recipes
from aegen.runtime.metadata import ImageSpec
from aegen.train import archives, checkpoint
from aegen.train.autoencoder import train
from aegen.train.networks import build

CONV = Recipe(network="conv", channels=4, latent_dim=3)


@pytest.mark.parametrize(
    ("shape", "sides", "channels"),
    [
        ((1, 28, 28), [(28, 28), (14, 14), (7, 7)], [32, 64]),
        ((3, 8, 8), [(8, 8), (4, 4), (2, 2)], [32, 64]),
        ((3, 64, 64), [(64, 64), (32, 32), (16, 16), (8, 8)], [16, 32, 64]),
        ((1, 65, 33), [(65, 33), (33, 17), (17, 9), (9, 5)], [16, 32, 64]),
        ((3, 128, 128), [(128, 128), (64, 64), (32, 32), (16, 16), (8, 8)], [8, 16, 32, 64]),
        ((3, 512, 512), [(512 >> level,) * 2 for level in range(7)], [8, 8, 8, 16, 32, 64]),
    ],
)
def test_the_depth_of_a_convolutional_network_follows_from_the_sides_of_the_images(shape, sides, channels):
    recipe = Recipe(network="conv")
    assert level_sides(recipe, shape) == sides
    assert encoder_channels(recipe, shape) == decoder_channels(recipe, shape)[::-1] == channels
    assert settled(recipe, 100, shape).levels == len(channels)


def test_networks_of_28x28_have_two_levels_under_the_names_that_older_checkpoints_use():
    tensors = build(Recipe(network="conv", decoder_channels=(48, 16), latent_dim=32), (1, 28, 28)).state_dict()
    shapes = {name: tuple(value.shape) for name, value in tensors.items() if value.ndim > 1}
    assert shapes == {
        "encoder.0.1.weight": (32, 4, 3, 3),
        "encoder.1.change.0.weight": (32, 32, 3, 3),
        "encoder.1.change.3.weight": (32, 32, 3, 3),
        "encoder.2.1.weight": (64, 128, 3, 3),
        "encoder.3.change.0.weight": (64, 64, 3, 3),
        "encoder.3.change.3.weight": (64, 64, 3, 3),
        "encoder.5.weight": (32, 64 * 49),
        "decoder.0.weight": (48 * 49, 32),
        "decoder.2.change.0.weight": (48, 48, 3, 3),
        "decoder.2.change.3.weight": (48, 48, 3, 3),
        "decoder.3.0.weight": (64, 48, 3, 3),
        "decoder.4.change.0.weight": (16, 16, 3, 3),
        "decoder.4.change.3.weight": (16, 16, 3, 3),
        "decoder.5.0.weight": (4, 16, 3, 3),
    }


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 7), (1, 33, 18), (1, 1, 9), (3, 128, 96)])
def test_networks_encode_and_decode_images_of_every_size(shape):
    network = build(CONV, shape).eval()
    images = torch.rand(2, *shape)
    with torch.no_grad():
        latents = network.encode(images)
        assert latents.shape == (2, 3)
        assert network.decode(latents).shape == images.shape


def test_an_odd_side_is_completed_by_its_last_row_and_not_by_black():
    odd, even = (build(CONV, (1, height, 6)).encoder[0].eval() for height in (5, 6))
    even.load_state_dict(odd.state_dict())
    rows = torch.rand(1, 1, 5, 6)
    with torch.no_grad():
        assert torch.equal(odd(rows), even(torch.cat([rows, rows[:, :, -1:]], 2)))


@pytest.mark.parametrize("shape", [(3, 9, 14)])
def test_exported_networks_of_odd_sides_compute_what_torch_computes(shape):
    network = build(CONV, shape).eval()
    images = np.random.default_rng(0).random((3, *shape), np.float32)
    inputs = {"encoder.onnx": ("image", images), "decoder.onnx": ("latent", np.zeros((3, 3), np.float32))}
    for graph in (encoder(network, shape), decoder(network, 3)):
        name, values = inputs[graph.file]
        session = parity.network(graph.file, onnx_bytes(graph), ImageSpec(shape, (0.0, 1.0)))
        (result,) = session.outputs(graph.outputs, {name: values})
        with torch.no_grad():
            assert np.allclose(result, graph.module(torch.from_numpy(values)).numpy(), atol=1e-5)


def test_shipped_recipes_have_the_same_epochs_of_mnist_as_ever():
    epochs = {name: settled(named_recipe(name), 50_000, (1, 28, 28)).epochs for name in shipped_recipes()}
    assert epochs == {"ae": 40, "conv": 12, "dae": 60, "vae": 60}


@pytest.mark.parametrize(
    ("settings", "images", "epochs"),
    [
        ({"steps": 1000}, 1250, 100),
        ({"steps": 1001}, 1250, 101),
        ({"steps": 1000}, 1_000_000, 1),
        ({"steps": 1000}, 100, MAX_EPOCHS),
        ({"epochs": 3}, 100, 3),
        ({"steps": 1000, "batch_size": 32}, 1250, 25),
    ],
)
def test_epochs_follow_from_steps_and_the_number_of_images(settings, images, epochs):
    recipe = settled(Recipe(**settings), images, (1, 8, 8))
    assert (recipe.epochs, recipe.steps) == (epochs, 0)
    assert settled(recipe, images, (1, 8, 8)) == recipe


def test_epochs_replace_the_steps_of_a_named_recipe():
    assert named_recipe("conv", epochs=3).steps == 0
    assert named_recipe("conv", steps=77).steps == 77
    assert named_recipe("ae", steps=77).epochs == 0


def test_a_run_records_the_epochs_and_levels_that_it_was_trained_with(tmp_path, bars):
    np.savez(tmp_path / "bars.npz", images=bars(60, (9, 7)))
    recipe = dataclasses.replace(CONV, steps=4, batch_size=32)
    history = train(recipe, load(str(tmp_path / "bars.npz")), tmp_path / "run")
    recorded = checkpoint.read(tmp_path / "run").recipe
    assert len(history) == recorded.epochs == 2
    assert recorded.levels == 2


def test_a_checkpoint_without_a_number_of_levels_has_two(tmp_path, bars):
    np.savez(tmp_path / "bars.npz", images=bars(60, (40, 40)))
    recipe = dataclasses.replace(CONV, levels=2, epochs=1)
    train(recipe, load(str(tmp_path / "bars.npz")), tmp_path / "run")
    file = tmp_path / "run" / "best.pt"
    content = archives.read_archive(file, checkpoint.FORMAT, "a checkpoint")
    del content["recipe"]["levels"], content["recipe"]["steps"]
    archives.write_archive(file, content)
    assert checkpoint.read(file).recipe == recipe
    assert checkpoint.read(file).network().encode(torch.zeros(1, 1, 40, 40)).shape == (1, 3)
