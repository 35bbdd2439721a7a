"""`aegen train-prior`: train a learned prior for a training run."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..recipes.learned_priors import DEFAULT_LEARNED_PRIOR, LEARNED_PRIORS
from .messages import say
from .next_steps import after_train_prior, say_next
from .options import threads_option, usage
from .recipe_options import chosen_hyperparameters, recipe_options
from .resumable import refuse_unfinished, run_resumable

if TYPE_CHECKING:
    from ..recipes.learned_priors import LearnedPriorRecipe
    from ..train.checkpoint import Checkpoint
    from ..train.prior_network import Progress
    from ..train.priors import LearnedPrior


@click.command
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--prior", type=click.Choice([*LEARNED_PRIORS]), help=f"Kind of prior.  [default: {DEFAULT_LEARNED_PRIOR}]"
)
@click.option("--data", metavar="NAME|PATH", help="The training data, if it has moved.  [default: where it was]")
@click.option("--resume", is_flag=True, help="Continue an unfinished training of the prior.")
@threads_option
@recipe_options(*LEARNED_PRIORS.values())
def command(
    run: Path, prior: str | None, data: str | None, resume: bool, threads: int | None, **hyperparameters: Any
) -> None:
    """Train a prior for a run: a network that maps normal noise to latents like those of the training images.

    The prior is written to RUN as prior.pt, and `aegen export RUN` puts it into the artifact. If the data has labels,
    the prior can sample each class. Training stops early when the loss on held-out latents no longer falls. Unfinished
    training leaves prior-training.pt; --resume continues from there, with the same result as without the interruption.

    \b
    aegen train-prior runs/vae
    aegen train-prior runs/vae --width 512 --steps 20000
    """
    overrides = chosen_hyperparameters(hyperparameters)
    if resume and (overrides or prior):
        raise click.UsageError("--resume takes the recipe of the unfinished training.")
    with usage():
        recipe, state = _recipe(prior or DEFAULT_LEARNED_PRIOR, overrides), None

    from ..files.locks import locked_folder
    from ..files.temporary import clear_partial_files
    from ..train import checkpoint, priors
    from ..train.interrupts import uninterrupted

    trained = checkpoint.read(run)
    trained.check_not_refined()
    target, training = priors.beside(run), priors.training_beside(run)
    if resume and target.exists() and not training.exists():
        finished = priors.read(target, trained)
        say(f"{target}: training is finished; its best validation was at step {finished.step:,}.")
        say_next(*after_train_prior(run, data))
        return
    if resume:
        recipe, state = priors.read_training(training, trained)
    else:
        refuse_unfinished(training)
    with locked_folder(target.parent):
        clear_partial_files(target.parent, (target.name, training.name), resumed=True)
        learned = _train(trained, trained.source(data), (recipe, state), training, threads)
        with uninterrupted():
            priors.save(learned, target)
            training.unlink(missing_ok=True)
    say(f"{target}: held-out loss {learned.loss:.4f} at step {learned.step:,}")
    say_next(*after_train_prior(run, data))


def _recipe(prior: str, overrides: dict[str, Any]) -> "LearnedPriorRecipe":
    """The recipe of a prior with the given hyperparameters. Raises UsageError for one that this prior does not have."""
    recipe = LEARNED_PRIORS[prior]
    foreign = [name for name in overrides if not hasattr(recipe, name)]
    if foreign:
        raise click.UsageError(f"--{foreign[0].replace('_', '-')} is no option of the prior {prior}.")
    return recipe(**overrides)


def _train(
    trained: "Checkpoint",
    data: str,
    recipe_and_state: "tuple[LearnedPriorRecipe, dict[str, Any] | None]",
    training: Path,
    threads: int | None,
) -> "LearnedPrior":
    """Train a prior, print the progress, and save the state in the file `training`, from which it can be resumed."""
    from ..data.datasets import load
    from ..train import priors

    (recipe, state), dataset = recipe_and_state, load(data, trained.reading)

    def describe(progress: "Progress") -> str:
        return (
            f"step {progress.step:,}/{recipe.steps:,}  train {progress.train_loss:.4f}  "
            f"held out {progress.held_out_loss:.4f}"
        )

    def save(state: dict[str, Any]) -> None:
        priors.save_training(state, recipe, trained, training)

    train = partial(priors.train_prior, trained, dataset, recipe, threads=threads, resume=state)
    return run_resumable(train, describe, save, training, "validation")
