"""Training lowers the loss, is reproducible, and writes files that hold only data, no code."""

import dataclasses
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from aegen.data.datasets import load
from aegen.recipes import training as recipe_module
from aegen.recipes.training import CORRUPTIONS, LOSSES, NETWORKS, Recipe, named_recipe, recipe_from, shipped_recipes
from aegen.runtime.errors import ExecutionError, InputError, NotFoundError, OutputError
from aegen.train import checkpoint, processes
from aegen.train.autoencoder import train
from aegen.train.corruption import CORRUPTIONS as CORRUPTION_FUNCTIONS
from aegen.train.corruption import corrupt
from aegen.train.networks import ARCHITECTURES, build
from aegen.train.objectives import Objective, kl_per_dimension
from aegen.train.schedule import warm_cosine
from command_line import run_here

QUICK = Recipe(widths=(8,), latent_dim=3, epochs=3, learning_rate=0.02)


@pytest.fixture
def data(tmp_path, bars):
    np.savez(tmp_path / "bars.npz", images=bars(300, (6, 5)))
    return str(tmp_path / "bars.npz")


@pytest.fixture(scope="module")
def digits(mnist):
    """The data set MNIST with fewer images."""
    dataset = load(str(mnist))
    few = {"train": dataset.train[slice(0, 20_000)], "validation": dataset.validation[slice(0, 2_000)]}
    return dataclasses.replace(dataset, **few)


@pytest.mark.parametrize(("loss", "activation"), [("bce", "sigmoid"), ("mse", "sigmoid"), ("mse", "tanh")])
def test_one_epoch_on_mnist_reconstructs_better_than_the_mean_image(digits, tmp_path, loss, activation):
    recipe = Recipe(loss=loss, activation=activation, epochs=1, batch_size=50)
    dataset = digits
    (epoch,) = train(recipe, dataset, tmp_path / "run")
    low, high = recipe.pixel_range
    scale = high - low
    mean = dataset.train.images.mean(0, dtype=np.float64) / 255
    held_out = dataset.validation.images.reshape(len(dataset.validation), -1) / 255
    if loss == "bce":
        p = np.clip(mean.ravel(), 1e-6, 1 - 1e-6)
        score = -(held_out @ np.log(p) + (1 - held_out) @ np.log1p(-p)).mean()
    else:
        score = scale**2 * ((held_out - mean.ravel()) ** 2).sum(1).mean()
    assert epoch.validation_loss < 0.75 * score


@pytest.mark.parametrize(("loss", "activation"), [("bce", "sigmoid"), ("mse", "sigmoid"), ("mse", "tanh")])
def test_objectives_are_sums_over_pixels_and_means_over_the_batch(loss, activation):
    torch.manual_seed(0)
    logits = torch.randn(4, 1, 6, 5, dtype=torch.float64)
    unit = torch.rand(4, 1, 6, 5, dtype=torch.float64)
    low, high = Recipe(loss=loss, activation=activation).pixel_range
    images = unit * (high - low) + low
    if loss == "bce":
        p = torch.sigmoid(logits)
        expected = -(images * p.log() + (1 - images) * (1 - p).log())
    else:
        expected = ((torch.sigmoid(logits) if activation == "sigmoid" else torch.tanh(logits)) - images) ** 2
    recipe = Recipe(loss=loss, activation=activation)
    found = Objective(build(recipe, (1, 6, 5)), recipe).reconstruction_error(logits, images)
    assert torch.allclose(found, expected.sum((1, 2, 3)).mean())


def test_cross_entropy_does_not_overflow_for_large_logits():
    objective = Objective(build(Recipe(), (1, 1, 2)), Recipe())
    loss = objective.reconstruction_error(torch.tensor([[[[1000.0, -1000.0]]]]), torch.tensor([[[[0.0, 1.0]]]]))
    assert loss.item() == 2000


