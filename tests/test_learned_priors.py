"""A learned prior is whatever graph the manifest names: its name and its file are free."""

import json
import shutil

import aegen
import numpy as np
import pytest
from aegen.runtime.artifact import SHIPPED
from aegen.runtime.closed_form import PRIORS, STATISTICS
from aegen.runtime.errors import InputError


@pytest.fixture
def changed(tmp_path):
    """A copy of a shipped artifact with another manifest: `changed(change)`."""

    def copy(change):
        folder = shutil.copytree(SHIPPED / "mnist-fast", tmp_path / "copy")
        manifest = json.loads((folder / "manifest.json").read_text())
        change(manifest, folder)
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    return copy


def rename(manifest, folder):
    """Call the learned prior `map` and its file `map.onnx`."""
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


def test_noise_without_a_fixed_size_is_refused(changed):
    def without_size(manifest, folder):
        manifest["graphs"]["prior.onnx"]["inputs"][0]["shape"] = ["batch", "k"]

    with pytest.raises(aegen.AegenError, match="noise"):
        aegen.load(changed(without_size)).sample(1)


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
