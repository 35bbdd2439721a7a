"""`aegen export`: a training run to an artifact."""

from pathlib import Path

import click


@click.command
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "-o", "target", required=True, type=click.Path(path_type=Path), metavar="ARTIFACT", help="Folder to make."
)
@click.option("--data", metavar="NAME|PATH", help="The training data, if it is no longer where it was.")
@click.option("--name", help="The artifact's name.  [default: its folder's]")
@click.option("--licence", metavar="TEXT", help="Licence of the training data, where aegen does not know it.")
@click.option(
    "--prior", help="What `sample` draws latents from by default.  [default: the likeliest, or a refined one]"
)
@click.option("--components", type=click.IntRange(1), help="Of the Gaussian mixture.  [default: the likeliest number]")
@click.option(
    "--flow-steps",
    type=click.IntRange(1),
    help="Evaluations of a learned prior for one code.  [default: as refined for, or 8]",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    default="fp32",
    show_default=True,
    help="fp16 stores them in half the bytes; computing is the same. int8 computes faster too, less exactly, and cuts "
    "off latents beyond the training images'.",
)
@click.option(
    "--notes",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE.md",
    help="Text for the card to end with: what was tried, say.",
)
@click.option("--temperature", type=click.FloatRange(0), default=1.0, show_default=True, help="Its default spread.")
@click.option("--overwrite", is_flag=True, help="Replace an artifact of this name.")
def command(
    run: Path,
    target: Path,
    data: str | None,
    name: str | None,
    licence: str | None,
    prior: str | None,
    precision: str,
    notes: Path | None,
    temperature: float,
    components: int | None,
    flow_steps: int | None,
    overwrite: bool,
) -> None:
    """Make an artifact of a training run.

    RUN is the folder of a run, which stands for its best epoch, or one of its .pt files. The exported files are
    compared with torch at several batch sizes; if they differ, or anything else fails, no artifact is left behind. A
    prior that `aegen train-prior` left in the run goes into the artifact.

    \b
    aegen export runs/ae -o my-artifact
    aegen export runs/ae/last.pt -o my-artifact --overwrite
    """
    from ..data.datasets import load
    from ..export.bundle import export
    from ..train import checkpoint, priors

    trained = checkpoint.read(run)
    learned = priors.beside(run)
    if flow_steps and not learned.exists():
        raise click.UsageError(f"--flow-steps is for a run with a learned prior: found no {learned}.")
    dataset = load(trained.source(data))
    manifest = export(
        trained,
        dataset,
        target,
        name=name,
        licence=licence,
        prior=prior,
        temperature=temperature,
        components=components,
        learned=priors.read(learned, trained) if learned.exists() else None,
        flow_steps=flow_steps,
        precision=precision,
        notes=notes,
        overwrite=overwrite,
        report=lambda step: click.echo(f"{step} ...", err=True),
    )
    worst = max(manifest.parity.largest_difference.values())
    click.echo(f"{target}: {manifest.total_bytes:,} bytes, largest difference from torch {worst:.2g}", err=True)
