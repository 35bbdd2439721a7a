"""`aegen train`: a training run."""

import contextlib
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import Options, chosen_hyperparameters, note, plural, recipe_options, threads_option, usage
from .stopping import INTERRUPTED, end_if_told

if TYPE_CHECKING:
    from ..recipes.training import Recipe
    from ..train.checkpoint import Checkpoint, Epoch


def _numbers(number: Callable[[str], Any]) -> Callable[..., Any]:
    """A reader of numbers with commas between."""

    def read(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[Any, ...] | None:
        try:
            return None if value is None else tuple(number(one) for one in value.split(",") if one)
        except ValueError:
            raise click.BadParameter("expected numbers with commas between") from None

    return read


def _choice(*options: str) -> click.Choice[str]:
    return click.Choice(options)


# One for each hyperparameter of train/recipe.py, which says more of each; a test holds the two lists together.
OPTIONS: Options = [
    ("--kind", {"type": _choice("ae", "dae", "vae"), "help": "Plain, denoising or variational autoencoder."}),
    ("--network", {"type": _choice("mlp", "conv"), "help": "Fully connected or convolutional."}),
    ("--widths", {"callback": _numbers(int), "metavar": "N,N,...", "help": "mlp: units of the hidden layers."}),
    ("--channels", {"type": click.IntRange(1), "help": "conv: channels at half the side."}),
    ("--latent-dim", {"type": click.IntRange(1), "help": "Axes of a code."}),
    ("--loss", {"type": _choice("bce", "mse", "gaussian"), "help": "Reconstruction error."}),
    ("--output", {"type": _choice("sigmoid", "tanh"), "help": "Pixels in [0, 1] or in [-1, 1]."}),
    ("--beta", {"type": float, "help": "vae: weight of the KL divergence."}),
    ("--beta-warmup", {"type": float, "help": "vae: share of the steps in which beta rises."}),
    ("--latent-l2", {"type": float, "help": "ae, dae: weight of half the squared length of a code."}),
    (
        "--corruption",
        {
            "type": _choice("none", "gaussian", "masking", "salt-pepper", "occlusion", "mixed"),
            "help": "dae: what is done to the images that it is shown.",
        },
    ),
    ("--strength", {"callback": _numbers(float), "metavar": "LOW,HIGH", "help": "dae: how strongly, from 0 to 1."}),
    ("--epochs", {"type": click.IntRange(1), "help": "Passes over the training images."}),
    ("--batch-size", {"type": click.IntRange(1), "help": "Images in one step."}),
    ("--learning-rate", {"type": float, "help": "AdamW's, at its peak."}),
    ("--warmup", {"type": float, "help": "Share of the steps in which the rate rises."}),
    ("--weight-decay", {"type": float, "help": "AdamW's."}),
    ("--clip", {"type": float, "help": "Largest norm of a gradient."}),
    ("--seed", {"type": click.IntRange(0), "help": "Of weights, order and noise."}),
]


@click.command
@click.option("--data", metavar="NAME|PATH", help="What to train on.")
@click.option("-o", "run", type=click.Path(path_type=Path), metavar="RUN", help="Folder for the run, new.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="RUN", help="Go on with a run that was cut off.")
@threads_option
@click.option("--recipe", metavar="NAME|FILE", help="ae, dae, vae, conv, or a TOML file of yours.  [default: ae]")
@recipe_options(OPTIONS)
def command(
    data: str | None,
    run: Path | None,
    resume: Path | None,
    threads: int | None,
    recipe: str | None,
    **hyperparameters: Any,
) -> None:
    """Train an autoencoder.

    --data is mnist, fashion-mnist, kmnist or emnist-digits, downloaded and verified; or a path: a folder with IDX
    files, an .npz with images and labels, an .npy, or a folder of images whose sub-folders are the labels.

    RUN receives best.pt, last.pt and metrics.jsonl after every epoch; Ctrl-C keeps the last whole one, and --resume
    goes on from it as if nothing had happened, whatever ended the run. The options after --recipe set single hyperparameters.

    \b
    aegen train --recipe vae --data mnist -o runs/vae
    aegen train --resume runs/vae
    """
    overrides = chosen_hyperparameters(hyperparameters)
    if resume is not None and (run or recipe or overrides):
        raise click.UsageError("--resume takes the folder and the recipe of the run.")

    from ..recipes.training import named_recipe
    from ..train import checkpoint

    if resume is not None:
        last = checkpoint.read(resume / checkpoint.LAST)
        _train(last.recipe, last.source(data), resume, threads, last)
    elif data is not None and run is not None:
        with usage():
            chosen = named_recipe(recipe or "ae", **overrides)
        _train(chosen, data, run, threads, None)
    else:
        raise click.UsageError("Missing --data and -o, or --resume.")


def _train(recipe: "Recipe", data: str, run: Path, threads: int | None, resume: "Checkpoint | None") -> None:
    from ..data.datasets import load
    from ..data.downloads import KNOWN
    from ..files.exchange import held
    from ..files.sources import is_pipe
    from ..train import checkpoint, processes
    from ..train.loop import train

    dataset = load(data)
    facts = dataset.facts
    say: Callable[[str], None] = functools.partial(click.echo, err=True) if processes.is_first() else _say_nothing
    say(f"{facts.name}: {plural(facts.training_images, 'training image')}, {facts.validation_images:,} held out")
    history = list(resume.history) if resume else []
    if processes.is_first():
        for remark in dataset.remarks:
            note(remark)
    began = time.perf_counter()

    def report(epoch: "Epoch") -> None:
        nonlocal began
        history.append(epoch)
        now = time.perf_counter()
        speed, began = facts.training_images / (now - began), now
        parts = f" = {epoch.reconstruction:.3f} + KL {epoch.penalty:.3f}" if recipe.kind == "vae" else ""
        say(
            f"epoch {epoch.epoch}/{recipe.epochs}  train {epoch.train_loss:.3f}  validation {epoch.validation_loss:.3f}"
            f"{parts}  {speed:,.0f} images/s"
        )
        end_if_told()

    source = data if data in KNOWN else checkpoint.PIPE if is_pipe(data) else str(Path(data).resolve())
    interrupted = False
    try:
        with held(run) if processes.is_first() else contextlib.nullcontext():
            train(recipe, dataset, run, data=source, threads=threads, resume=resume, report=report)
    except KeyboardInterrupt:
        if not history:
            raise
        interrupted = True
        say(
            f"Interrupted: {run} keeps the run up to epoch {history[-1].epoch}; `aegen train --resume` goes on from it."
        )
    if resume is not None and resume.epoch >= recipe.epochs:
        say(f"{run}: all {plural(recipe.epochs, 'epoch')} were done; nothing is left to train.")
    if processes.is_first():
        _say_what_is_next(run, min(history, key=lambda epoch: epoch.validation_loss))
    if interrupted:
        click.get_current_context().exit(INTERRUPTED)


def _say_nothing(text: str) -> None:
    """What every process but the first says."""


def _say_what_is_next(run: Path, best: "Epoch") -> None:
    import shlex

    click.echo(f"{run}: validation loss {best.validation_loss:.3f} at epoch {best.epoch}. Next:", err=True)
    artifact = f"{run.resolve().name}-artifact"
    click.echo("  " + shlex.join(["aegen", "export", str(run), "-o", artifact]))
    click.echo("  " + shlex.join(["aegen", "sample", "--model", f"./{artifact}", "-n", "64", "-o", "grid.png"]))
