"""`aegen verify`: check, without torch, that an artifact's files and outputs are the same as when it was exported."""

import click

from .json_output import print_json
from .options import chosen_model, json_option, model_argument


@click.command
@model_argument
@json_option
def command(argument: str | None, model: str | None, as_json: bool) -> None:
    """Check every file against its hash and replay the golden pairs.

    A golden pair is an input and the output that torch, or onnxruntime for an int8 graph, computed for it at export.
    onnxruntime on this machine must compute the same output, up to rounding. Exits with 1 if it does not.
    --json prints {"model", "files", "pairs", "largest_difference", "reference", "rtol", "atol", "passed",
    "int8_tolerance"}.

    \b
    aegen verify
    aegen verify ./my-artifact --json
    """
    import dataclasses

    from ..runtime.autoencoder import load

    loaded = load(chosen_model(argument, model))
    result = loaded.verify()
    if as_json:
        print_json({"model": loaded.name, **dataclasses.asdict(result)})
    else:
        click.echo(f"{loaded.name}: {result.files} files match their hashes, {result.pairs} golden pairs replayed")
        for graph, difference in result.largest_difference.items():
            click.echo(f"  {graph}: largest difference from {result.reference[graph]} {difference:.2g}")
        int8 = f" + {result.int8_tolerance:.2g} of the largest value (int8)" if result.int8_tolerance else ""
        click.echo(f"  allowed: {result.atol:g} + {result.rtol:g} of the value{int8}")
    if not result.passed:
        raise click.ClickException(f"{loaded.name} does not compute here what was trained")