def test_widths_and_latent_dim_set_the_layers_of_the_networks():
    network = build(Recipe(widths=(20, 10, 7), latent_dim=5), (3, 4, 6))
    sizes = [tuple(module.weight.shape) for module in network.modules() if isinstance(module, torch.nn.Linear)]
    assert sizes == [(20, 72), (10, 20), (7, 10), (5, 7), (7, 5), (10, 7), (20, 10), (72, 20)]
    assert network.decode(network.encode(torch.zeros(2, 3, 4, 6))).shape == (2, 3, 4, 6)
    assert build(Recipe(widths=()), (1, 4, 4)).encode(torch.zeros(2, 1, 4, 4)).shape == (2, 32)


def test_a_decoder_can_have_layers_of_its_own():
    mirrored = build(Recipe(widths=(20, 10), latent_dim=5), (1, 4, 4))
    other = build(Recipe(widths=(20, 10), decoder_widths=(7, 6, 8), latent_dim=5), (1, 4, 4))
    assert [layer.in_features for layer in mirrored.decoder if hasattr(layer, "in_features")] == [5, 10, 20]
    assert [layer.in_features for layer in other.decoder if hasattr(layer, "in_features")] == [5, 7, 6, 8]
    settings = {"network": "conv", "channels": 3, "latent_dim": 5}
    sizes = {}
    for channels in ((), (6, 3), (4, 2), (4,)):
        network = build(Recipe(decoder_channels=channels, **settings), (1, 8, 12))
        sizes[channels] = sum(weight.numel() for weight in network.decoder.parameters())
        assert network.decode(network.encode(torch.zeros(2, 1, 8, 12))).shape == (2, 1, 8, 12)
    assert sizes[()] == sizes[6, 3] > sizes[4,] > sizes[4, 2]
    with pytest.raises(InputError, match="decoder_channels: found 3 numbers, expected at most 2, one for each level"):
        build(Recipe(decoder_channels=(8, 4, 2), **settings), (1, 8, 12))


def test_the_same_recipe_gives_the_same_weights_and_another_seed_gives_different_ones(data, tmp_path):
    weights = []
    for i, recipe in enumerate([QUICK, QUICK, dataclasses.replace(QUICK, seed=1)]):
        torch.manual_seed(i)  # the caller's random state, which training must neither use nor change
        before = torch.random.get_rng_state()
        train(recipe, load(data), tmp_path / f"run{i}")
        assert torch.equal(torch.random.get_rng_state(), before)
        weights.append(checkpoint.read(tmp_path / f"run{i}" / "last.pt").state_dict)
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not all(torch.equal(weights[0][name], weights[2][name]) for name in weights[0])


def test_a_run_leaves_metrics_and_two_checkpoints(data, tmp_path):
    reported = []
    history = train(QUICK, load(data), tmp_path / "run", data=data, report=reported.append)
    assert reported == history
    assert sorted(file.name for file in (tmp_path / "run").iterdir()) == ["best.pt", "last.pt", "metrics.jsonl"]
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines == json.loads(json.dumps([dataclasses.asdict(epoch) for epoch in history]))
    best, last = checkpoint.read(tmp_path / "run"), checkpoint.read(tmp_path / "run" / "last.pt")
    assert last.epoch == 3
    assert best.validation_loss == min(epoch.validation_loss for epoch in history)
    assert best.recipe == last.recipe == QUICK
    assert (best.data, best.shape) == (data, (1, 6, 5))


def test_a_checkpoint_holds_data_only(data, tmp_path):
    train(QUICK, load(data), tmp_path / "run")
    content = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert content["recipe"]["latent_dim"] == 3
    torch.save({"format": 1, "evil": os.system}, tmp_path / "evil.pt")
    with pytest.raises(InputError, match=r"evil\.pt: found another or a damaged file"):
        checkpoint.read(tmp_path / "evil.pt")


