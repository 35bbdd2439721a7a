"""Weights are exported in every supported precision, with operators that all inference engines compute equally."""

import hashlib
import json
import shutil

import aegen
import numpy as np
import onnx
import pytest
import torch
from aegen.cli.export import command
from aegen.data.datasets import load
from aegen.export.artifact import export
from aegen.export.graphs import decoder, encoder, onnx_bytes
from aegen.export.half_precision import MIN_HALF_SIZE, SMALLEST_NORMAL, rounded, stored_as_halves
from aegen.export.options import PRECISIONS, ExportOptions
from aegen.export.pixel_shuffle import replace_depth_to_space
from aegen.recipes.learned_priors import FlowRecipe
from aegen.recipes.training import Recipe
from aegen.runtime.errors import ExecutionError, InputError
from aegen.runtime.session import open_session
from aegen.runtime.verification import INT8_TOLERANCE, agree
from aegen.train import checkpoint, priors
from aegen.train.autoencoder import train
from aegen.train.networks import build
from onnx import TensorProto, helper

CONVOLUTIONS = Recipe(network="conv", channels=32)


@pytest.mark.parametrize("recipe", [Recipe(widths=(64, 32)), CONVOLUTIONS])
def test_storing_weights_as_float16_changes_no_bit_of_the_result(recipe):
    torch.manual_seed(0)
    network = rounded(build(recipe, (1, 28, 28)).eval())
    single = onnx_bytes(decoder(network, recipe.latent_dim))
    halves = stored_as_halves(single)
    assert len(halves) < 0.6 * len(single)
    latents = np.random.default_rng(0).standard_normal((7, recipe.latent_dim), dtype=np.float32)
    results = [open_session(content, "graph").run(None, {"latent": latents})[0] for content in (single, halves)]
    assert np.array_equal(*results)
    with torch.inference_mode():
        assert np.allclose(results[0], network.decode(torch.from_numpy(latents)).numpy(), atol=1e-5)


def test_rounding_is_to_the_nearest_normal_float16_and_leaves_the_original():
    torch.manual_seed(0)
    network = build(Recipe(widths=(64, 32)), (1, 28, 28))
    with torch.no_grad():
        network.state_dict()["encoder.1.weight"][0, :4] = torch.tensor([3e-5, -6e-8, 6.1035e-5, -1e-9])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    after = rounded(network).state_dict()
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
        halves = value.half().float()
        expected = halves * (halves.abs() >= SMALLEST_NORMAL) if value.numel() >= MIN_HALF_SIZE else value
        assert torch.equal(after[name], expected)
    assert after["encoder.1.weight"][0, :4].tolist() == [0, 0, pytest.approx(2**-14), 0]
    assert torch.equal(after["encoder.1.bias"], before["encoder.1.bias"])


def test_unrounded_weights_stay_float32_and_too_large_ones_are_refused():
    torch.manual_seed(0)
    network = build(Recipe(widths=(64, 32)), (1, 28, 28)).eval()
    single = onnx_bytes(decoder(network, 32))
    assert stored_as_halves(single) == single
    with torch.no_grad():
        next(network.parameters()).fill_(1e6)
    with pytest.raises(ExecutionError, match=r"encoder\.1\.weight: found a weight above 65,504"):
        rounded(network)


def test_an_engine_without_shape_inference_finds_dtype_and_shape_of_every_float16_tensor():
    network = rounded(build(CONVOLUTIONS, (1, 28, 28)).eval())
    for graph in (encoder(network, (1, 28, 28)), decoder(network, CONVOLUTIONS.latent_dim)):
        model = onnx.load_from_string(stored_as_halves(onnx_bytes(graph))).graph
        described = {value.name: value.type.tensor_type for value in (*model.value_info, *model.output)}
        halves = {one.name: one for one in model.initializer if one.data_type == TensorProto.FLOAT16}
        assert len(halves) > 3
        for name, half in halves.items():
            assert described[name].elem_type == TensorProto.FLOAT16
            assert [axis.dim_value for axis in described[name].shape.dim] == list(half.dims)
        assert {name for node in model.node for name in node.output} <= set(described)


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_a_rewritten_pixel_shuffle_computes_the_same_bits(batch):
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 12, 5, 4])
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 10, 8])
    nodes = [
        helper.make_node("Relu", ["features"], ["before"]),
        helper.make_node("DepthToSpace", ["before"], ["shuffled"], blocksize=2, mode="CRD"),
        helper.make_node("Relu", ["shuffled"], ["image"]),
    ]
    graph = helper.make_graph(nodes, "graph", [features], [image])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    before = model.SerializeToString()
    replace_depth_to_space(model)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Relu", "Reshape", "Transpose", "Reshape", "Relu"]
    values = np.random.default_rng(0).standard_normal((batch, 12, 5, 4), dtype=np.float32)
    sessions = [open_session(content, "graph") for content in (before, model.SerializeToString())]
    results = [session.run(None, {"features": values})[0] for session in sessions]
    assert np.array_equal(*results)
    expected = torch.nn.PixelShuffle(2)(torch.relu(torch.from_numpy(values))).numpy()
    assert np.array_equal(results[0], expected)


