"""A damaged artifact (exported model) is refused before its content is used; an artifact holds data, but no code."""

import hashlib
import json
import re
import shutil

import aegen
import numpy as np
import onnx
import pytest
from aegen.runtime.artifact import SHIPPED, shipped
from aegen.runtime.errors import ArtifactError, InputError, NotFoundError

FILES = ("encoder.onnx", "decoder.onnx", "latents.npz", "golden.npz", "README.md", "preview.png")


def edit_manifest(folder, change):
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())
    change(manifest)
    file.write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", FILES)
def test_one_changed_bit_in_any_file_is_refused_at_load(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"{re.escape(name)} is damaged: found sha256 .*expected sha256"):
        aegen.load(copy)


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short_or_missing_is_refused_at_load(copy, name):
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[:-1])
    with pytest.raises(ArtifactError, match=rf"{len(content) - 1} bytes, expected {len(content)} bytes"):
        aegen.load(copy)
    (copy / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name} is missing"):
        aegen.load(copy)


def test_a_loaded_model_works_after_its_files_are_removed(copy):
    model = aegen.load(copy)
    shutil.rmtree(copy)
    assert len(model.sample(3)) == 3
    assert model.verify().passed


def test_a_folder_that_is_no_artifact_is_refused(tmp_path):
    with pytest.raises(NotFoundError, match=r"no manifest\.json"):
        aegen.load(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such name or folder"):
        aegen.load(tmp_path / "nowhere")


def learned(graph="decoder.onnx", evaluations=1):
    return {"graph": graph, "evaluations": evaluations}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(format=3), "artifact format 3, expected format 2. A newer aegen wrote it"),
        (lambda m: m.update(format=1), "artifact format 1, expected format 2. Export it again"),
        (lambda m: m.update(format=True), "format: found True, expected a whole number"),
        (lambda m: m.pop("latent_dim"), "latent_dim: found nothing, expected a whole number"),
        (lambda m: m.update(latent_dim="3"), "latent_dim: found '3', expected a whole number"),
        (lambda m: m.update(latent_dim=True), "latent_dim: found True"),
        (lambda m: m.update(default_prior="vamp"), "default_prior: found vamp"),
        (lambda m: m.update(default_temperature=-1), "default_temperature"),
        (lambda m: m["image"].update(shape=[2, 6, 5]), "1 or 3 channels"),
        (lambda m: m.update(latent_dim=5), "graphs: encoder.onnx: found"),
        (lambda m: (m["graphs"].pop("decoder.onnx"), m["operators"].pop("decoder.onnx")), "graphs: decoder.onnx"),
        (lambda m: m["operators"].pop("decoder.onnx"), "operators: found ['encoder.onnx']"),
        (lambda m: m["operators"].update({"decoder.onnx": ["Gemm", "Add"]}), "expected sorted names, each once"),
        (
            lambda m: m["operators"].update({"decoder.onnx": ["Loop"]}),
            "found Loop, expected operators that",
        ),
        (lambda m: m["learned_priors"].update(flow=learned()), "found a prior that is not listed"),
        (lambda m: m["learned_priors"].update(kde=learned(graph="none.onnx")), "found graph none.onnx"),
        (lambda m: m["learned_priors"].update(kde=learned(evaluations=0)), "found 0 evaluations, expected at least 1"),
        (lambda m: m["learned_priors"].update(kde=learned()), "graphs: decoder.onnx: found latent"),
        (lambda m: m["image"].update(shape=[1, 6]), "image: shape: found 2 values, expected 3"),
        (lambda m: m["files"].update({"../x": {"sha256": "0", "bytes": 1}}), "plain names"),
        (lambda m: m["files"].update({"encoder.onnx": []}), "encoder.onnx"),
    ],
)
def test_an_inconsistent_manifest_is_refused(copy, change, message):
    edit_manifest(copy, change)
    with pytest.raises(ArtifactError, match=re.escape(message)):
        aegen.load(copy)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"1" * 5_000_000])
