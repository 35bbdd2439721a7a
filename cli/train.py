"""`aegen train`: a training run."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import INTERRUPTED
from .options import plural, threads_option, usage

if TYPE_CHECKING:
    from ..train.loop import Epoch


def _widths(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    try:
        return None if value is None else tuple(int(width) for width in value.split(",") if width)
    except ValueError:
        raise click.BadParameter("expected whole numbers with commas between, like 256,64") from None


# One for each knob of train/recipe.py, where the defaults are; a test holds the two lists together.
KNOBS: list[tuple[str, dict[str, Any]]] = [
    ("--kind", {"type": click.Choice(["ae"]), "help": "What is trained: a plain autoencoder."}),
    ("--widths", {"callback": _widths, "metavar": "N,N,...", "help": "Units of the encoder's hidden layers; 256,64."}),
    ("--latent-dim", {"type": click.IntRange(1), "help": "Axes of a code; 32."}),
    ("--loss", {"type": click.Choice(["bce", "mse"]), "help": "Reconstruction error; bce."}),
    ("--output", {"type": click.Choice(["sigmoid", "tanh"]), "help": "The decoder's last step; sigmoid."}),
    ("--epochs", {"type": click.IntRange(1), "help": "Passes over the training pictures; 40."}),
    ("--batch-size", {"type": click.IntRange(1), "help": "Pictures in one step; 128."}),
    ("--learning-rate", {"type": float, "help": "AdamW's, at its peak; 0.002."}),
    ("--warmup", {"type": float, "help": "Share of the steps in which the rate rises; 0.05."}),
    ("--weight-decay", {"type": float, "help": "AdamW's; 0.0001."}),
    ("--clip", {"type": float, "help": "Largest norm of a gradient; 100."}),
    ("--seed", {"type": click.IntRange(0), "help": "Of weights and order; 0."}),
]


def _knob_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for flag, settings in reversed(KNOBS):
        command = click.option(flag, **settings)(command)
    return command


@click.command
@click.option("--data", required=True, metavar="NAME|PATH", help="What to train on.")
@click.option(
    "-o", "run", required=True, type=click.Path(path_type=Path), metavar="RUN", help="Folder for the run, new."
)
@threads_option
@_knob_options
def command(data: str, run: Path, threads: int | None, **knobs: Any) -> None:
    """Train an autoencoder.

    --data is mnist, fashion-mnist, kmnist or emnist-digits, downloaded and verified; or a path: a folder with IDX
    files, an .npz with images and labels, an .npy, or a folder of pictures whose sub-folders are the labels.

    RUN receives best.pt, last.pt and metrics.jsonl after every epoch; Ctrl-C keeps the last whole one.

    \b
    aegen train --data mnist -o runs/ae
    aegen train --data pictures/ --latent-dim 16 --epochs 20 -o runs/mine
    """
    from ..train.datasets import load
    from ..train.downloads import KNOWN
    from ..train.loop import train
    from ..train.recipe import Recipe

    with usage():
        recipe = Recipe(**{knob: value for knob, value in knobs.items() if value is not None})
    dataset = load(data)
    facts = dataset.facts
    held_out = f"{facts.validation_pictures:,} held out"
    click.echo(f"{facts.name}: {plural(facts.training_pictures, 'training picture')}, {held_out}", err=True)
    history: list[Epoch] = []

    def report(epoch: "Epoch") -> None:
        history.append(epoch)
        click.echo(
            f"epoch {epoch.epoch}/{recipe.epochs}  train {epoch.train_loss:.3f}  validation {epoch.validation_loss:.3f}"
            f"  {epoch.pictures_per_second:,.0f} pictures/s",
            err=True,
        )

    source = data if data in KNOWN else str(Path(data).resolve())
    interrupted = False
    try:
        train(recipe, dataset, run, data=source, threads=threads, report=report)
    except KeyboardInterrupt:
        if not history:
            raise
        interrupted = True
        click.echo(f"Interrupted: {run} keeps the run up to epoch {history[-1].epoch}.", err=True)
    best = min(history, key=lambda epoch: epoch.validation_loss)
    click.echo(f"{run}: validation loss {best.validation_loss:.3f} at epoch {best.epoch}. Next:", err=True)
    artifact = f"{run.resolve().name}-artifact"
    click.echo("  " + shlex.join(["aegen", "export", str(run), "-o", artifact]))
    click.echo("  " + shlex.join(["aegen", "sample", "--model", f"./{artifact}", "-n", "64", "-o", "grid.png"]))
    if interrupted:
        click.get_current_context().exit(INTERRUPTED)
