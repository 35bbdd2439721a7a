"""Write the generated parts of the documentation: tables of hyperparameters, the help of every command, and so on.

    python docs/generate.py

A generated part of a page lies between the comments `generated: SUBJECT` and `end of generated`. The functions in
SUBJECTS return its Markdown. A test fails if a page is out of date.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from aegen.cli import SECTIONS, cli
from aegen.data.downloads import KNOWN
from aegen.evaluation.metrics import METRICS
from aegen.recipes.distillation import DistillationRecipe
from aegen.recipes.feature_extractor import FeatureExtractorRecipe
from aegen.recipes.hyperparameters import Hyperparameters, hyperparameters
from aegen.recipes.learned_priors import LEARNED_PRIORS
from aegen.recipes.refinement import RefinementRecipe
from aegen.recipes.training import Recipe, named_recipe, shipped_recipes
from aegen.runtime.graphs.operators import ACCEPTED, EMITTED

DOCS = Path(__file__).resolve().parent
STAGES = (Recipe, *LEARNED_PRIORS.values(), DistillationRecipe, RefinementRecipe, FeatureExtractorRecipe)
RECIPES: dict[str, type[Hyperparameters]] = {recipe.__name__: recipe for recipe in STAGES}
PART = re.compile(r"<!-- generated: ([\w ]+) -->\n(.*?)<!-- end of generated -->\n", re.DOTALL)
WIDTH = 100  # columns of the help texts


def main() -> None:
    """Bring the generated parts of all pages up to date."""
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text()
        if (current := up_to_date(text)) != text:
            page.write_text(current)
            print(f"{page.name}: written")  # noqa: T201


def up_to_date(page: str) -> str:
    """Return the text of a page with its generated parts as they should be now."""

    def part(match: re.Match[str]) -> str:
        subject, _, argument = match[1].partition(" ")
        content = SUBJECTS[subject](argument) if argument else SUBJECTS[subject]()
        return f"<!-- generated: {match[1]} -->\n{content.strip()}\n<!-- end of generated -->\n"

    return PART.sub(part, page)


def hyperparameter_table(recipe: str) -> str:
    """A table of a recipe's hyperparameters. recipe: the name of its class."""
    rows = [
        (f"`{each.name}`", f"`{each.default_text}`", each.expected, each.meaning)
        for each in hyperparameters(RECIPES[recipe])
    ]
    return _table(("hyperparameter", "default", "allowed", "meaning"), rows)


def recipe_table() -> str:
    """A table of the shipped recipes, with the hyperparameters in which they differ."""
    recipes = {name: named_recipe(name) for name in shipped_recipes()}
    rows = []
    for each in hyperparameters(Recipe):
        values = [_value(getattr(recipe, each.name)) for recipe in recipes.values()]
        if len({*values}) > 1:
            rows.append((f"`{each.name}`", *values))
    return _table(("hyperparameter", *(f"`{name}`" for name in recipes)), rows)


def data_set_table() -> str:
    """A table of the image sets that are downloaded by name."""
    rows = [(f"`{known.name}`", known.licence, known.source) for known in KNOWN.values()]
    return _table(("name", "licence", "source"), rows)


def command_pages() -> str:
    """The help of every command, as `aegen COMMAND --help` prints it, by the sections of `aegen --help`."""
    context = click.Context(cli, info_name="aegen", terminal_width=WIDTH, **cli.context_settings)
    parts = [f"```text\n{cli.get_help(context).rstrip()}\n```"]
    for section, names in SECTIONS.items():
        parts.append(f"## {section}")
        for name in names:
            parts += _command_helps(context, name)
    return "\n\n".join(parts)


def _command_helps(parent: click.Context, name: str) -> Iterator[str]:
    """Yield a heading and the help of a command and, if it is a group, of the commands in it."""
    assert isinstance(parent.command, click.Group)  # noqa: S101
    command = parent.command.get_command(parent, name)
    assert command is not None  # noqa: S101
    context = click.Context(command, parent, name, **command.context_settings)
    yield f"### {context.command_path}"
    yield f"```text\n{command.get_help(context).rstrip()}\n```"
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            yield from _command_helps(context, inner)


def manifest_tables() -> str:
    """Tables of all keys of the manifest, made from its JSON Schema."""
    schema = json.loads((DOCS / "manifest.schema.json").read_text())
    parts = [_keys(schema)]
    parts += [f"### {name}\n\n{_keys(definition)}" for name, definition in schema["$defs"].items()]
    return "\n\n".join(parts)


