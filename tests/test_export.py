"""What an export is told of weights and notes: halves compute what they computed before, and a card ends as asked."""

import hashlib
import json
import shutil

import aegen
import numpy as np
import pytest
import torch
from aegen.cli.export import command
from aegen.data.datasets import load
from aegen.export.bundle import WEIGHTS, export
from aegen.export.graphs import decoder_graph
from aegen.export.half_precision import SMALLEST, rounded, stored_as_halves
from aegen.recipes.training import Recipe
from aegen.runtime.errors import ExecutionError, InputError
from aegen.runtime.session import open_session
from aegen.runtime.verification import STEPS, agree
from aegen.train import checkpoint
from aegen.train.loop import train
from aegen.train.networks import build


@pytest.mark.parametrize("recipe", [Recipe(widths=(64, 32)), Recipe(network="conv", channels=32)])
def test_storing_halves_changes_no_bit_of_the_result(recipe):
    torch.manual_seed(0)
    network = rounded(build(recipe, (1, 28, 28)).eval())
    whole = decoder_graph(network, recipe.latent_dim)
    halves = stored_as_halves(whole)
    assert len(halves) < 0.6 * len(whole)
    latents = np.random.default_rng(0).standard_normal((7, recipe.latent_dim), dtype=np.float32)
    results = [open_session(model, "graph").run(None, {"latent": latents})[0] for model in (whole, halves)]
    assert np.array_equal(*results)
    with torch.inference_mode():
        assert np.allclose(results[0], network.decode(torch.from_numpy(latents)).numpy(), atol=1e-5)


def test_rounding_is_to_the_nearest_half_and_leaves_the_original():
    torch.manual_seed(0)
    network = build(Recipe(widths=(64, 32)), (1, 28, 28))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    after = rounded(network).state_dict()
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
        expected = value.half().float() if value.numel() >= SMALLEST else value
        assert torch.equal(after[name], expected)
    assert torch.equal(after["encoder.1.bias"], before["encoder.1.bias"])


def test_weights_that_no_half_holds_stay_as_they_are():
    torch.manual_seed(0)
    network = build(Recipe(widths=(64, 32)), (1, 28, 28)).eval()
    whole = decoder_graph(network, 32)
    assert stored_as_halves(whole) == whole
    with torch.no_grad():
        next(network.parameters()).fill_(1e6)
    with pytest.raises(ExecutionError, match=r"encoder\.1\.weight: found a weight above 65,504"):
        rounded(network)


def test_an_artifact_of_halves_is_half_the_size_and_as_good(tmp_path, bars):
    np.savez(tmp_path / "bars.npz", images=bars(200, (8, 8)))
    dataset = load(str(tmp_path / "bars.npz"))
    train(Recipe(widths=(128, 64), latent_dim=4, epochs=3), dataset, tmp_path / "run")
    trained = checkpoint.read(tmp_path / "run")
    with pytest.raises(InputError, match="weights: found 'fp8', expected one of fp32, fp16, int8"):
        export(trained, dataset, tmp_path / "none", precision="fp8", licence="CC0", components=2)
    models = []
    for weights in ("fp32", "fp16"):
        export(trained, dataset, tmp_path / weights, precision=weights, licence="CC0", components=2)
        models.append(aegen.load(tmp_path / weights))
    whole, halves = (model.manifest for model in models)
    assert (whole.precision, halves.precision) == ("fp32", "fp16")
    assert halves.files["decoder.onnx"].bytes < 0.65 * whole.files["decoder.onnx"].bytes
    assert models[1].verify().passed
    assert np.abs(models[0].reconstruct(dataset.test.images) - models[1].reconstruct(dataset.test.images)).max() < 0.01


