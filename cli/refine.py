"""`aegen refine`: a training run whose prior and decoder have learned from what they draw."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import Knobs, chosen_knobs, knob_options, threads_option, usage

if TYPE_CHECKING:
    from ..train.moment_matching import Progress

# One for each knob of RefinementRecipe in train/moment_matching.py, which says more of each; a test compares them.
KNOBS: Knobs = [
    ("--steps", {"type": click.IntRange(1), "help": "Training steps."}),
    ("--batch-size", {"type": click.IntRange(1), "help": "Codes drawn in one step, and as many of real pictures."}),
    ("--learning-rate", {"type": float, "help": "Adam's, at its peak."}),
    ("--warmup", {"type": float, "help": "Share of the steps in which the rate rises."}),
    ("--weight", {"type": float, "help": "Of the mismatch of drawn and real pictures."}),
    ("--memory", {"type": float, "help": "Share of its past that the mean of the moments keeps."}),
    ("--average", {"type": float, "help": "Share of its past that the mean of the weights keeps."}),
    ("--flow-steps", {"type": click.IntRange(1), "help": "Evaluations of the prior; export as many."}),
    ("--lessons", {"type": click.IntRange(1), "help": "Epochs of the classifier that compares pictures."}),
    ("--seed", {"type": click.IntRange(0), "help": "Of classifier, order and noise."}),
]


@click.command
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("-o", "target", required=True, type=click.Path(path_type=Path), metavar="REFINED", help="Run to make.")
@click.option("--data", metavar="NAME|PATH", help="The training data, if it is no longer where it was.")
@threads_option
@knob_options(KNOBS)
def command(run: Path, target: Path, data: str | None, threads: int | None, **knobs: Any) -> None:
    """Go on training the learned prior of a run and its decoder, on what they draw.

    That comes to look more like real pictures to a classifier, which is trained first on the labels of the training
    pictures. REFINED receives the run with its new decoder, and its new prior, for `aegen export REFINED`; of a RUN
    that is a .pt file, a file of the same name.

    \b
    aegen refine runs/vae -o runs/vae-refined
    aegen refine runs/vae -o runs/vae-refined --steps 4000 --flow-steps 4
    """
    from ..data.datasets import load
    from ..runtime.files import new_folder
    from ..train import checkpoint, priors
    from ..train.moment_matching import RefinementRecipe
    from ..train.refinement import refine

    with usage():
        recipe = RefinementRecipe(**chosen_knobs(knobs))
    trained = checkpoint.read(run)
    prior = priors.read(priors.beside(run), trained)

    def report(progress: "Progress") -> None:
        click.echo(
            f"step {progress.step:,}/{recipe.steps:,}  mismatch {progress.mismatch:.4f}  "
            f"reconstruction {progress.reconstruction_error:.2f}  flow {progress.flow_error:.4f}",
            err=True,
        )

    with new_folder(target) as folder:
        refined, refined_prior = refine(
            trained,
            prior,
            load(data or trained.data),
            recipe,
            threads=threads,
            note=lambda line: click.echo(line, err=True),
            report=report,
        )
        checkpoint.save(refined, folder / trained.file)
        priors.save(refined_prior, priors.beside(folder / trained.file))
    click.echo(f"{target}: refined in {recipe.steps:,} steps", err=True)
