"""The page about the artifact format and its JSON Schema agree with the library; a reader can be written from them."""

import json
import re
import runpy
import types
from typing import Any, get_args, get_origin, get_type_hints

import aegen
import jsonschema
import numpy as np
import pytest
from aegen.recipes.training import KINDS
from aegen.runtime import manifest as limits
from aegen.runtime import metadata
from aegen.runtime.artifact import GOLDEN, SHIPPED, shipped
from aegen.runtime.closed_form import STATISTICS
from aegen.runtime.manifest import FP16, FP32, INT8, Manifest
from aegen.runtime.records import defaults_of, names_of
from pages import ROOT

DOCS = ROOT / "docs"
SCHEMA = json.loads((DOCS / "manifest.schema.json").read_text())
TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
TINY = ROOT / "tests" / "tiny"
MANIFESTS = [SHIPPED / name / "manifest.json" for name in shipped()]
MANIFESTS += [TINY / name / "manifest.json" for name in ("grey", "colour")]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.parent.name)
def test_the_schema_accepts_every_manifest(path):
    jsonschema.validate(json.loads(path.read_text()), SCHEMA, jsonschema.Draft202012Validator)


def test_the_schema_has_every_field_of_the_manifest_with_its_type_and_default():
    assert described(Manifest) == {**definition("Manifest", SCHEMA)}
    for name, entry in SCHEMA["$defs"].items():
        assert described(getattr(limits, name, None) or getattr(metadata, name)) == definition(name, entry)


def described(kind: type) -> dict[str, Any]:
    """The JSON type (see `json_type`) and the default of each field of a record, by field name."""
    hints, defaults = get_type_hints(kind), defaults_of(kind)
    return {name: (json_type(hints[name]), defaults.get(name, "required")) for name in names_of(kind)}


def json_type(kind: Any) -> Any:
    """The JSON type of a type annotation: the name of a type or dataclass, or a list, dict or set with such names."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple:
        return [json_type(arguments[0]), 0 if arguments[-1] is Ellipsis else len(arguments)]
    if origin is dict:
        return "object" if arguments[1] is Any else {"values": json_type(arguments[1])}
    if origin is types.UnionType:
        return {TYPES[one] for one in arguments}
    return TYPES.get(kind) or kind.__name__


def definition(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The properties of an object's schema, in the form of `described`."""
    required = {*schema["required"]}
    assert required <= {*schema["properties"]}, name
    return {
        key: (schema_type(entry), "required" if key in required else entry["default"])
        for key, entry in schema["properties"].items()
    }


def schema_type(entry: dict[str, Any]) -> Any:
    """The type that a schema describes, in the form of `json_type`."""
    if "$ref" in entry:
        return entry["$ref"].rpartition("/")[2]
    if isinstance(entry["type"], list):
        return {*entry["type"]}
    if entry["type"] == "array":
        item = entry["items"] if "items" in entry else entry["prefixItems"][0]
        return [schema_type(item), len(entry.get("prefixItems", ()))]
    if entry["type"] == "object" and "additionalProperties" in entry:
        return {"values": schema_type(entry["additionalProperties"])}
    return entry["type"]