def test_a_manifest_that_is_no_json_is_refused(copy, content):
    (copy / "manifest.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        aegen.load(copy)


def test_statistics_of_another_shape_are_refused(copy):
    np.savez(copy / "latents.npz", mean=np.zeros(2, np.float32))
    content = (copy / "latents.npz").read_bytes()
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    edit_manifest(copy, lambda m: m["files"].update({"latents.npz": entry}))
    with pytest.raises(ArtifactError, match=r"latents\.npz: mean: found float32 \(2,\), expected float32"):
        aegen.load(copy).sample(1, prior="standard")


def test_a_prior_that_cannot_be_sampled_fails_the_verification(copy):
    def add(manifest):
        manifest["priors"].append("vamp")
        manifest["log_likelihood"]["vamp"] = 0.0

    edit_manifest(copy, add)
    with pytest.raises(ArtifactError, match="prior 'vamp': found one that this version does not know"):
        aegen.load(copy).verify()


def test_golden_pairs_that_do_not_fit_are_refused(copy):
    edit_manifest(copy, lambda m: m.update(golden_pairs=3))
    with pytest.raises(ArtifactError, match=r"golden\.npz: images: found uint8 \(20, .*expected uint8 \(3, "):
        aegen.load(copy).verify()


def test_a_file_that_is_no_graph_is_one_clear_error(copy):
    (copy / "decoder.onnx").write_bytes(b"not a graph")
    entry = {"sha256": hashlib.sha256(b"not a graph").hexdigest(), "bytes": 11}
    edit_manifest(copy, lambda m: m["files"].update({"decoder.onnx": entry}))
    with pytest.raises(aegen.AegenError, match=r"decoder\.onnx: protobuf: found "):
        aegen.load(copy).sample(1)


def test_an_unknown_prior_is_refused_and_the_known_ones_are_listed(model):
    with pytest.raises(
        InputError, match=r"prior: found 'vamp', expected one of standard, diagonal, gaussian, gmm, kde"
    ):
        model.sample(1, prior="vamp")


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_artifact_is_whole_small_and_made_by_recorded_commands(name):
    model = aegen.load(name)
    manifest = model.manifest
    assert model.verify().passed
    assert manifest.name == name
    assert {file.name for file in (SHIPPED / name).iterdir()} == {*manifest.files, "manifest.json"}
    assert manifest.total_bytes < 6_000_000
    assert manifest.data.name == "mnist"
    assert manifest.data.licence == "CC BY-SA 3.0"
    assert manifest.data.training_images == 50_000
    assert manifest.commands[0].startswith("aegen train --data mnist ")
    assert manifest.commands[-1].startswith("aegen export ")
    assert set(manifest.macs) == set(manifest.graphs)
    assert manifest.labels == tuple(range(10))
    for prior in manifest.priors:
        assert len(model.sample_latents(2, prior=prior, label=None if prior == "standard" else 7)) == 2
    assert manifest.seed == manifest.recipe["seed"]
    assert all(difference < 1e-4 for difference in manifest.parity.largest_difference.values())


def test_every_kind_of_autoencoder_ships():
    kinds = {name: aegen.load(name).manifest.kind for name in shipped()}
    assert {"mnist": "vae", "mnist-ae": "ae", "mnist-dae": "dae", "mnist-vae": "vae"}.items() <= kinds.items()
    assert sum(file.stat().st_size for file in SHIPPED.rglob("*")) < 25_000_000


@pytest.mark.parametrize("file", sorted(SHIPPED.rglob("*.onnx")), ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_graphs_are_self_contained_portable_and_hold_no_trace_of_the_machine(file):
    graph = onnx.load(file, load_external_data=False)
    onnx.checker.check_model(graph, full_check=True)
    assert graph.ir_version <= 8
    assert [(entry.domain, entry.version) for entry in graph.opset_import] == [("", 18)]
    assert all(one.data_location == onnx.TensorProto.DEFAULT for one in graph.graph.initializer)
    tensors = (*graph.graph.input, *graph.graph.output)
    assert all(tensor.type.tensor_type.shape.dim[0].dim_param == "batch" for tensor in tensors)
    assert not graph.metadata_props
    assert not any(node.metadata_props or node.doc_string for node in graph.graph.node)
    content = file.read_bytes()
    assert not re.search(rb"\.py\b|/(home|usr|root)/|site-packages|Traceback", content)


@pytest.mark.parametrize("file", sorted(SHIPPED.rglob("*.npz")), ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_arrays_hold_no_pickle(file):
    with np.load(file, allow_pickle=False) as arrays:
        assert all(array.dtype.kind in "fui" for array in arrays.values())
