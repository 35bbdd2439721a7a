"""Training learns, repeats itself, keeps what it has, and writes nothing that is executed."""

import dataclasses
import itertools
import json
import os
import signal
import time

import numpy as np
import pytest
import torch
from aegen.cli.train import KNOBS
from aegen.runtime.errors import ExecutionError, InputError, NotFoundError, OutputError
from aegen.runtime.records import from_json
from aegen.train import checkpoint
from aegen.train.datasets import load
from aegen.train.loop import train, warm_cosine
from aegen.train.models import build
from aegen.train.objectives import objective
from aegen.train.recipe import Recipe

QUICK = Recipe(widths=(8,), latent_dim=3, epochs=3, learning_rate=0.02)


@pytest.fixture
def data(tmp_path, bars):
    np.savez(tmp_path / "bars.npz", images=bars(300, (6, 5)))
    return str(tmp_path / "bars.npz")


@pytest.mark.parametrize(("loss", "output"), [("bce", "sigmoid"), ("mse", "sigmoid"), ("mse", "tanh")])
def test_a_short_training_on_mnist_beats_the_mean_picture(mnist, tmp_path, loss, output):
    recipe = Recipe(loss=loss, output=output, epochs=1)
    dataset = load(str(mnist))
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


@pytest.mark.parametrize(("loss", "output"), [("bce", "sigmoid"), ("mse", "sigmoid"), ("mse", "tanh")])
def test_objectives_are_sums_over_pixels_and_means_over_the_batch(loss, output):
    torch.manual_seed(0)
    logits = torch.randn(4, 1, 6, 5, dtype=torch.float64)
    unit = torch.rand(4, 1, 6, 5, dtype=torch.float64)
    low, high = Recipe(loss=loss, output=output).pixel_range
    images = unit * (high - low) + low
    if loss == "bce":
        p = torch.sigmoid(logits)
        expected = -(images * p.log() + (1 - images) * (1 - p).log())
    else:
        expected = ((torch.sigmoid(logits) if output == "sigmoid" else torch.tanh(logits)) - images) ** 2
    found = objective(Recipe(loss=loss, output=output))(logits, images)
    assert torch.allclose(found, expected.sum((1, 2, 3)).mean())


def test_cross_entropy_survives_logits_that_would_overflow():
    loss = objective(Recipe())(torch.tensor([[[[1000.0, -1000.0]]]]), torch.tensor([[[[0.0, 1.0]]]]))
    assert loss.item() == 2000


def test_widths_and_latent_size_shape_the_networks():
    network = build(Recipe(widths=(20, 10, 7), latent_dim=5), (3, 4, 6))
    sizes = [tuple(module.weight.shape) for module in network.modules() if isinstance(module, torch.nn.Linear)]
    assert sizes == [(20, 72), (10, 20), (7, 10), (5, 7), (7, 5), (10, 7), (20, 10), (72, 20)]
    assert network(torch.zeros(2, 3, 4, 6)).shape == (2, 3, 4, 6)
    assert build(Recipe(widths=()), (1, 4, 4)).encode(torch.zeros(2, 1, 4, 4)).shape == (2, 32)


def test_the_same_recipe_gives_the_same_weights_and_another_seed_others(data, tmp_path):
    weights = []
    for i, recipe in enumerate([QUICK, QUICK, dataclasses.replace(QUICK, seed=1)]):
        torch.manual_seed(i)  # the caller's random state must not matter, nor be touched
        before = torch.random.get_rng_state()
        train(recipe, load(data), tmp_path / f"run{i}")
        assert torch.equal(torch.random.get_rng_state(), before)
        weights.append(checkpoint.read(tmp_path / f"run{i}" / "last.pt").weights)
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not all(torch.equal(weights[0][name], weights[2][name]) for name in weights[0])


def test_a_run_leaves_metrics_and_two_checkpoints(data, tmp_path):
    reported = []
    history = train(QUICK, load(data), tmp_path / "run", data=data, report=reported.append)
    assert reported == history
    assert sorted(file.name for file in (tmp_path / "run").iterdir()) == ["best.pt", "last.pt", "metrics.jsonl"]
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines == [dataclasses.asdict(epoch) for epoch in history]
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


