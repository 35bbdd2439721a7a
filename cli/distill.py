"""`aegen distill`: teach a network of one evaluation to do what the flow prior of a run does in many."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..recipes.distillation import DistillationRecipe
from .messages import say
from .next_steps import after_distill, say_next
from .options import threads_option, usage
from .recipe_options import chosen_hyperparameters, recipe_options
from .resumable import refuse_unfinished, run_resumable

if TYPE_CHECKING:
    from ..train.prior_network import Progress
    from ..train.priors import LearnedPrior


@click.command
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--resume", is_flag=True, help="Continue an unfinished distillation.")
@threads_option
@recipe_options(DistillationRecipe)
def command(run: Path, resume: bool, threads: int | None, **hyperparameters: Any) -> None:
    """Make the flow prior of a run faster: replace its many evaluations by one of a small network.

    The network learns which latent the flow makes of each noise, and takes the flow's place in RUN as prior.pt, which
    keeps the flow too. A flow that `aegen refine` has refined gives better pairs to learn from, and one more refinement
    then makes up for what was lost. Unfinished distillation leaves prior-distilling.pt; --resume continues from there,
    with the same result as without the interruption.

    \b
    aegen distill runs/better
    aegen distill runs/vae --width 512 --pairs 1000000
    """
    overrides = chosen_hyperparameters(hyperparameters)
    if resume and overrides:
        raise click.UsageError("--resume takes the recipe of the unfinished distillation.")
    with usage():
        recipe, state = DistillationRecipe(**overrides), None

    from ..files.locks import locked_folder
    from ..files.temporary import clear_partial_files
    from ..train import checkpoint, priors
    from ..train.distillation import read_training, training_beside
    from ..train.interrupts import uninterrupted

    trained = checkpoint.read(run)
    target, training = priors.beside(run), training_beside(run)
    prior = priors.read(target, trained)
    if trained.refinement is not None and "evaluations" not in overrides:  # as many as in its refinement
        recipe = dataclasses.replace(recipe, evaluations=trained.refinement.flow_steps)
    if resume and prior.distillation is not None and not training.exists():
        say(f"{target}: distillation is finished; its held-out error is {prior.loss:.4f}.")
        say_next(*after_distill(run))
        return
    if resume:
        recipe, state = read_training(training, prior)
    else:
        refuse_unfinished(training)
        refuse_unfinished(priors.training_beside(run))
    with locked_folder(target.parent):
        clear_partial_files(target.parent, (target.name, training.name), resumed=True)
        distilled = _distill(prior, (recipe, state), training, threads)
        with uninterrupted():
            priors.save(distilled, target)
            training.unlink(missing_ok=True)
    say(f"{target}: held-out error {distilled.loss:.4f} at step {distilled.step:,}")
    say_next(*after_distill(run))


def _distill(
    prior: "LearnedPrior",
    recipe_and_state: "tuple[DistillationRecipe, dict[str, Any] | None]",
    training: Path,
    threads: int | None,
) -> "LearnedPrior":
    """Distill a flow, print the progress, and save the state in the file `training`, from which it can be resumed."""
    from ..train.distillation import distill, save_training

    recipe, state = recipe_and_state

    def describe(progress: "Progress") -> str:
        return (
            f"step {progress.step:,}/{recipe.steps:,}  train {progress.train_loss:.4f}  "
            f"held out {progress.held_out_loss:.4f}"
        )

    def save(state: dict[str, Any]) -> None:
        save_training(state, recipe, prior, training)

    train = partial(distill, prior, recipe, threads=threads, resume=state, note=say)
    return run_resumable(train, describe, save, training, "evaluation")