def test_exported_convolutions_hold_no_operator_that_engines_compute_differently():
    network = build(CONVOLUTIONS, (3, 8, 12)).eval()
    graphs = (encoder(network, (3, 8, 12)), decoder(network, CONVOLUTIONS.latent_dim))
    nodes = [[node.op_type for node in onnx.load_from_string(onnx_bytes(graph)).graph.node] for graph in graphs]
    shuffle = ["Reshape", "Transpose", "Reshape"]
    layers = ["Conv", "Relu", "Conv", "Add", "Relu"]
    assert nodes[0] == [*shuffle, "Conv", "Relu", *layers, *shuffle, "Conv", "Relu", *layers, "Reshape", "Gemm"]
    assert nodes[1] == ["Gemm", "Reshape", *layers, "Conv", *shuffle, *layers, "Conv", *shuffle, "Sigmoid"]


def test_a_float16_artifact_is_half_the_size_and_as_good(tmp_path, bars):
    np.savez(tmp_path / "bars.npz", images=bars(200, (8, 8)))
    dataset = load(str(tmp_path / "bars.npz"))
    train(Recipe(widths=(128, 64), latent_dim=4, epochs=3), dataset, tmp_path / "run")
    trained = checkpoint.read(tmp_path / "run")
    with pytest.raises(InputError, match="precision: found 'fp8', expected one of fp32, fp16, int8"):
        export(trained, dataset, tmp_path / "none", options=ExportOptions(precision="fp8"))
    models = []
    for precision in ("fp32", "fp16"):
        options = ExportOptions(precision=precision, licence="CC0", components=2)
        export(trained, dataset, tmp_path / precision, options=options)
        models.append(aegen.load(tmp_path / precision))
    single, halves = (model.manifest for model in models)
    assert (single.precision, halves.precision) == ("fp32", "fp16")
    assert halves.files["decoder.onnx"].bytes < 0.65 * single.files["decoder.onnx"].bytes
    assert models[1].verify().passed
    assert np.abs(models[0].reconstruct(dataset.test.images) - models[1].reconstruct(dataset.test.images)).max() < 0.01


