"""The work of `aegen create`: make the plan, run its stages, and measure the model."""

import os
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..recipes.budget import duration
from .create_progress import create_progress
from .create_result import measured, print_result
from .create_run import CreateRun, save, with_done, with_plan
from .create_stages import STAGES, stages
from .messages import say

if TYPE_CHECKING:
    from ..recipes.plan import Plan
    from .create_run import Request

MEASUREMENT = "measurement"


def checked_source(data: str) -> str:
    """The name of a known set, or the absolute path of the images. Raises InputError for a pipe."""
    from ..data.downloads import KNOWN
    from ..files.paths import is_pipe
    from ..runtime.errors import InputError

    if is_pipe(data):
        expected = "a file or a folder, because the images are read again when a run is resumed"
        raise InputError(data, found="a pipe or a device", expected=expected, remedy="Write the images to a file.")
    return data if data in KNOWN else str(Path(data).resolve())


def planned(request: "Request", began: float) -> "Plan":
    """Read the images, measure the machine and make the plan. began: time.monotonic() when the command began."""
    from ..data.datasets import load
    from ..train.planning import plan_for

    return plan_for(
        load(request.data, request.reading), request.budget, began=began, fast=request.fast, threads=request.threads
    )


def plan_lines(plan: "Plan") -> Iterator[str]:
    """The plan in sentences: what is chosen and why, and how long each stage takes."""
    yield from plan.reasons
    parts = [*STAGES.values(), (MEASUREMENT, ("measure",))]
    times = [
        f"{title} {duration(sum(plan.seconds[name] for name in names))}"
        for title, names in parts
        if names[0] in plan.seconds
    ]
    yield f"expected: {', '.join(times)}"


def work(run: CreateRun, folder: Path, artifact: Path, began: float) -> None:
    """Do the rest of a run, and print the result. folder: the run's folder, which this process has locked."""
    try:
        plan = run.plan
        if plan is None:
            plan = planned(run.request, began)
            run = with_plan(run, plan)
            save(run, folder)
        for line in plan_lines(plan):
            say(line)
        _train_and_measure(run, plan, folder, artifact)
        _say_time(run.request, began)
    except KeyboardInterrupt:
        say(f"`{shlex.join(['aegen', 'create', '--resume', str(artifact)])}` continues this run.")
        raise


def _say_time(request: "Request", began: float) -> None:
    """Print how long this command took, the budget for comparison, and how busy the machine was."""
    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    taken, processor = duration(time.monotonic() - began), duration(time.process_time())
    say(f"this command took {taken} ({processor} of CPU time{load}); the budget was {duration(request.budget)}")


def _train_and_measure(run: CreateRun, plan: "Plan", folder: Path, artifact: Path) -> None:
    """Run the stages that are not done, measure the model, and print the result."""
    from ..train.loop import watched

    planned_stages = stages(run.request, plan, folder, artifact)
    expected = [(stage.title, stage.seconds) for stage in planned_stages]
    measuring = MEASUREMENT, plan.seconds["measure"]
    with create_progress([*expected, measuring], plan.steps) as progress:
        with watched(progress.watch):
            for stage in planned_stages:
                if stage.name not in run.done:
                    progress.begin(stage.title)
                    stage.run()
                    run = with_done(run, stage.name)
                    save(run, folder)
        progress.begin(MEASUREMENT)
        result = measured(run.request, plan, folder, artifact)
    print_result(plan, result, folder, artifact)
