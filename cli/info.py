"""`aegen info`: show the metadata of an artifact."""

from typing import TYPE_CHECKING

import click

from .options import chosen_model, json_option, model_argument

if TYPE_CHECKING:
    from pathlib import Path

    from ..runtime.manifest import Manifest


@click.command
@model_argument
@json_option
def command(argument: str | None, model: str | None, as_json: bool) -> None:
    """Show what a model is and what it was made from.

    --json prints {"path", "bytes", "manifest"}: the folder, the total size of its files, and the content of
    `manifest.json`.

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
    rows = _rows(manifest, path)
    width = max(map(len, rows))
    for name, value in rows.items():
        click.echo(f"{name:<{width}}  " + value.replace("\n", "\n" + " " * (width + 2)))


def _rows(manifest: "Manifest", path: "Path") -> dict[str, str]:
    """The facts to print: a dictionary that maps the name of each fact to its text."""
    channels, height, width = manifest.image.shape
    low, high = manifest.image.range
    data, parity = manifest.data, manifest.parity
    return {
        "name": manifest.name,
        "path": str(path),
        "kind": manifest.kind,
        "images": f"{width}x{height} {'grey' if channels == 1 else 'RGB'}, from {low:g} to {high:g} in the networks",
        "latent dimensions": str(manifest.latent_dim),
        "priors": "\n".join(_prior(manifest, name) for name in manifest.priors),
        "labels": ", ".join(_classes(manifest)) or "none",
        "by default": f"prior {manifest.default_prior}, temperature {manifest.default_temperature:g}",
        "size": f"{manifest.total_bytes:,} bytes in {len(manifest.files)} files",
        "MACs": ", ".join(f"{graph} {count:,}" for graph, count in manifest.macs.items()) or "unknown",
        "precision": manifest.precision_text,
        "graphs": f"opset {manifest.opset}, IR {manifest.ir_version}",
        "operators": ", ".join(sorted({name for names in manifest.operators.values() for name in names})),
        "data": f"{data.name}, {data.training_images:,} training images",
        "licence": data.licence,
        "parity": f"{max(parity.largest_difference.values()):.1e} at most, batch {', '.join(map(str, parity.batches))}",
        **{name.replace("_", " "): f"{value:.6g}" for name, value in manifest.quality.items()},
        "made by": "\n".join(manifest.commands),
        "made with": ", ".join(f"{package} {version}" for package, version in manifest.versions.items()),
    }


def _prior(manifest: "Manifest", name: str) -> str:
    """Describe a prior: its name, log likelihood if known, and a learned prior's network evaluations per latent."""
    likelihood, learned = manifest.log_likelihood.get(name), manifest.learned_priors.get(name)
    facts = f"{name:<9}" + (" " * 14 if likelihood is None else f" {likelihood:8.2f} nats")
    return facts.rstrip() + (f"  learned, evaluations: {learned.evaluations}" if learned else "")


def _classes(manifest: "Manifest") -> list[str]:
    """The labels that a user can choose, each with its class name if it has one."""
    if not manifest.class_names:
        return list(map(str, manifest.labels))
    return [f"{label} {name}" for label, name in zip(manifest.labels, manifest.class_names, strict=True)]
