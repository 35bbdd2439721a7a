"""A model whose manifest holds impossible values is refused with an ArtifactError of one short line."""

import json
from pathlib import Path

import aegen
import pytest
from aegen.runtime.errors import ArtifactError, InputError
from aegen.runtime.manifest import Manifest
from aegen.runtime.records import from_json


@pytest.fixture
def tiny():
    return Path(__file__).parent / "tiny" / "grey"


def first(manifest):
    return manifest["latents"][0]


IMPOSSIBLE = [
    lambda m: first(m).update(dtype="float99"),
    lambda m: first(m).update(dtype="object"),
    lambda m: first(m).update(shape=[1] * 65),
    lambda m: first(m).update(shape=[2**40, 2**40]),
    lambda m: first(m).update(shape=[-1]),
    lambda m: m.update(latent_dim=10**400),
    lambda m: m.update(default_temperature=10**400),
    lambda m: m.update(seed=-(10**400)),
    lambda m: m.update(recipe={"loss": 10**400}),
    lambda m: m["quality"].update(reconstruction_mse=float("nan")),
    lambda m: m["image"].update(range=[float("-inf"), float("inf")]),
    lambda m: m["image"].update(range=[0, float("nan")]),
    lambda m: m["image"].update(range=[-1e300, 1e300]),
    lambda m: m["image"].update(range=[0, 1e-320]),
    lambda m: first(m).update(shape=["y" * 100_000]),
    lambda m: m["image"].update(shape=[1, 2**20, 2**20]),
    lambda m: m["log_likelihood"].pop("gmm"),
    lambda m: m["log_likelihood"].update(other=1.0),
    lambda m: m["parity"].update(largest_difference={}),
    lambda m: m["files"].update({"a" * 300: {"sha256": "0", "bytes": 1}}),
    lambda m: m["files"].update({"con\u0000": {"sha256": "0", "bytes": 1}}),
    lambda m: m["files"].update({"..": {"sha256": "0", "bytes": 1}}),
    lambda m: m["files"].update({"latents.npz": {"sha256": "0", "bytes": -1}}),
    lambda m: m["files"].pop("decoder.onnx"),
    lambda m: m.update(name="half \ud800 a pair"),
    lambda m: m.update(recipe={"note \udfff": 1}),
    lambda m: m.update(labels=[1, 1]),
    lambda m: m.update(class_names=["cat"]),
    lambda m: m.update(priors=["gmm", "gmm"]),
    lambda m: m["graphs"]["decoder.onnx"]["outputs"][0].update(name="pixels"),
    lambda m: m["graphs"]["decoder.onnx"]["outputs"][0].update(dtype="float64"),
    lambda m: m.update(kind="x" * 100_000, latent_dim="y" * 100_000),
    lambda m: m["operators"].update({"decoder.onnx": ["x" * 100_000]}),
    lambda m: m["learned_priors"].update({"x" * 100_000: {"graph": "y" * 100_000, "evaluations": 1}}),
]


@pytest.mark.parametrize("change", IMPOSSIBLE, ids=range(len(IMPOSSIBLE)))
def test_an_impossible_manifest_is_refused_in_one_short_line(alter, change):
    with pytest.raises(ArtifactError, match=r"manifest\.json") as caught:
        aegen.load(alter(change=change))
    assert len(str(caught.value)) < 800
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_values_nested_too_deep_are_refused(copy, opening):
    (copy / "manifest.json").write_text(opening * 100_000)
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        aegen.load(copy)


def test_values_nested_deep_within_a_recipe_are_refused(tiny):
    deep: dict = {}
    for _ in range(10_000):  # nested too deep for Python 3.11; later versions can read it
        deep = {"a": deep}
    decoded = {**json.loads((tiny / "manifest.json").read_text()), "recipe": deep}
    with pytest.raises(InputError, match="nested too deep"):
        from_json(Manifest, decoded, "manifest.json")


@pytest.mark.parametrize("key", ["recipe", "quality", "parity", "data", "commands", "versions", "log_likelihood"])
def test_info_of_a_manifest_without_a_key_is_one_line(alter, cli, key):
    done = cli("info", alter(change=lambda m: m.pop(key)))
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert key in done.stderr


def test_a_text_that_no_terminal_can_show_gives_no_traceback(alter, cli_process):
    folder = alter(change=lambda m: m.update(notes="snowman \u2603", kind="ae"))
    done = cli_process("info", folder, "--json", env={"PYTHONIOENCODING": "ascii"})
    assert json.loads(done.stdout)["manifest"]["notes"]


def test_a_model_name_of_300_letters_is_not_found():
    for name in ("a" * 300, "a" * 5000, "a\0b", "half \ud800"):
        with pytest.raises(aegen.AegenError):
            aegen.load(name)


def test_a_model_is_opened_where_no_model_ships_with_the_package(tmp_path, copy, monkeypatch):
    from aegen.runtime import artifact

    for missing in (tmp_path / "nowhere", copy / "manifest.json"):
        monkeypatch.setattr(artifact, "SHIPPED", missing)
        assert len(aegen.load(str(copy)).sample(2)) == 2
        assert artifact.shipped() == ()
        with pytest.raises(aegen.AegenError, match="no model ships"):
            aegen.load("mnist")


def test_a_tilde_is_the_home_folder(copy, monkeypatch):
    monkeypatch.setenv("HOME", str(copy.parent))
    assert aegen.load("~/copy").name == aegen.load(copy).name