def test_a_checkpoint_that_is_damaged_missing_or_another_file_is_an_error_that_names_it(data, tmp_path):
    train(QUICK, load(data), tmp_path / "run")
    content = (tmp_path / "run" / "last.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"cut\.pt: found another or a damaged file"):
        checkpoint.read(tmp_path / "cut.pt")
    flipped = bytearray(content)
    weights = checkpoint.read(tmp_path / "run" / "last.pt").state_dict["network.encoder.1.weight"].numpy().tobytes()
    flipped[content.index(weights) + 5] ^= 1
    (tmp_path / "flipped.pt").write_bytes(flipped)
    with pytest.raises(InputError, match=r"flipped\.pt: found another or a damaged file"):
        checkpoint.read(tmp_path / "flipped.pt")
    (tmp_path / "text.pt").write_text("plain text")
    with pytest.raises(InputError, match=r"text\.pt: found another or a damaged file"):
        checkpoint.read(tmp_path / "text.pt")
    torch.save({**torch.load(tmp_path / "run" / "last.pt"), "state_dict": {}}, tmp_path / "empty.pt")
    with pytest.raises(
        InputError, match=r"empty\.pt: state_dict: found tensors of another network, expected those of its recipe"
    ):
        checkpoint.read(tmp_path / "empty.pt").network()
    torch.save({"state_dict": {}}, tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"other\.pt: found another or a damaged file"):
        checkpoint.read(tmp_path / "other.pt")
    with pytest.raises(NotFoundError, match=r"no best\.pt, expected a training run"):
        checkpoint.read(tmp_path)
    with pytest.raises(NotFoundError, match="no such file or folder"):
        checkpoint.read(tmp_path / "nowhere")
    with pytest.raises(InputError, match="latent_dim"):
        content = torch.load(tmp_path / "run" / "last.pt")
        torch.save({**content, "recipe": {"latent_dim": "x"}}, tmp_path / "hyperparameter.pt")
        checkpoint.read(tmp_path / "hyperparameter.pt")


def test_a_folder_that_is_not_empty_is_not_written_to(data, tmp_path):
    with pytest.raises(OutputError, match="something there already"):
        train(QUICK, load(data), tmp_path)


def test_a_loss_that_is_not_finite_ends_the_run_with_a_remedy(data, tmp_path):
    with pytest.raises(ExecutionError, match="validation loss: found nan, expected a number. Lower the learning rate"):
        train(dataclasses.replace(QUICK, loss="mse", learning_rate=1e30), load(data), tmp_path / "run")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "bce", "activation": "tanh"}, "loss bce: found activation tanh, expected loss mse or gaussian"),
        ({"loss": "l1"}, "loss: found l1, expected one of bce, mse, gaussian"),
        ({"kind": "dae"}, "kind dae: found no corruption, expected one of gaussian, masking"),
        ({"corruption": "masking"}, "kind ae: found a corruption, expected kind dae"),
        ({"beta": 2}, "kind ae: found a beta, expected latent_l2, or kind vae"),
        ({"kind": "vae", "loss": "mse"}, "kind vae: found loss mse, no likelihood, expected bce or gaussian"),
        ({"kind": "vae", "latent_l2": 1}, "kind vae: found a latent_l2, expected beta"),
        ({"strength": [0.5, 0.1]}, "strength: found .0.5, 0.1., expected two numbers, the smaller first"),
        ({"strength": [0.5, 1.1]}, "strength: found .0.5, 1.1., expected 2 numbers from 0 to 1"),
        ({"colour": 1}, "recipe: colour: found an unknown hyperparameter, expected one of activation, "),
        ({"latent_dim": 0}, "latent_dim: found 0, expected a whole number from 1 to 65,536"),
        ({"widths": [8, 0]}, "widths: found .8, 0., expected whole numbers from 1 to 65,536"),
        ({"epochs": 3, "steps": 100}, "recipe: epochs: found steps too, expected one of the two"),
        ({"epochs": 2.5}, "epochs: found 2.5, expected a whole number"),
        ({"learning_rate": -1}, "learning_rate: found -1.0, expected a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"warmup": 1}, "warmup: found 1.0, expected a number from 0 to below 1"),
        ({"seed": -1}, "seed"),
        ({"seed": True}, "seed: found True"),
    ],
)
def test_an_unusable_recipe_is_an_error_that_names_the_hyperparameter(settings, message):
    with pytest.raises(InputError, match=message):
        recipe_from(settings, "recipe")


