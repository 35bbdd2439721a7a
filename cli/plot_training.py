"""`aegen plot training`: show the losses of a training run by epoch."""

from pathlib import Path

import click

from .figure_options import check_output, figure_options, publish
from .messages import plural


@click.command
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@figure_options
def command(run: Path, output: str | None, as_json: bool) -> None:
    """Show reconstruction error and penalty of a training run by epoch, for training and validation images.

    RUN is a folder that `aegen train` wrote, finished or not. The penalty of a VAE is the KL divergence between
    posterior and prior. The figure then also shows the KL of each latent dimension, and which dimensions are active:
    the variance of their posterior mean over the validation images is above 0.01 (Burda et al. 2016).

    --json prints one object: {"epochs", "train_reconstruction", "reconstruction", "train_penalty", "penalty", "best",
    "kl_per_dimension", "active", "title"}. All but "best" and "title" are lists; "best" is the epoch with the lowest
    validation loss.

    \b
    aegen plot training runs/vae -o curves.png
    aegen plot training runs/ae --json
    """
    check_output(output, as_json)
    from ..plots import training
    from ..recipes.history import read_history

    history = read_history(run)
    curves = training.training_curves(history, title=f"{run.resolve().name}: {plural(len(history), 'epoch')}")
    publish(training, curves, output, plural(len(history), "epoch"), as_json=as_json)
