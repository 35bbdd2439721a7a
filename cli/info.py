"""`aegen info`: show the metadata of an artifact, or of a grid that aegen wrote."""

from typing import TYPE_CHECKING

import click

from ..images.read_options import DEFAULT_OPTIONS
from .data_facts import show_data
from .data_sets import load_data, read_options
from .facts import print_facts
from .json_output import print_json
from .next_steps import after_data, say_next
from .options import chosen_model, json_option, model_argument

if TYPE_CHECKING:
    from pathlib import Path

    from ..images.read_options import ReadOptions
    from ..runtime.manifest import Manifest


@click.command
@model_argument
@click.option(
    "--data",
    metavar="NAME|PATH",
    help="Show images as `aegen train --data` reads them, in place of a model.  [default: a model is shown]",
)
@click.option(
    "-o",
    "--output",
    metavar="OUTPUT",
    help="Where to write: a grid of some images of each class of --data.  [default: no grid is written]",
)
@read_options
@json_option
def command(
    argument: str | None, model: str | None, data: str | None, output: str | None, reading: "ReadOptions", as_json: bool
) -> None:
    """Show what a model is and what it was made from, how a grid was made, or how images to train on are understood.

    MODEL may also be a PNG file with a grid that aegen wrote: the model, the seed and the other options that its images
    depend on are shown. With --data, the parts of the set, the kind of its images, and its classes are shown.

    --json prints {"path", "bytes", "manifest"}: the folder, the total size of its files, and the content of
    `manifest.json`. For a PNG file it prints {"path", "facts"}: the file, and the text of each fact by its name. With
    --data it prints {"data", "name", "licence", "source", "shape", "lowest_level", "highest_level", "training_images",
    "validation_images", "test_images", "shuffled", "classes", "remarks", "sha256"}. Each of "classes" has "label",
    "name" (or null), "training_images", "validation_images" and "test_images".

    \b
    aegen info ./my-artifact --json
    aegen info --data my-images/ -o grid.png
    """
    if data is not None:
        if argument is not None:
            raise click.UsageError("Give a model, or images with --data.")
        show_data(data, load_data(data, reading, remarks=False), output, as_json=as_json)
        say_next(*after_data(data, reading.words))
        return
    if output is not None or reading != DEFAULT_OPTIONS:
        raise click.UsageError("-o and the options for reading images need --data.")
    from ..files.paths import is_file
    from ..runtime.artifact import find, read_manifest, shipped
    from ..runtime.records import to_plain

    chosen = chosen_model(argument, model)
    if chosen is not None and chosen not in shipped() and is_file(chosen):
        _show_grid(chosen, as_json)
        return
    path = find(chosen)
    manifest = read_manifest(path)
    if as_json:
        facts = {"path": str(path), "bytes": manifest.total_bytes, "manifest": to_plain(manifest)}
        print_json(facts)
        return
    print_facts(_rows(manifest, path).items())


def _show_grid(path: str, as_json: bool) -> None:
    """Print the facts that aegen stored in a PNG file. Raises InputError if it stored none there."""
    from ..images.facts import read_facts
    from ..runtime.errors import InputError

    facts = read_facts(path)
    if not facts:
        raise InputError(path, found="a PNG file without facts of aegen", expected="a grid that aegen wrote as .png")
    if as_json:
        print_json({"path": path, "facts": facts})
    else:
        print_facts({"path": path, **facts}.items())


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
        "made by": "\n".join(manifest.commands) or "another program than aegen",
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