def test_the_learning_rate_rises_then_falls_to_zero():
    rate = warm_cosine(0.1, 100)
    values = [rate(step) for step in range(101)]
    assert np.argmax(values) == 10
    assert values[10] == 1
    assert all(a < b for a, b in itertools.pairwise(values[:11]))
    assert all(a > b for a, b in itertools.pairwise(values[10:]))
    assert values[100] == pytest.approx(0)


def test_every_network_and_corruption_that_a_recipe_can_name_exists():
    assert tuple(ARCHITECTURES) == NETWORKS
    assert ("none", *CORRUPTION_FUNCTIONS) == CORRUPTIONS


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_that_a_recipe_can_name_exists(loss):
    recipe = Recipe(loss=loss)
    objective = Objective(build(recipe, (1, 2, 2)), recipe)
    assert objective.reconstruction_error(torch.zeros(3, 1, 2, 2), torch.rand(3, 1, 2, 2)).isfinite()


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_shipped_recipe_is_a_file_that_can_be_copied_and_edited(name, tmp_path):
    source = Path(recipe_module.SHIPPED / f"{name}.toml").read_text()
    assert named_recipe(name).kind in ("ae", "dae", "vae")
    (tmp_path / "mine.toml").write_text(source.replace("seed = 0", "seed = 5"))
    assert named_recipe(str(tmp_path / "mine.toml")) == dataclasses.replace(named_recipe(name), seed=5)
    assert named_recipe(name, latent_dim=7).latent_dim == 7


def test_a_recipe_that_is_missing_or_damaged_is_an_error_that_names_it(tmp_path):
    with pytest.raises(
        NotFoundError, match="recipe 'gan': found no such name or file, expected ae, conv, dae, vae, or a TOML"
    ):
        named_recipe("gan")
    (tmp_path / "bad.toml").write_text("kind = ")
    with pytest.raises(InputError, match=r"bad\.toml is no readable TOML file"):
        named_recipe(str(tmp_path / "bad.toml"))


KINDS = {
    "ae": {},
    "dae": {"kind": "dae", "corruption": "mixed"},
    "vae": {"kind": "vae", "beta_warmup": 0.5},
    "regularised": {"latent_l2": 0.1},
    "gaussian": {"kind": "vae", "loss": "gaussian", "beta": 0.1},
    "tanh": {"kind": "dae", "corruption": "gaussian", "loss": "mse", "activation": "tanh"},
}