def output_tables() -> str:
    """Tables of the keys in the JSON that each command prints, made from its JSON Schema."""
    schema = json.loads((DOCS / "command-output.schema.json").read_text())["$defs"]
    parts = [_output(f"aegen {name}", entry, 3) for name, entry in schema.items() if name[0].islower()]
    parts += ["## Objects in the output", "Several commands print lists of these objects, or objects within objects."]
    parts += [_output(name, entry, 3) for name, entry in schema.items() if name[0].isupper()]
    return "\n\n".join(parts)


def operator_lists() -> str:
    """Lists of the ONNX operators that the exporter emits, and of the others that the runtime accepts."""
    rest = sorted(ACCEPTED - EMITTED)
    return f"Emitted: {_names(sorted(EMITTED))}.\n\nAccepted in addition: {_names(rest)}."


def metric_table(*groups: str) -> str:
    """A table of metrics. groups: the fields of MetricInputs that they need, separated by spaces; by default all."""
    chosen = [metric for metric in METRICS if not groups or metric.needs in groups[0].split()]
    rows = [(f"`{metric.name}`", metric.better.replace("zero", "near 0"), metric.description) for metric in chosen]
    return _table(("metric", "better", "in one sentence"), rows)


def metric_glossary() -> str:
    """A table of all metrics by title, for the glossary."""
    rows = [(metric.title, metric.description) for metric in sorted(METRICS, key=lambda each: each.title.lower())]
    return _table(("metric", "meaning"), rows)


SUBJECTS: dict[str, Callable[..., str]] = {
    "hyperparameters": hyperparameter_table,
    "recipes": recipe_table,
    "datasets": data_set_table,
    "commands": command_pages,
    "manifest": manifest_tables,
    "operators": operator_lists,
    "metrics": metric_table,
    "glossary": metric_glossary,
    "output": output_tables,
}


def _output(name: str, schema: dict[str, Any], level: int) -> str:
    """A heading, and what a JSON Schema says about the output of a command, or about an object in it."""
    parts = [f"{'#' * level} {name}", *([schema["description"]] if "description" in schema else [])]
    if "properties" in schema:
        parts.append(_keys(schema))
    elif "oneOf" in schema:
        parts.append("One of: " + ", ".join(_type(choice) for choice in schema["oneOf"]) + ".")
    else:
        parts.append(f"A {_type(schema)}." if "type" in schema else f"An object of the kind {_type(schema)}.")
    return "\n\n".join(parts)


def _keys(schema: dict[str, Any]) -> str:
    """A table of the keys of a JSON object. A key that is not required may have a default."""
    rows = []
    for key, entry in schema["properties"].items():
        optional = key not in schema["required"] and "default" in entry
        required = f" If the key is missing: `{json.dumps(entry['default'])}`." if optional else ""
        limits = "; ".join(_limits(entry))
        rows.append((f"`{key}`", _type(entry), entry.get("description", "") + required, limits))
    return _table(("key", "type", "meaning", "allowed"), rows)


def _type(schema: dict[str, Any]) -> str:
    """The type that a JSON Schema describes, in words; the name of a definition links to its table."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name == "manifest.schema.json":
            return "[manifest](artifact-format.md#the-manifest)"
        return f"[{name}](#{name.lower()})"
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if kinds == ["array"]:
        items = [*schema["prefixItems"]] if "prefixItems" in schema else [schema["items"]]
        count = f"{len(items)} x " if "prefixItems" in schema else ""
        return f"list of {count}{_type(items[0])}"
    if kinds == ["object"] and "additionalProperties" in schema:
        return f"object: text to {_type(schema['additionalProperties'])}"
    names = {"string": "text", "number": "number", "null": "null"}
    return " or ".join(names.get(kind, kind) for kind in kinds)


def _limits(schema: dict[str, Any]) -> Iterator[str]:
    """The limits that a JSON Schema sets in addition to the type, in words."""
    if "const" in schema:
        yield f"{schema['const']}"
    if "enum" in schema:
        yield "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if "exclusiveMinimum" in schema:
        yield f"above {schema['exclusiveMinimum']:,}"
    if "minimum" in schema:
        yield f"from {schema['minimum']:,}" + (f" to {schema['maximum']:,}" if "maximum" in schema else "")
    if "pattern" in schema:
        yield f"`{schema['pattern']}`"
    if "maxItems" in schema and schema.get("minItems") != schema["maxItems"]:
        yield f"at most {schema['maxItems']:,}"
    if schema.get("minItems") == 1:
        yield "at least one"
    if schema.get("uniqueItems"):
        yield "each once"


def _value(value: Any) -> str:
    """A default value as it is written on the command line."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [header, ("---",) * len(header), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
