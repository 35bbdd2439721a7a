"""Output for programs: JSON on standard output, in the form that docs/command-output.schema.json describes."""

import math
from typing import Any

import click


def print_json(content: Any, *, indent: int | None = 2) -> None:
    """Print dictionaries, lists, texts, numbers and None as JSON. Infinite and NaN numbers become null.

    indent: number of spaces for each level of nesting; with None, everything is on one line.
    """
    import json

    click.echo(json.dumps(_finite(content), indent=indent, allow_nan=False))


def _finite(content: Any) -> Any:
    """Replace numbers that JSON lacks by None, in a value of any JSON type."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