def test_the_schema_has_the_limits_of_the_library():
    keys, definitions = SCHEMA["properties"], SCHEMA["$defs"]
    assert keys["format"]["const"] == Manifest.FORMAT
    assert tuple(keys["kind"]["enum"]) == KINDS
    assert keys["precision"]["enum"] == [FP32, FP16, INT8]
    assert keys["latent_dim"]["maximum"] == limits.MAX_LATENT_DIM
    assert keys["default_temperature"]["maximum"] == limits.MAX_TEMPERATURE
    assert keys["labels"]["maxItems"] == limits.MAX_LABELS
    assert keys["class_names"]["items"]["maxLength"] == limits.MAX_NAME_LENGTH
    assert keys["files"]["propertyNames"]["maxLength"] == limits.MAX_NAME_LENGTH
    assert tuple(definitions["Tensor"]["properties"]["dtype"]["enum"]) == limits.DTYPES
    assert definitions["Tensor"]["properties"]["shape"]["maxItems"] == limits.MAX_ARRAY_AXES
    assert definitions["FileSpec"]["properties"]["bytes"]["maximum"] == metadata.MAX_FILE_BYTES
    assert definitions["FileSpec"]["properties"]["sha256"]["pattern"] == f"^{metadata.SHA256.pattern}$"
    for pixel in definitions["ImageSpec"]["properties"]["range"]["prefixItems"]:
        assert pixel["maximum"] == -pixel["minimum"] == metadata.MAX_PIXEL_VALUE


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", 3),
        ("kind", "gan"),
        ("latent_dim", 0),
        ("image", {"shape": [2, 28, 28], "range": [0, 1]}),
        ("image", {"shape": [1, 28], "range": [0, 1]}),
        ("graphs", {}),
        ("priors", []),
        ("priors", ["gmm", "gmm"]),
        ("default_temperature", -1),
        ("labels", ["0"]),
        ("golden_pairs", 0),
        ("precision", "fp64"),
        ("files", {"../decoder.onnx": {"sha256": "0" * 64, "bytes": 1}}),
        ("files", {"decoder.onnx": {"sha256": "0", "bytes": 1}}),
        ("sigma", 0),
    ],
)
def test_the_schema_and_the_library_refuse_the_same_values(key, value):
    changed = {**json.loads(MANIFESTS[0].read_text()), key: value}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(changed, SCHEMA, jsonschema.Draft202012Validator)
    if key not in ("kind", "graphs", "precision"):  # these keys are not checked when the manifest is read
        with pytest.raises(aegen.AegenError):
            Manifest.parse(json.dumps(changed).encode(), "manifest.json")


def table(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its header. Backticks are removed."""
    text = (DOCS / page).read_text().partition(f"\n{heading}\n")[2]
    rows = re.search(r"^\|.*\n\|[ -:|]*\n((?:\|.*\n)+)", text, re.MULTILINE)[1].splitlines()
    return [[cell.strip().replace("`", "") for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def test_the_format_page_lists_every_array_of_statistics():
    expected = [(one.name, " or ".join(one.dtypes), f"({', '.join(one.axes)})") for one in STATISTICS]
    listed = [tuple(row[:3]) for row in table("artifact-format.md", "## latents.npz")]
    assert sorted(listed) == sorted(expected)


def test_the_format_page_lists_every_array_of_golden_pairs():
    listed = {row[0]: row[1] for row in table("artifact-format.md", "## golden.npz")}
    arrays = {
        name: array.dtype.name for model in shipped() for name, array in np.load(SHIPPED / model / GOLDEN).items()
    }
    assert listed == arrays


@pytest.mark.parametrize("name", ["mnist", "mnist-ae"])
@pytest.mark.parametrize("class_index", [None, 3])
def test_the_reader_that_was_written_from_the_format_page_gives_what_aegen_gives(name, class_index):
    minimal = runpy.run_path(str(DOCS / "minimal_reader.py"))["Reader"](SHIPPED / name)
    model = aegen.load(name)
    for prior in model.priors:
        if prior == "standard" and class_index is not None:
            continue
        settings = {"seed": 7, "prior": prior, "label": class_index, "temperature": 0.9}
        latents, expected = minimal.latents(prior, 7, 4, class_index, 0.9), model.sample_latents(4, **settings)
        assert np.allclose(latents, expected, rtol=0, atol=1e-5)
        assert np.allclose(minimal.decode(latents), model.decode(expected), rtol=0, atol=1e-5)
    images = model.sample(3, seed=0, dtype="uint8")
    assert np.allclose(minimal.encode(images), model.encode(images), rtol=0, atol=1e-4)


def test_the_reader_that_was_written_from_the_format_page_reads_colour_images():
    minimal = runpy.run_path(str(DOCS / "minimal_reader.py"))["Reader"](TINY / "colour")
    model = aegen.load(TINY / "colour")
    images = np.random.default_rng(0).integers(0, 256, (3, *model.image_shape), np.uint8)
    latents = minimal.encode(images)
    assert np.allclose(latents, model.encode(images), rtol=0, atol=1e-5)
    assert np.allclose(minimal.decode(latents), model.decode(latents), rtol=0, atol=1e-5)