def test_a_model_card_ends_with_the_notes_of_the_export(tmp_path, bars):
    np.savez(tmp_path / "bars.npz", images=bars(60, (6, 5)))
    dataset = load(str(tmp_path / "bars.npz"))
    train(Recipe(widths=(4,), latent_dim=2, epochs=1), dataset, tmp_path / "run")
    trained = checkpoint.read(tmp_path / "run")
    (tmp_path / "notes.md").write_text("## What was tried\n\nGrößer: no better.\n", encoding="utf-8")
    options = ExportOptions(notes=tmp_path / "notes.md", licence="CC0", components=2)
    export(trained, dataset, tmp_path / "artifact", options=options)
    model = aegen.load(tmp_path / "artifact")
    assert (tmp_path / "artifact" / "README.md").read_text(encoding="utf-8").endswith(model.manifest.notes)
    assert "Größer" in model.manifest.notes
    assert "--notes notes.md" in model.manifest.commands[-1]
    (tmp_path / "notes.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"notes\.md: found no UTF-8 text"):
        export(trained, dataset, tmp_path / "none", options=options)


def test_the_command_line_offers_every_precision():
    (option,) = (one for one in command.params if one.name == "precision")
    assert tuple(option.type.choices) == PRECISIONS


@pytest.fixture(scope="module")
def exported(tmp_path_factory, bars):
    """Return a folder with two exports of one model, `fp32` and `int8`, and its test images (n, 8, 8)."""
    folder = tmp_path_factory.mktemp("exported")
    np.savez(folder / "bars.npz", images=bars(400, (8, 8)))
    dataset = load(str(folder / "bars.npz"))
    train(Recipe(widths=(128, 64), latent_dim=4, epochs=20), dataset, folder / "run")
    for precision in ("fp32", "int8"):
        options = ExportOptions(precision=precision, licence="CC0", components=2)
        export(checkpoint.read(folder / "run"), dataset, folder / precision, options=options)
    return folder, dataset.test.images


def test_in_8_bits_files_are_smaller_and_the_manifest_says_by_how_much_outputs_change(exported):
    folder, images = exported
    exact, coarse = aegen.load(folder / "fp32"), aegen.load(folder / "int8")
    assert coarse.manifest.precision == "int8"
    assert coarse.manifest.files["encoder.onnx"].bytes < 0.5 * exact.manifest.files["encoder.onnx"].bytes
    latents = exact.encode(images)
    changed = {
        "encoder.onnx": float(np.sqrt(np.mean((coarse.encode(images) - latents) ** 2))),
        "decoder.onnx": float(np.sqrt(np.mean((coarse.decode(latents) - exact.decode(latents)) ** 2))),
    }
    assert exact.manifest.quantisation_error == {}
    # The error in the manifest was measured on other images of the data set, so it is close to this one but not equal.
    assert coarse.manifest.quantisation_error == pytest.approx(changed, rel=0.3)
    assert 0 < changed["decoder.onnx"] < 0.05
    assert "held-out images: encoder" in (folder / "int8" / "README.md").read_text()
    assert "--precision int8" in coarse.manifest.commands[-1]


def test_the_manifest_lists_the_operators_of_every_graph(exported):
    folder, _ = exported
    for precision in ("fp32", "int8"):
        manifest = aegen.load(folder / precision).manifest
        for file, names in manifest.operators.items():
            model = onnx.load(folder / precision / file)
            assert names == tuple(sorted({node.op_type for node in model.graph.node}))
    assert {"QuantizeLinear", "DequantizeLinear"} <= set(manifest.operators["encoder.onnx"])


def test_in_8_bits_an_image_does_not_depend_on_its_batch(exported):
    model = aegen.load(exported[0] / "int8")
    latents = model.sample_latents(50, seed=0)
    assert np.array_equal(model.decode(latents)[::5], model.decode(latents[::5]))
    assert np.array_equal(model.decode(latents)[7], model.decode(latents[7]))


def test_golden_pairs_in_8_bits_are_replayed_and_can_fail(exported):
    model = aegen.load(exported[0] / "int8")
    assert model.verify().passed
    expected = np.linspace(0, 10, 64, dtype=np.float32)
    assert agree(expected + 0.1, expected, fraction=INT8_TOLERANCE)
    assert not agree(expected + 0.1, expected)
    assert not agree(expected + 0.3, expected, fraction=INT8_TOLERANCE)
    infinite = np.array([np.inf, 1], np.float32)
    assert agree(np.array([np.inf, 1 + 1e-6], np.float32), infinite)
    assert not agree(np.array([np.inf, 2], np.float32), infinite, fraction=INT8_TOLERANCE)


def test_a_wrong_golden_pair_in_8_bits_fails_and_names_onnxruntime(exported, tmp_path, cli):
    copy = shutil.copytree(exported[0] / "int8", tmp_path / "int8")
    golden = dict(np.load(copy / "golden.npz"))
    golden["decoder.image"][0] = 1 - golden["decoder.image"][0]
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
    with pytest.raises(InputError, match="precision int8: found network conv, expected network mlp"):
        export(checkpoint.read(tmp_path / "run"), dataset, tmp_path / "none", options=ExportOptions(precision="int8"))


@pytest.mark.parametrize("evaluations", [1, 8])
def test_a_learned_prior_is_exported_with_any_number_of_evaluations(tmp_path, bars, evaluations):
    images = bars(120, (6, 5))
    np.savez(tmp_path / "bars.npz", images=images, labels=np.arange(120) % 2)
    dataset = load(str(tmp_path / "bars.npz"))
    train(Recipe(kind="vae", beta=0.1, widths=(8,), latent_dim=3, epochs=2), dataset, tmp_path / "run")
    trained = checkpoint.read(tmp_path / "run")
    learned = priors.train_prior(trained, dataset, FlowRecipe(width=8, blocks=1, steps=20))
    options = ExportOptions(evaluations=evaluations, prior="flow", licence="CC0", components=1, precision="fp16")
    manifest = export(trained, dataset, tmp_path / "artifact", learned=learned, options=options)
    assert manifest.learned_priors["flow"].evaluations == evaluations
    model = aegen.load(tmp_path / "artifact")
    assert model.verify().passed
    assert model.sample(5, seed=0, prior="flow", label=1).shape == (5, 6, 5)
    nodes = onnx.load(tmp_path / "artifact" / manifest.learned_priors["flow"].graph).graph.node
    assert sum(node.op_type == "LayerNormalization" for node in nodes) == evaluations
