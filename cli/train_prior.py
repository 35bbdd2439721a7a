"""`aegen train-prior`: a learned prior for a training run."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import Options, chosen_hyperparameters, recipe_options, threads_option, usage
from .stopping import end_if_told

if TYPE_CHECKING:
    from ..train.flow_matching import Progress

# One for each hyperparameter of FlowRecipe in train/flow.py, which says more of each; a test holds the two lists together.
OPTIONS: Options = [
    ("--width", {"type": click.IntRange(1), "help": "Units of the hidden layers."}),
    ("--blocks", {"type": click.IntRange(1), "help": "Residual blocks."}),
    ("--steps", {"type": click.IntRange(1), "help": "Training steps at most."}),
    ("--batch-size", {"type": click.IntRange(1), "help": "Latents in one step."}),
    ("--learning-rate", {"type": float, "help": "AdamW's, at its peak."}),
    ("--warmup", {"type": float, "help": "Share of the steps in which the rate rises."}),
    ("--weight-decay", {"type": float, "help": "AdamW's."}),
    ("--ema-decay", {"type": float, "help": "Share of its past that the mean of the weights keeps."}),
    ("--patience", {"type": click.IntRange(1), "help": "Validations without an improvement before it stops."}),
    ("--seed", {"type": click.IntRange(0), "help": "Of weights, order and noise."}),
]


@click.command
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--data", metavar="NAME|PATH", help="The training data, if it is no longer where it was.")
@click.option("--resume", is_flag=True, help="Go on with a training that was cut off.")
@threads_option
@recipe_options(OPTIONS)
def command(run: Path, data: str | None, resume: bool, threads: int | None, **hyperparameters: Any) -> None:
    """Train a prior for a run: a flow that carries normal noise to the latents of its training images.

    RUN receives prior.pt, and `aegen export RUN` then puts the prior into the artifact, by the name of flow. It knows
    the labels where there are any. Training stops early when held-out latents no longer gain from it. One that is cut off
    leaves prior-training.pt, and --resume goes on from there as if nothing had happened.

    \b
    aegen train-prior runs/vae
    aegen train-prior runs/vae --width 512 --steps 20000
    """
    from ..data.datasets import load
    from ..files.atomic import clear_partial_files
    from ..files.exchange import held
    from ..recipes.flow import FlowRecipe
    from ..runtime.errors import OutputError
    from ..train import checkpoint, priors
    from ..train.interrupts import uninterrupted

    overrides = chosen_hyperparameters(hyperparameters)
    if resume and overrides:
        raise click.UsageError("--resume takes the recipe of the training that was cut off.")
    with usage():
        recipe = FlowRecipe(**overrides)
    trained, state = checkpoint.read(run), None
    trained.check_not_refined()
    target = priors.beside(run)
    training = priors.training_beside(run)
    if resume and target.exists() and not training.exists():
        found = priors.read(target, trained)
        click.echo(f"{target}: was trained to its end, {found.step:,} steps to the best; nothing is left.", err=True)
        return
    if resume:
        recipe, state = priors.read_training(training, trained)
    elif training.exists():
        remedy = "Go on from it with --resume, or delete it to begin anew."
        expected = "none, to begin a new one"
        raise OutputError(str(training), found="a training that was cut off", expected=expected, remedy=remedy)
    click.get_current_context().with_resource(held(target.parent))
    clear_partial_files(target.parent, (target.name, training.name), resumed=True)

    def report(progress: "Progress") -> None:
        click.echo(
            f"step {progress.step:,}/{recipe.steps:,}  train {progress.train_loss:.4f}  "
            f"held out {progress.held_out_loss:.4f}",
            err=True,
        )
        end_if_told()

    try:
        prior = priors.train_prior(
            trained,
            load(trained.source(data)),
            recipe,
            threads=threads,
            resume=state,
            report=report,
            keep=lambda state: priors.save_training(state, recipe, trained, training),
        )
    except KeyboardInterrupt:
        if training.exists():
            click.echo(f"{training} keeps the training up to its last validation; --resume goes on from it.", err=True)
        raise
    with uninterrupted():
        priors.save(prior, target)
        training.unlink(missing_ok=True)
    click.echo(f"{target}: held-out loss {prior.loss:.4f} at step {prior.step:,}", err=True)
