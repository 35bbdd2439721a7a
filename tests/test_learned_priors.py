"""A learned prior may have any name and any file name, because the manifest states both."""

import json
import shutil

import aegen
import numpy as np
import pytest
from aegen.runtime.artifact import SHIPPED
from aegen.runtime.closed_form import PRIORS, STATISTICS
from aegen.runtime.errors import ArtifactError, InputError


@pytest.fixture
def changed(tmp_path):
    """`changed(change)` copies a shipped model, has `change(manifest, folder)` edit it, and returns its folder."""

    def copy(change):
        folder = shutil.copytree(SHIPPED / "mnist-fast", tmp_path / "copy")
        manifest = json.loads((folder / "manifest.json").read_text())
        change(manifest, folder)
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    return copy


def rename(manifest, folder):
    """Rename the learned prior `flow` to `map`, and its file to `map.onnx`."""
    (folder / "prior.onnx").rename(folder / "map.onnx")
    for key in ("files", "graphs", "operators", "macs"):
        if "prior.onnx" in manifest[key]:
            manifest[key]["map.onnx"] = manifest[key].pop("prior.onnx")
    manifest["priors"] = ["map" if name == "flow" else name for name in manifest["priors"]]
    manifest["learned_priors"] = {"map": {**manifest["learned_priors"]["flow"], "graph": "map.onnx"}}
    manifest["default_prior"] = "map"
    manifest["log_likelihood"] = {"map" if k == "flow" else k: v for k, v in manifest["log_likelihood"].items()}
    manifest["parity"]["largest_difference"] = {
        "map.onnx" if k == "prior.onnx" else k: v for k, v in manifest["parity"]["largest_difference"].items()
    }


def test_a_learned_prior_may_have_any_name_and_file(changed):
    model, original = aegen.load(changed(rename)), aegen.load("mnist-fast")
    assert "map" in model.priors
    for label in (None, 3, [1, 2, 3, 4]):
        latents = model.sample_latents(4, seed=1, label=label)
        assert np.array_equal(latents, original.sample_latents(4, seed=1, label=label))
    assert np.array_equal(model.latent_walk(2, steps=3, seed=1), original.latent_walk(2, steps=3, seed=1))
    with pytest.raises(InputError, match="prior 'map', a graph without a density, expected a closed-form prior"):
        model.log_prob(latents, prior="map")


def test_a_latent_walk_takes_the_learned_prior_where_a_closed_form_one_is_the_default(changed):
    model = aegen.load(changed(lambda manifest, folder: manifest.update(default_prior="gmm")))
    expected = aegen.load("mnist-fast").latent_walk(1, steps=3, seed=1)
    assert np.array_equal(model.latent_walk(1, steps=3, seed=1), expected)


@pytest.mark.parametrize("shape", [["batch", "k"], ["batch", "1"], ["batch", 0], ["batch", 2**31 - 1], []])
def test_noise_without_a_usable_fixed_size_is_refused_on_opening(changed, shape):
    def with_shape(manifest, folder):
        manifest["graphs"]["prior.onnx"]["inputs"][0]["shape"] = shape

    with pytest.raises(ArtifactError, match="a number k from 1 to 65,536"):
        aegen.load(changed(with_shape))


def test_verify_refuses_operators_that_the_manifest_does_not_name(changed):
    def without_one(manifest, folder):
        manifest["operators"]["prior.onnx"].remove("MatMul")

    with pytest.raises(ArtifactError, match=r"prior\.onnx: operators: found .*MatMul"):
        aegen.load(changed(without_one)).verify()


@pytest.mark.parametrize("file", ["encoder.onnx", "decoder.onnx"])
def test_a_learned_prior_cannot_replace_encoder_or_decoder(changed, file):
    def with_graph(manifest, folder):
        manifest["learned_priors"]["flow"]["graph"] = file
        manifest["graphs"][file] = manifest["graphs"]["prior.onnx"]

    with pytest.raises(ArtifactError, match=f"graphs: {file}"):
        aegen.load(changed(with_graph))


def test_every_array_of_the_statistics_belongs_to_one_description():
    names = [statistic.name for statistic in STATISTICS]
    assert len(set(names)) == len(names)
    for prior in PRIORS.values():
        assert set(prior.arrays) <= set(STATISTICS)
        assert {statistic.name for statistic in prior.arrays} & {"labels", "class_fractions"} == set()


def test_shipped_statistics_hold_only_described_arrays():
    described = {statistic.name for statistic in STATISTICS}
    for folder in SHIPPED.glob("mnist*"):
        assert set(np.load(folder / "latents.npz").files) <= described
