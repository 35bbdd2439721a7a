"""`aegen refine`: a training run whose prior and decoder have learned from what they draw."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import Options, chosen_hyperparameters, recipe_options, threads_option, usage
from .stopping import end_if_told

if TYPE_CHECKING:
    from ..train.moment_matching import Progress

# One for each hyperparameter of RefinementRecipe in train/moment_matching.py, which says more of each; a test compares them.
OPTIONS: Options = [
    ("--steps", {"type": click.IntRange(1), "help": "Training steps."}),
    ("--batch-size", {"type": click.IntRange(1), "help": "Latents drawn in one step, and as many of real images."}),
    ("--learning-rate", {"type": float, "help": "Adam's, at its peak."}),
    ("--warmup", {"type": float, "help": "Share of the steps in which the rate rises."}),
    ("--moment-loss-weight", {"type": float, "help": "Of the mismatch of drawn and real images."}),
    ("--flow-loss-weight", {"type": float, "help": "Of the flow's own error."}),
    ("--moment-ema-decay", {"type": float, "help": "Share of its past that the mean of the moments keeps."}),
    ("--ema-decay", {"type": float, "help": "Share of its past that the mean of the weights keeps."}),
    ("--flow-steps", {"type": click.IntRange(1), "help": "Evaluations of the prior; export as many."}),
    ("--classifiers", {"type": click.IntRange(1), "help": "How many compare images."}),
    ("--classifier-epochs", {"type": click.IntRange(1), "help": "Epochs of each classifier."}),
    ("--match-second-moments", {"type": bool, "help": "Whether shallow features match in mean square too."}),
    ("--class-loss-weight", {"type": float, "help": "Weight of the classifiers' doubt of labels."}),
    ("--seed", {"type": click.IntRange(0), "help": "Of classifiers, order and noise."}),
]


@click.command
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("-o", "target", required=True, type=click.Path(path_type=Path), metavar="REFINED", help="Run to make.")
@click.option("--data", metavar="NAME|PATH", help="The training data, if it is no longer where it was.")
@click.option("--resume", is_flag=True, help="Go on with a refinement that was cut off.")
@threads_option
@recipe_options(OPTIONS)
def command(
    run: Path, target: Path, data: str | None, resume: bool, threads: int | None, **hyperparameters: Any
) -> None:
    """Go on training the learned prior of a run and its decoder, on what they draw.

    That comes to look more like real images to a few classifiers, which are trained first on the labels of the
    training images. REFINED receives the run with its new decoder, and its new prior, for `aegen export REFINED`;
    of a RUN that is a .pt file, a file of the same name. One that is cut off leaves refining.pt, and --resume goes on
    from there as if nothing had happened.

    \b
    aegen refine runs/vae -o runs/vae-refined
    aegen refine runs/vae -o runs/vae-refined --steps 1000 --flow-steps 4
    """
    from ..data.datasets import load
    from ..files.atomic import clear_partial_files
    from ..files.exchange import held
    from ..recipes.refinement import RefinementRecipe
    from ..train import checkpoint, priors
    from ..train.interrupts import uninterrupted
    from ..train.moment_matching import State
    from ..train.refinement import TRAINING, is_refined, read_training, refine

    overrides = chosen_hyperparameters(hyperparameters)
    if resume and overrides:
        raise click.UsageError("--resume takes the recipe of the refinement that was cut off.")
    with usage():
        recipe = RefinementRecipe(**overrides)
    trained, state, training = checkpoint.read(run), None, target / TRAINING
    trained.check_not_refined()
    prior = priors.read(priors.beside(run), trained)
    file, prior_file = target / trained.file, priors.beside(target / trained.file)
    if resume and not training.exists() and is_refined(file, prior_file, trained, prior):
        click.echo(f"{target}: was refined to the end; nothing is left.", err=True)
        return
    if resume:
        recipe, state = read_training(training, trained, prior)
    click.get_current_context().with_resource(held(target))
    remedy = "Go on from it with --resume." if training.exists() else "Choose another."
    clear_partial_files(target, (TRAINING, file.name, prior_file.name), resumed=resume, remedy=remedy)

    def report(progress: "Progress") -> None:
        click.echo(
            f"step {progress.step:,}/{recipe.steps:,}  mismatch {progress.mismatch:.4f}  "
            f"reconstruction {progress.reconstruction_error:.2f}  flow {progress.flow_error:.4f}",
            err=True,
        )
        end_if_told()

    def keep(state: State) -> None:
        priors.save_training(state, recipe, trained, training, prior.fingerprint)

    try:
        refined, refined_prior = refine(
            trained,
            prior,
            load(trained.source(data)),
            recipe,
            threads=threads,
            resume=state,
            note=lambda line: click.echo(line, err=True),
            report=report,
            keep=keep,
        )
    except KeyboardInterrupt:
        if training.exists():
            click.echo(f"{training} keeps what was done up to the last report; --resume goes on from it.", err=True)
        raise
    with uninterrupted():
        priors.save(refined_prior, prior_file)
        checkpoint.save(refined, file)
        training.unlink(missing_ok=True)
    click.echo(f"{target}: refined in {recipe.steps:,} steps", err=True)
