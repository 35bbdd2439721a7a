"""`aegen refine`: fine-tune the flow prior and the decoder of a run on their own samples."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..recipes.refinement import RefinementRecipe
from .messages import say
from .next_steps import after_refine, say_next
from .options import folder_output, threads_option, usage
from .recipe_options import chosen_hyperparameters, recipe_options
from .resumable import run_resumable

if TYPE_CHECKING:
    from ..train.checkpoint import Checkpoint
    from ..train.moment_matching import Progress
    from ..train.priors import LearnedPrior

    Run = tuple[Checkpoint, LearnedPrior]


@click.command
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@folder_output("target")
@click.option("--data", metavar="NAME|PATH", help="The training data, if it has moved.  [default: where it was]")
@click.option("--resume", is_flag=True, help="Continue an unfinished refinement.")
@threads_option
@recipe_options(RefinementRecipe)
def command(
    run: Path, target: Path, data: str | None, resume: bool, threads: int | None, **hyperparameters: Any
) -> None:
    """Train the flow prior of a run and its decoder further, on their own samples.

    Afterwards samples resemble real images more closely. The difference between samples and real images is measured by
    a few classifiers, which are first trained on the training images and their labels; images without labels get the
    clusters of their latents as labels. The run with its new decoder and prior is written to OUTPUT, for `aegen export
    OUTPUT`; if RUN is a .pt file, the .pt file in OUTPUT has the same name. An unfinished refinement leaves refining.pt
    in OUTPUT; --resume continues from there, with the same result as without the interruption.

    \b
    aegen refine runs/vae -o runs/vae-refined
    aegen refine runs/vae -o runs/vae-refined --steps 1000 --flow-steps 4
    aegen distill runs/vae && aegen refine runs/vae -o runs/vae-refined
    """
    overrides = chosen_hyperparameters(hyperparameters)
    if resume and overrides:
        raise click.UsageError("--resume takes the recipe of the unfinished refinement.")
    with usage():
        recipe, state = RefinementRecipe(**overrides), None

    from ..files.locks import locked_folder
    from ..files.temporary import clear_partial_files
    from ..train import checkpoint, priors
    from ..train.interrupts import uninterrupted
    from ..train.refinement import TRAINING, is_refined, read_training

    trained = checkpoint.read(run)
    prior = priors.read(priors.beside(run), trained)
    if prior.distillation is not None and "flow_steps" not in overrides:
        recipe = dataclasses.replace(recipe, flow_steps=1)
    file, training = target / trained.file, target / TRAINING
    prior_file = priors.beside(file)
    if resume and not training.exists() and is_refined(file, prior_file, trained, prior):
        say(f"{target}: refinement is finished.")
        say_next(*after_refine(target, data))
        return
    if resume:
        recipe, state = read_training(training, trained, prior)
    with locked_folder(target):
        remedy = "Continue it with --resume." if training.exists() else "Choose another."
        clear_partial_files(target, (TRAINING, file.name, prior_file.name), resumed=resume, remedy=remedy)
        refined, refined_prior = _refine((trained, prior), trained.source(data), (recipe, state), training, threads)
        with uninterrupted():
            priors.save(refined_prior, prior_file)
            checkpoint.save(refined, file)
            training.unlink(missing_ok=True)
    say(f"{target}: refined in {recipe.steps:,} steps")
    say_next(*after_refine(target, data))


def _refine(
    run: "Run",
    data: str,
    recipe_and_state: "tuple[RefinementRecipe, dict[str, Any] | None]",
    training: Path,
    threads: int | None,
) -> "Run":
    """Refine a run, print the progress, and save the state in the file `training`, from which it can be resumed."""
    from ..data.datasets import load
    from ..train.refinement import refine, save_training

    (trained, prior), (recipe, state), dataset = run, recipe_and_state, load(data, run[0].reading)

    def describe(progress: "Progress") -> str:
        return (
            f"step {progress.step:,}/{recipe.steps:,}  moment gap {progress.moment_gap:.4f}  "
            f"reconstruction {progress.reconstruction_error:.2f}  flow {progress.flow_loss:.4f}"
        )

    def save(state: dict[str, Any]) -> None:
        save_training(state, recipe, trained, prior, training)

    train = partial(refine, trained, prior, dataset, recipe, threads=threads, resume=state, note=say)
    return run_resumable(train, describe, save, training, "report")
