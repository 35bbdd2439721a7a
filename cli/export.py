"""`aegen export`: make an artifact of a training run."""

from pathlib import Path
from typing import Any

import click

from .messages import progress_bars, say
from .next_steps import after_export, say_next
from .options import folder_output, threads_option


@click.command
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@folder_output("target")
@click.option("--data", metavar="NAME|PATH", help="The training data, if it has moved.  [default: where it was]")
@click.option("--name", metavar="NAME", help="The artifact's name.  [default: its folder's]")
@click.option("--licence", metavar="TEXT", help="Licence of the training data.  [default: what aegen knows of it]")
@click.option(
    "--prior",
    metavar="NAME",
    help="Default prior of sampling.  [default: the one with the highest likelihood, or a refined one]",
)
@click.option(
    "--components", type=click.IntRange(1), help="Components of the Gaussian mixture.  [default: the likeliest number]"
)
@click.option(
    "--evaluations",
    type=click.IntRange(1),
    help="Evaluations of a learned prior for one latent.  [default: as many as in refinement, or 8]",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    default="fp32",
    show_default=True,
    help="fp16 stores weights in half the bytes; computing stays the same. int8 also computes faster but less exactly, "
    "and cuts off latents beyond those of the training images.",
)
@click.option(
    "--notes",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE.md",
    help="Text that ends the model card.  [default: none]",
)
@click.option(
    "--temperature", type=click.FloatRange(0), default=1.0, show_default=True, help="Default temperature of sampling."
)
@click.option("--overwrite", is_flag=True, help="Replace an existing artifact.")
@threads_option
def command(run: Path, target: Path, data: str | None, threads: int | None, **options: Any) -> None:
    """Make an artifact of a training run.

    RUN is the folder of a run, whose best epoch is exported, or one of its .pt files. The outputs of the
    exported files are compared with those of torch at several batch sizes; if they differ, or anything else fails, no
    artifact is left behind. A prior that `aegen train-prior` has written to the run is exported too.

    \b
    aegen export runs/ae -o my-artifact
    aegen export runs/ae/last.pt -o my-artifact --overwrite
    """
    from ..data.datasets import load
    from ..evaluation.feature_extractor import ships_for
    from ..export.artifact import export
    from ..export.options import ExportOptions
    from ..train import checkpoint, priors, processes

    trained = checkpoint.read(run)
    prior_file = priors.beside(run)
    if options["evaluations"] and not prior_file.exists():
        raise click.UsageError(f"--evaluations is for a run with a learned prior: found no {prior_file}.")
    learned = priors.read(prior_file, trained) if prior_file.exists() else None
    source = trained.source(data)
    dataset = load(source, trained.reading)
    processes.set_up(threads)
    with progress_bars() as show:

        def report(step: str, done: int = 0, total: int = 0) -> None:
            """Print the name of a step as it begins, and show how far it has come if it is long."""
            if total:
                show(step, done, total)
            else:
                say(f"{step} ...")

        chosen = ExportOptions(**options, threads=threads)
        manifest = export(trained, dataset, target, learned=learned, options=chosen, report=report)
    worst = max(manifest.parity.largest_difference.values())
    say(f"{target}: {manifest.total_bytes:,} bytes, largest difference from torch {worst:.2g}")
    say_next(*after_export(target, data or trained.data, measurable=ships_for(dataset.facts)))
