"""`aegen info`: what an artifact says of itself."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from .options import chosen_model, json_option, model_argument

if TYPE_CHECKING:
    from ..runtime.manifest import Manifest


@click.command
@model_argument
@json_option
def command(argument: str | None, model: str | None, as_json: bool) -> None:
    """Show what a model is and what it was made from.

    --json prints {"path", "bytes", "manifest"}: the folder, the size of its files, and `manifest.json` as it stands.

    \b
    aegen info
    aegen info ./my-artifact --json
    """
    import dataclasses
    import json

    from ..runtime.artifact import find, read_manifest

    path = find(chosen_model(argument, model))
    manifest = read_manifest(path)
    if as_json:
        facts = {"path": str(path), "bytes": manifest.total_bytes, "manifest": dataclasses.asdict(manifest)}
        click.echo(json.dumps(facts, indent=2))
        return
    channels, height, width = manifest.image.shape
    low, high = manifest.image.range
    data, parity = manifest.data, manifest.parity
    rows = {
        "name": manifest.name,
        "path": path,
        "kind": manifest.kind,
        "images": f"{width}x{height} {'grey' if channels == 1 else 'RGB'}, networks see [{low:g}, {high:g}]",
        "latent dimensions": manifest.latent_dim,
        "priors": "\n".join(f"{name:<9} {manifest.log_likelihood[name]:8.2f} nats" for name in manifest.priors),
        "labels": ", ".join(_classes(manifest)) or "none",
        "by default": f"prior {manifest.default_prior}, temperature {manifest.default_temperature:g}",
        "size": f"{manifest.total_bytes:,} bytes in {len(manifest.files)} files",
        "MACs": ", ".join(f"{graph} {count:,}" for graph, count in manifest.macs.items()) or "not told",
        "precision": manifest.precision_text,
        "graphs": f"opset {manifest.opset}, IR {manifest.ir_version}",
        "data": f"{data.name}, {data.training_images:,} training images",
        "licence": data.licence,
        "parity": f"{max(parity.largest_difference.values()):.1e} at most, batch {', '.join(map(str, parity.batches))}",
        **{name.replace("_", " "): f"{value:.6g}" for name, value in manifest.quality.items()},
        "made by": "\n".join(manifest.commands),
        "made with": ", ".join(f"{package} {version}" for package, version in manifest.versions.items()),
    }
    width_of_names = max(map(len, rows))
    for name, value in rows.items():
        click.echo(f"{name:<{width_of_names}}  " + str(value).replace("\n", "\n" + " " * (width_of_names + 2)))


def _classes(manifest: "Manifest") -> Iterator[str]:
    """The labels that can be asked for, each with the name of its class where it has one."""
    for place, label in enumerate(manifest.labels):
        yield f"{label} {manifest.class_names[place]}" if manifest.class_names else str(label)
