"""`aegen train`: train an autoencoder."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..images.read_options import DEFAULT_OPTIONS
from ..recipes.training import Recipe, named_recipe
from .data_sets import read_options
from .messages import be_quiet, note, plural, say
from .next_steps import after_interrupted_train, after_train, say_next
from .options import folder_output, threads_option, usage
from .recipe_options import chosen_hyperparameters, recipe_options
from .stopping import INTERRUPTED, raise_pending_signal

if TYPE_CHECKING:
    from ..images.read_options import ReadOptions
    from ..recipes.history import Epoch
    from ..train.checkpoint import Checkpoint


DEFAULT_RECIPE = "ae"


@click.command
@click.option("--data", metavar="NAME|PATH", help="Images to train on.  [required unless --resume]")
@folder_output("run", required=False)
@click.option(
    "--resume", type=click.Path(path_type=Path), metavar="RUN", help="Continue an unfinished run.  [default: a new run]"
)
@read_options
@threads_option
@click.option("--recipe", metavar="NAME|FILE", help=f"ae, dae, vae, conv, or a TOML file.  [default: {DEFAULT_RECIPE}]")
@recipe_options(Recipe, alternative="the recipe's")
def command(
    data: str | None,
    run: Path | None,
    resume: Path | None,
    threads: int | None,
    recipe: str | None,
    reading: "ReadOptions",
    **hyperparameters: Any,
) -> None:
    """Train an autoencoder.

    --data is mnist, fashion-mnist, kmnist or emnist-digits, which are downloaded and verified; or a path: a folder of
    images whose sub-folders are the classes, .npy or .npz arrays, IDX files, a CSV or Parquet table, or a .zip or .tar
    archive of any of these. `aegen info --data PATH` shows how a path is understood.

    After every epoch best.pt, last.pt and metrics.jsonl are written to OUTPUT. Ctrl-C keeps the last complete epoch,
    and --resume continues from it, with the same result as without the interruption. Each of the options listed below
    after --recipe replaces one hyperparameter of the recipe.

    \b
    aegen train --recipe vae --data mnist -o runs/vae
    aegen train --resume runs/vae
    """
    overrides = chosen_hyperparameters(hyperparameters)
    if resume is not None:
        if run or recipe or overrides or reading != DEFAULT_OPTIONS:
            raise click.UsageError("--resume takes the folder, the recipe and the options of the run.")
        from ..train import checkpoint

        last = checkpoint.read(resume / checkpoint.LAST)
        _train(last.recipe, last.source(data), last.reading, resume, threads, last)
    elif data is not None and run is not None:
        with usage():
            chosen = named_recipe(recipe or DEFAULT_RECIPE, **overrides)
        _train(chosen, data, reading, run, threads, None)
    else:
        raise click.UsageError("Missing --data and -o, or --resume.")


def _train(
    recipe: Recipe,
    data: str,
    reading: "ReadOptions",
    run: Path,
    threads: int | None,
    resume: "Checkpoint | None",
) -> None:
    """Train, and print the progress and the next commands. In distributed training only the first process prints."""
    from ..data.datasets import load
    from ..data.downloads import KNOWN
    from ..files.paths import is_pipe
    from ..recipes.advice import few_steps
    from ..recipes.settled import settled
    from ..train import checkpoint, processes
    from ..train.autoencoder import train

    if not processes.is_first():
        be_quiet()
    dataset = load(data, reading)
    recipe = settled(recipe, len(dataset.train), dataset.shape)
    facts, progress = dataset.facts, _Progress(recipe, dataset.facts.training_images)
    say(f"{facts.name}: {plural(facts.training_images, 'training image')}, {facts.validation_images:,} held out")
    too_few = few_steps(recipe, facts.training_images)
    for remark in (*dataset.remarks, *([too_few] if too_few else [])):
        note(remark)
    if resume is not None:
        progress.history += resume.history
    source = data if data in KNOWN else checkpoint.PIPE if is_pipe(data) else str(Path(data).resolve())
    interrupted = False
    try:
        train(recipe, dataset, run, data=source, threads=threads, resume=resume, report=progress.report)
    except KeyboardInterrupt:
        if not progress.history:
            raise
        interrupted = True
        say(f"Interrupted: {run} keeps the run up to epoch {progress.history[-1].epoch}.")
    if resume is not None and resume.epoch >= recipe.epochs:
        say(f"{run}: all {plural(recipe.epochs, 'epoch')} were done before; nothing is left to train.")
    if processes.is_first():
        progress.say_best(run)
        say_next(*(after_interrupted_train if interrupted else after_train)(run, source))
    if interrupted:
        click.get_current_context().exit(INTERRUPTED)


class _Progress:
    """Collects the results of the epochs of a run, and prints the progress."""

    def __init__(self, recipe: Recipe, training_images: int) -> None:
        self.recipe, self.training_images = recipe, training_images
        self.history: list[Epoch] = []
        self.epoch_began = time.perf_counter()

    def report(self, epoch: "Epoch") -> None:
        """Print the losses and the speed of an epoch."""
        self.history.append(epoch)
        now = time.perf_counter()
        speed, self.epoch_began = self.training_images / (now - self.epoch_began), now
        parts = f" = {epoch.reconstruction:.3f} + KL {epoch.penalty:.3f}" if self.recipe.kind == "vae" else ""
        say(
            f"epoch {epoch.epoch}/{self.recipe.epochs}  train {epoch.train_loss:.3f}  "
            f"validation {epoch.validation_loss:.3f}{parts}  {speed:,.0f} images/s"
        )
        raise_pending_signal()

    def say_best(self, run: Path) -> None:
        """Print the best epoch, whose weights other commands use."""
        best = min(self.history, key=lambda epoch: epoch.validation_loss)
        say(f"{run}: validation loss {best.validation_loss:.3f} at epoch {best.epoch}")