def test_a_checkpoint_that_is_damaged_missing_or_something_else_is_named(data, tmp_path):
    train(QUICK, load(data), tmp_path / "run")
    content = (tmp_path / "run" / "last.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"cut\.pt: found another or a damaged file"):
        checkpoint.read(tmp_path / "cut.pt")
    flipped = bytearray(content)
    weights = checkpoint.read(tmp_path / "run" / "last.pt").weights["encoder.1.weight"].numpy().tobytes()
    flipped[content.index(weights) + 5] ^= 1
    (tmp_path / "flipped.pt").write_bytes(flipped)
    with pytest.raises(InputError, match=r"flipped\.pt: found another or a damaged file"):
        checkpoint.read(tmp_path / "flipped.pt")
    (tmp_path / "text.pt").write_text("these are no weights")
    with pytest.raises(InputError, match=r"text\.pt: found another or a damaged file"):
        checkpoint.read(tmp_path / "text.pt")
    torch.save({**torch.load(tmp_path / "run" / "last.pt"), "weights": {}}, tmp_path / "bare.pt")
    with pytest.raises(InputError, match=r"bare\.pt: weights: found others, expected those of its recipe"):
        checkpoint.read(tmp_path / "bare.pt").network()
    torch.save({"weights": {}}, tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"other\.pt: found another or a damaged file"):
        checkpoint.read(tmp_path / "other.pt")
    with pytest.raises(NotFoundError, match=r"no best\.pt, expected a training run"):
        checkpoint.read(tmp_path)
    with pytest.raises(NotFoundError, match="no such file or folder"):
        checkpoint.read(tmp_path / "nowhere")
    with pytest.raises(InputError, match="latent_dim"):
        torch.save({**torch.load(tmp_path / "run" / "last.pt"), "recipe": {"latent_dim": "x"}}, tmp_path / "knob.pt")
        checkpoint.read(tmp_path / "knob.pt")


def test_a_folder_that_is_taken_is_not_touched(data, tmp_path):
    with pytest.raises(OutputError, match="something there already"):
        train(QUICK, load(data), tmp_path)


def test_a_loss_that_is_no_number_ends_the_run_with_a_remedy(data, tmp_path):
    with pytest.raises(ExecutionError, match="validation loss: found nan, expected a number. Lower the learning rate"):
        train(dataclasses.replace(QUICK, loss="mse", learning_rate=1e30), load(data), tmp_path / "run")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "bce", "output": "tanh"}, "loss bce reads pixels as probabilities: found output tanh. Use loss mse"),
        ({"loss": "l1"}, "loss: found l1, expected one of bce, mse"),
        ({"latent_dim": 0}, "latent_dim: found 0, expected a number from 1"),
        ({"widths": [8, 0]}, "widths"),
        ({"epochs": 2.5}, "epochs: found 2.5, expected a whole number"),
        ({"learning_rate": -1}, "learning_rate: found -1.0, expected a positive number"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"warmup": 1}, "warmup"),
        ({"seed": -1}, "seed"),
        ({"seed": True}, "seed: found True"),
    ],
)
def test_an_unusable_recipe_names_the_knob(settings, message):
    with pytest.raises(InputError, match=message):
        from_json(Recipe, settings, "recipe")


def test_the_rate_rises_then_falls_to_nothing():
    rate = warm_cosine(0.1, 100)
    values = [rate(step) for step in range(101)]
    assert np.argmax(values) == 10
    assert values[10] == 1
    assert all(a < b for a, b in itertools.pairwise(values[:11]))
    assert all(a > b for a, b in itertools.pairwise(values[10:]))
    assert values[100] == pytest.approx(0)


def test_the_command_line_has_every_knob_and_tells_its_default():
    defaults = {f"--{field.name.replace('_', '-')}": field.default for field in dataclasses.fields(Recipe)}
    assert [flag for flag, _ in KNOBS] == list(defaults)
    for flag, settings in KNOBS:
        if flag != "--kind":
            default = defaults[flag]
            told = ",".join(map(str, default)) if isinstance(default, tuple) else str(default).removesuffix(".0")
            assert settings["help"].endswith(f"; {told}."), flag


def test_interrupting_keeps_the_last_whole_epoch(start, data, tmp_path):
    process = start("train", "--data", data, "--epochs", "100000", "-o", "run")
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not metrics.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)  # some epochs later, in the middle of one or between its files
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    epochs = [json.loads(line)["epoch"] for line in metrics.read_text().splitlines()]
    assert process.returncode == 130, errors
    assert f"keeps the run up to epoch {epochs[-1]}" in errors
    assert "Traceback" not in errors
    assert "aegen export run -o run-artifact" in output
    assert checkpoint.read(tmp_path / "run" / "last.pt").epoch == epochs[-1]
    assert not list((tmp_path / "run").glob(".*"))
