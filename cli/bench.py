"""`aegen bench`: measure how fast a model is on this machine."""

import sys
from typing import TYPE_CHECKING

import click

from .json_output import print_json
from .messages import progress_bars
from .options import chosen_model, json_option, model_argument, threads_option

if TYPE_CHECKING:
    from ..evaluation.speed import Speed


@click.command
@model_argument
@click.option(
    "--seconds",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="How long to measure each line of the table.",
)
@threads_option
@json_option
def command(argument: str | None, model: str | None, seconds: float, threads: int | None, as_json: bool) -> None:
    """Measure how fast a model encodes, decodes and samples on this machine.

    Each line is for one method and one number of images per call. It shows the median time of many calls, and the
    ratio of this time to the time of onnxruntime alone, which runs the same graphs on arrays that were prepared before.
    Calls of the method and of onnxruntime alternate.
    --json prints a list of {"method", "batch", "seconds", "onnxruntime_ratio"}.

    \b
    aegen bench
    aegen bench mnist-fast --threads 1 --json
    """
    import dataclasses

    from ..evaluation.speed import speeds
    from ..runtime.artifact import find

    results: list[Speed] = []
    lines_show_progress = not as_json and sys.stdout is not None and sys.stdout.isatty()
    head = f"{'method':<14}  {'images':>9}  {'one call':>10}  {'images/s':>11}  {'x onnxruntime':>13}"
    path = find(chosen_model(argument, model))
    with progress_bars(hidden=lines_show_progress) as report:
        for speed in speeds(path, threads=threads, seconds=seconds, report=report):
            if not as_json and not results:
                click.echo(head)
            if not as_json:
                click.echo(_row(speed))
            results.append(speed)
    if as_json:
        print_json([dataclasses.asdict(speed) for speed in results])


def _row(speed: "Speed") -> str:
    in_milliseconds = speed.seconds >= 0.001
    call = f"{speed.seconds * 1e3:,.2f} ms" if in_milliseconds else f"{speed.seconds * 1e6:,.1f} us"
    return (
        f"{speed.method:<14}  {speed.batch:>9,}  {call:>10}  {speed.images_per_second:>11,.0f}"
        f"  {speed.onnxruntime_ratio:>13.2f}"
    )
