"""`aegen create`: make a generator of a set of images with one command."""

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..images.read_options import DEFAULT_OPTIONS
from .data_sets import load_data, read_options
from .options import folder_output, threads_option, usage

if TYPE_CHECKING:
    from ..images.read_options import ReadOptions
    from .create_run import Request

DEFAULT_BUDGET, DEFAULT_FAST_BUDGET = "30m", "10m"


@click.command
@click.option(
    "--data", metavar="NAME|PATH", help="Images to learn from, as for `aegen train`.  [required unless --resume]"
)
@folder_output("artifact", required=False)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="MODEL",
    help="Continue an unfinished run.  [default: a new run]",
)
@click.option(
    "--budget",
    metavar="TIME",
    help=f"How long it may take in all, such as 45s, 30m or 2h.  [default: {DEFAULT_BUDGET}; {DEFAULT_FAST_BUDGET} "
    "with --fast]",
)
@click.option("--fast", is_flag=True, help="Make a light network, which samples many times faster but less well.")
@click.option("--dry-run", is_flag=True, help="Print the plan with its commands, and do nothing else.")
@read_options
@click.option("--name", metavar="NAME", help="The model's name.  [default: its folder's]")
@click.option("--licence", metavar="TEXT", help="Licence of the images.  [default: what aegen knows of it]")
@threads_option
def command(
    data: str | None,
    artifact: Path | None,
    resume: Path | None,
    budget: str | None,
    fast: bool,
    dry_run: bool,
    reading: "ReadOptions",
    name: str | None,
    licence: str | None,
    threads: int | None,
) -> None:
    """Make a generator of your images: train, refine, export and measure a model, within a budget of time.

    aegen looks at the images, measures this machine for some seconds, and makes a plan: which network of which size,
    and how many steps of each stage. The stages are the commands train, train-prior, refine and export, and at last
    train-features unless a feature extractor of the images ships with aegen. --dry-run prints the plan and these
    commands; run by hand, they make the same model. docs/create.md has the rules.

    OUTPUT becomes the model's folder, with nothing but the model in it. The folder OUTPUT-run beside it holds the plan,
    the networks in training, and at the end samples.png, which shows samples beside real images, and summary.json. You
    may delete it afterwards, or train its networks further. After Ctrl-C or a crash, --resume OUTPUT continues the
    plan, and the result is that of a run without the interruption.

    \b
    aegen create --data my-images/ -o my-model --budget 30m
    aegen create --data mnist -o digits --fast --dry-run
    """
    began = time.monotonic()
    if resume is not None:
        source = click.get_current_context().get_parameter_source("threads")
        chosen = [
            data,
            artifact,
            budget,
            fast,
            dry_run,
            name,
            licence,
            source == click.core.ParameterSource.COMMANDLINE,
        ]
        if any(chosen) or reading != DEFAULT_OPTIONS:
            raise click.UsageError("--resume takes the folder and all options of the run.")
        _resume(resume, began)
        return
    if data is None or (artifact is None and not dry_run):
        raise click.UsageError("Missing --data and -o, or --resume.")
    from ..recipes.budget import budget_seconds
    from ..runtime.extras import require_extra
    from .create_run import Request

    require_extra("train", "create a model")

    with usage():
        seconds = budget_seconds(budget or (DEFAULT_FAST_BUDGET if fast else DEFAULT_BUDGET))
    request = Request(data, reading, seconds, fast, threads, name, licence)
    if dry_run:
        _print_plan(request, artifact or Path("my-model"), began)
    else:
        _begin(request, artifact or Path(), began)


def _print_plan(request: "Request", artifact: Path, began: float) -> None:
    """Print the plan of a run and its commands, for --dry-run."""
    from ..data.datasets import loaded_once
    from .create_run import run_folder
    from .create_stages import stages
    from .create_work import plan_lines, planned

    with loaded_once():
        load_data(request.data, request.reading)
        plan = planned(request, began)
    for line in plan_lines(plan):
        click.echo(line)
    for stage in stages(request, plan, run_folder(artifact), artifact):
        click.echo(f"  {stage.text}")


def _begin(request: "Request", artifact: Path, began: float) -> None:
    """Begin a run. Raises OutputError if the model's folder or the run's folder already holds something."""
    from ..data.datasets import loaded_once
    from ..files.atomic import require_parent
    from ..files.locks import locked_folder
    from ..files.temporary import clear_partial_files, exists_nonempty
    from ..runtime.errors import OutputError
    from .create_run import RECORD, CreateRun, run_folder, save
    from .create_work import checked_source, work

    request = dataclasses.replace(request, data=checked_source(request.data))
    require_parent(artifact)
    if exists_nonempty(artifact):
        found, remedy = "something there already", "Choose another name, or remove it."
        raise OutputError(str(artifact), found=found, expected="a free name", remedy=remedy)
    folder, run = run_folder(artifact), CreateRun(request)
    with loaded_once():
        load_data(request.data, request.reading)  # first, so that unreadable images leave no folder
        with locked_folder(folder):
            remedy = f"Continue it with --resume {artifact}, choose another name, or remove it."
            clear_partial_files(folder, (RECORD,), remedy=remedy)
            save(run, folder)
            work(run, folder, artifact, began)


def _resume(artifact: Path, began: float) -> None:
    """Continue a run that was interrupted, for --resume."""
    from ..data.datasets import loaded_once
    from ..files.locks import locked_folder
    from ..files.temporary import clear_partial_files
    from .create_result import GRID, SUMMARY
    from .create_run import RECORD, read, run_folder
    from .create_work import work

    folder = run_folder(artifact)
    run = read(folder)
    with loaded_once(), locked_folder(folder):
        clear_partial_files(folder, (RECORD, GRID, SUMMARY), resumed=True)
        work(run, folder, artifact, began)
