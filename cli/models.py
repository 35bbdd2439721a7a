"""`aegen models`: list the artifacts that ship with the package."""

from typing import Any

import click

from .json_output import print_json
from .options import json_option


@click.command
@json_option
def command(as_json: bool) -> None:
    """List the models that ship with aegen.

    --json prints a list of {"name", "default", "kind", "shape", "latent_dim", "priors", "data", "licence",
    "bytes", "path"}.

    \b
    aegen models
    aegen models --json
    """
    from ..runtime.artifact import DEFAULT, find, read_manifest, shipped

    rows = []
    for name in shipped():
        manifest = read_manifest(find(name))
        row: dict[str, Any] = {
            "name": name,
            "default": name == DEFAULT,
            "kind": manifest.kind,
            "shape": manifest.image.shape,
            "latent_dim": manifest.latent_dim,
            "priors": manifest.priors,
            "data": manifest.data.name,
            "licence": manifest.data.licence,
            "bytes": manifest.total_bytes,
            "path": str(find(name)),
        }
        rows.append(row)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        shape = "x".join(map(str, row["shape"]))
        latents = f"{row['latent_dim']:>3} latent dimensions"
        size = f"{row['bytes'] / 1e6:.1f} MB"
        mark = "  (default)" if row["default"] else ""
        click.echo(f"{row['name']:<12} {row['kind']:<4} {shape:<8} {latents}  {size:>7}  {row['data']}{mark}")
