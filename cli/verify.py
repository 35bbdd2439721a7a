"""`aegen verify`: proof, without torch, that an artifact still computes what was trained."""

import click

from .options import chosen_model, json_option, model_argument


@click.command
@model_argument
@json_option
def command(argument: str | None, model: str | None, as_json: bool) -> None:
    """Check every file against its hash and replay the golden pairs.

    A golden pair is an input and what torch gave for it at export, or onnxruntime for a model in int8; onnxruntime on
    this machine must give the same, up to rounding. Exits with 1 if it does not. --json prints {"model", "files",
    "pairs", "largest_difference", "reference", "rtol", "atol", "passed", "steps"}.

    \b
    aegen verify
    aegen verify ./my-artifact --json
    """
    import dataclasses
    import json

    from ..runtime.autoencoder import load

    loaded = load(chosen_model(argument, model))
    found = loaded.verify()
    if as_json:
        click.echo(json.dumps({"model": loaded.name, **dataclasses.asdict(found)}, indent=2))
    else:
        click.echo(f"{loaded.name}: {found.files} files match their hashes, {found.pairs} golden pairs replayed")
        for graph, difference in found.largest_difference.items():
            click.echo(f"  {graph}: largest difference from {found.reference[graph]} {difference:.2g}")
        steps = f" + {found.steps:.2g} of the largest value" if found.steps else ""
        click.echo(f"  allowed: {found.atol:g} + {found.rtol:g} of the value{steps}")
    if not found.passed:
        raise click.ClickException(f"{loaded.name} does not compute here what was trained")
