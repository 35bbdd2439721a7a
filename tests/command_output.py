"""Checks the JSON that commands print against docs/command-output.schema.json."""

import json

import jsonschema
import pytest
from pages import ROOT
from referencing import Registry, Resource

NAMES = ("command-output.schema.json", "manifest.schema.json")
SCHEMAS = {name: json.loads((ROOT / "docs" / name).read_text()) for name in NAMES}
DEFINITIONS = SCHEMAS[NAMES[0]]["$defs"]


def check_output(output: str, command: str) -> None:
    """Check that a command printed JSON that has exactly the keys and the types that the schema has for it.

    command: its name, such as `info` or `plot latent`.
    """
    schemas = {name: _strict(schema) for name, schema in SCHEMAS.items()}
    registry = Registry().with_resources((name, Resource.from_contents(one)) for name, one in schemas.items())
    reference = {"$ref": f"{NAMES[0]}#/$defs/{command.replace(' ', '%20')}"}
    content = json.loads(output, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    jsonschema.Draft202012Validator(reference, registry=registry).validate(content)


def _strict(schema):
    """Return a copy of a JSON schema in which objects are invalid if they have keys that the schema does not name."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {key: _strict(value) for key, value in schema.items()}
    names_keys = "properties" in changed and changed.get("type") == "object"
    return {"additionalProperties": False, **changed} if names_keys else changed