def test_a_card_ends_with_the_notes_that_it_is_given(tmp_path, bars):
    np.savez(tmp_path / "bars.npz", images=bars(60, (6, 5)))
    dataset = load(str(tmp_path / "bars.npz"))
    train(Recipe(widths=(4,), latent_dim=2, epochs=1), dataset, tmp_path / "run")
    trained = checkpoint.read(tmp_path / "run")
    (tmp_path / "notes.md").write_text("## What was tried\n\nGrößer: no better.\n", encoding="utf-8")
    export(trained, dataset, tmp_path / "made", notes=tmp_path / "notes.md", licence="CC0", components=2)
    model = aegen.load(tmp_path / "made")
    assert model.manifest.notes in (tmp_path / "made" / "README.md").read_text(encoding="utf-8")
    assert "Größer" in model.manifest.notes
    assert "--notes notes.md" in model.manifest.commands[-1]
    (tmp_path / "notes.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"notes\.md: found no UTF-8 text"):
        export(trained, dataset, tmp_path / "none", notes=tmp_path / "notes.md", licence="CC0", components=2)


def test_the_command_line_offers_every_way_to_store_weights():
    (option,) = (one for one in command.params if one.name == "precision")
    assert tuple(option.type.choices) == WEIGHTS


@pytest.fixture(scope="module")
def whole(tmp_path_factory, bars):
    """A model in 8 bits, the same in single precision, and its data."""
    folder = tmp_path_factory.mktemp("whole")
    np.savez(folder / "bars.npz", images=bars(400, (8, 8)))
    dataset = load(str(folder / "bars.npz"))
    train(Recipe(widths=(128, 64), latent_dim=4, epochs=20), dataset, folder / "run")
    for weights in ("fp32", "int8"):
        trained = checkpoint.read(folder / "run")
        export(trained, dataset, folder / weights, precision=weights, licence="CC0", components=2)
    return folder, dataset.test.images


def test_in_8_bits_files_are_smaller_and_the_manifest_says_what_that_changes(whole):
    folder, images = whole
    exact, coarse = aegen.load(folder / "fp32"), aegen.load(folder / "int8")
    assert coarse.manifest.precision == "int8"
    assert coarse.manifest.files["encoder.onnx"].bytes < 0.5 * exact.manifest.files["encoder.onnx"].bytes
    latents = exact.encode(images)
    changed = {
        "encoder.onnx": float(np.sqrt(np.mean((coarse.encode(images) - latents) ** 2))),
        "decoder.onnx": float(np.sqrt(np.mean((coarse.decode(latents) - exact.decode(latents)) ** 2))),
    }
    assert exact.manifest.quantisation_error == {}
    assert coarse.manifest.quantisation_error == pytest.approx(changed, rel=0.3)  # of other images, but alike
    assert 0 < changed["decoder.onnx"] < 0.05
    assert "held-out images: encoder" in (folder / "int8" / "README.md").read_text()
    assert "--precision int8" in coarse.manifest.commands[-1]


def test_in_8_bits_a_image_does_not_depend_on_its_batch(whole):
    model = aegen.load(whole[0] / "int8")
    latents = model.draw(50, seed=0)
    assert np.array_equal(model.decode(latents)[::5], model.decode(latents[::5]))
    assert np.array_equal(model.decode(latents)[7], model.decode(latents[7]))


def test_golden_pairs_in_8_bits_are_replayed_and_can_fail(whole, tmp_path):
    model = aegen.load(whole[0] / "int8")
    assert model.verify().passed
    expected = np.linspace(0, 10, 64, dtype=np.float32)
    assert agree(expected + 0.1, expected, steps=STEPS)
    assert not agree(expected + 0.1, expected)
    assert not agree(expected + 0.3, expected, steps=STEPS)
    endless = np.array([np.inf, 1], np.float32)
    assert agree(np.array([np.inf, 1 + 1e-6], np.float32), endless)
    assert not agree(np.array([np.inf, 2], np.float32), endless, steps=STEPS)


def test_a_wrong_golden_pair_in_8_bits_is_seen_and_laid_to_onnxruntime(whole, tmp_path, cli):
    copy = shutil.copytree(whole[0] / "int8", tmp_path / "int8")
    golden = dict(np.load(copy / "golden.npz"))
    golden["image"][0] = 1 - golden["image"][0]
    np.savez(copy / "golden.npz", **golden)
    manifest = json.loads((copy / "manifest.json").read_text())
    content = (copy / "golden.npz").read_bytes()
    manifest["files"]["golden.npz"] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    result = cli("verify", copy)
    assert result.returncode == 1
    assert "decoder.onnx: largest difference from onnxruntime" in result.stdout
    assert not aegen.load(copy).verify().passed


def test_convolutions_are_not_put_into_8_bits(tmp_path, bars):
    np.savez(tmp_path / "bars.npz", images=bars(60, (8, 8)))
    dataset = load(str(tmp_path / "bars.npz"))
    train(Recipe(network="conv", channels=4, latent_dim=2, epochs=1), dataset, tmp_path / "run")
    with pytest.raises(InputError, match="weights int8: found network conv, expected network mlp"):
        export(checkpoint.read(tmp_path / "run"), dataset, tmp_path / "none", precision="int8", licence="CC0")