@pytest.mark.parametrize("network", ["mlp", "conv"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_learns_with_every_network(tmp_path, bars, kind, network):
    np.savez(tmp_path / "bars.npz", images=bars(300, (8, 4, 3)))
    hyperparameters = {
        "network": network,
        "widths": (16,),
        "channels": 4,
        "latent_dim": 3,
        "epochs": 6,
        "learning_rate": 0.02,
    }
    history = train(Recipe(**hyperparameters, **KINDS[kind]), load(str(tmp_path / "bars.npz")), tmp_path / "run")
    assert history[-1].validation_loss < history[0].validation_loss
    assert checkpoint.read(tmp_path / "run").network().encode(torch.zeros(2, 3, 8, 4)).shape == (2, 3)


def test_the_loss_of_a_vae_is_the_sum_of_its_reported_parts(tmp_path, data):
    recipe = dataclasses.replace(QUICK, kind="vae", beta=0.5)
    for epoch in train(recipe, load(data), tmp_path / "run"):
        assert epoch.validation_loss == pytest.approx(epoch.reconstruction + 0.5 * epoch.penalty)
        assert sum(epoch.kl_per_dimension) == pytest.approx(epoch.penalty, rel=1e-4)
        assert len(epoch.kl_per_dimension) == 3
        assert 0 <= epoch.active_units <= 3


def test_the_kl_divergence_equals_that_of_torch_distributions():
    mean, logvar = torch.randn(50, 4), torch.randn(50, 4)
    posterior = torch.distributions.Normal(mean, torch.exp(0.5 * logvar))
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).mean(0)
    assert torch.allclose(kl_per_dimension(mean, logvar), expected, atol=1e-5)


def test_the_gaussian_loss_is_a_log_density_and_learns_its_sigma(tmp_path, data):
    recipe = Recipe(kind="vae", loss="gaussian", widths=(8,), latent_dim=3, epochs=20, learning_rate=0.02, beta=0.1)
    objective = Objective(build(recipe, (1, 6, 5)), recipe)
    objective.log_sigma.data.fill_(-0.7)
    logits, images = torch.randn(4, 1, 6, 5), torch.rand(4, 1, 6, 5)
    density = torch.distributions.Normal(torch.sigmoid(logits), math.exp(-0.7)).log_prob(images)
    assert objective.reconstruction_error(logits, images).item() == pytest.approx(-density.sum().item() / 4, rel=1e-5)
    train(recipe, load(data), tmp_path / "run")
    assert checkpoint.read(tmp_path / "run").state_dict["log_sigma"] < -0.3


@pytest.mark.parametrize("kind", CORRUPTIONS[1:])
def test_a_corruption_changes_as_many_pixels_as_its_strength_says_and_is_reproducible(kind):
    images = 0.25 + 0.5 * torch.rand(400, 3, 12, 8, generator=torch.Generator().manual_seed(1))
    noisy, again = (corrupt(images, kind, (0.4, 0.4), torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(noisy, again)
    assert noisy.min() >= 0
    assert noisy.max() <= 1
    assert torch.equal(corrupt(images, kind, (0.0, 0.0), torch.Generator().manual_seed(2)), images)
    changed = (noisy != images).float().mean().item()
    expected = {"gaussian": 1, "masking": 0.4, "salt-pepper": 0.4, "occlusion": 5 * 3 / 96, "mixed": 0.49}[kind]
    assert changed == pytest.approx(expected, abs=0.04)
    if kind == "salt-pepper":
        assert (noisy == 1).float().mean().item() == pytest.approx(0.2, abs=0.02)
    if kind == "gaussian":
        inside = (noisy > 0) & (noisy < 1)
        assert (noisy - images)[inside].std().item() == pytest.approx(0.3, abs=0.1)


def test_each_image_has_a_strength_of_its_own():
    noisy = corrupt(torch.ones(500, 1, 20, 20), "masking", (0.2, 0.8), torch.Generator().manual_seed(0))
    fractions = (noisy == 0).float().mean((1, 2, 3))
    assert fractions.min() < 0.3
    assert fractions.max() > 0.7
    assert fractions.mean().item() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("kind", ["ae", "vae", "dae"])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, data, kind):
    recipe = dataclasses.replace(QUICK, epochs=4, kind=kind, corruption="mixed" if kind == "dae" else "none")

    def stop(epoch):
        if epoch.epoch == 2:
            raise RuntimeError("interrupted")

    whole = train(recipe, load(data), tmp_path / "whole")
    with pytest.raises(RuntimeError, match="interrupted"):
        train(recipe, load(data), tmp_path / "resumed", report=stop)
    resumed = train(recipe, load(data), tmp_path / "resumed", resume=checkpoint.read(tmp_path / "resumed" / "last.pt"))
    assert [epoch.validation_loss for epoch in resumed] == [epoch.validation_loss for epoch in whole]
    for file in ("best.pt", "last.pt"):
        first, second = (checkpoint.read(tmp_path / run / file) for run in ("whole", "resumed"))
        assert all(torch.equal(first.state_dict[name], second.state_dict[name]) for name in first.state_dict)


# Two trainings by the same processes, because starting processes takes longer than training.
TRAIN_TWICE = """
import runpy, sys
for arguments in (sys.argv[1].split(), sys.argv[2].split()):
    sys.argv = ["aegen.train", *arguments]
    try:
        runpy.run_module("aegen.train", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise
"""


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory, bars):
    """Let torchrun start two processes, which train a VAE and then an AE, each together.

    Returns the folder with the runs `vae` and `ae`, the finished process of torchrun, and the options of the AE.
    """
    folder = tmp_path_factory.mktemp("processes")
    np.savez(folder / "bars.npz", images=bars(300, (6, 5)))
    (folder / "train_twice.py").write_text(TRAIN_TWICE)
    count = load(str(folder / "bars.npz")).facts.training_images
    # The last batch of an epoch has one image, so one of the two processes has none.
    batch_size = next(size for size in range(20, count) if count % size == 1)
    common = "--data bars.npz --widths 8 --latent-dim 3 --epochs 2"
    vae, ae = f"{common} --recipe vae -o vae", f"{common} --batch-size {batch_size}"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "train_twice.py"]
    done = subprocess.run(
        [*command, vae, f"{ae} -o ae"],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return folder, done, ae.split()


def test_two_processes_train_one_network(two_processes):
    folder, done, _ = two_processes
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("epoch 2/2") == 2
    for run in ("vae", "ae"):
        assert done.stderr.count(f"aegen export {run} ") == 1
        assert checkpoint.read(folder / run / "last.pt").epoch == 2
        assert len((folder / run / "metrics.jsonl").read_text().splitlines()) == 2


def test_two_processes_compute_what_one_computes(two_processes):
    """This model is trained without noise, so the losses of one and of two processes differ only by rounding errors."""
    folder, _, options = two_processes
    done = run_here(["train", *options, "-o", "one"], folder, {})
    assert done.returncode == 0, done.stderr
    one, two = (checkpoint.read(folder / run / "last.pt") for run in ("one", "ae"))
    assert two.validation_loss == pytest.approx(one.validation_loss, rel=1e-3)
    assert two.history[0].train_loss == pytest.approx(one.history[0].train_loss, rel=1e-3)


def test_processes_count_every_image_of_a_batch_once_even_if_some_have_none(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    counted = []
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        rows, count = processes.rows_of_process(np.array([7, 9]))
        assert len(rows) == 1
        counted += rows[:count].tolist()
    assert counted == [7, 9]


def test_seeding_leaves_the_random_states_of_the_caller_unchanged():
    samples = []
    for state in (1, 2):
        torch.manual_seed(state)
        before = [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else ())]
        with processes.seeded(5):
            samples.append(torch.rand(3))
        after = [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else ())]
        assert all(map(torch.equal, before, after))
    assert torch.equal(*samples)


def test_ctrl_c_keeps_the_last_complete_epoch(start, data, tmp_path):
    process = start("train", "--data", data, "--epochs", "100000", "-o", "run")
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not metrics.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    # Let some epochs pass, so that the signal can come at any moment of an epoch, even while its files are written.
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    epochs = [json.loads(line)["epoch"] for line in metrics.read_text().splitlines()]
    assert process.returncode == 130, errors
    assert f"keeps the run up to epoch {epochs[-1]}" in errors
    assert "Traceback" not in errors
    assert "aegen train --resume run" in errors
    assert checkpoint.read(tmp_path / "run" / "last.pt").epoch == epochs[-1]
    assert not list((tmp_path / "run").glob(".*"))
