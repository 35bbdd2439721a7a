"""`aegen bench`: how fast a model is on this machine."""

from typing import TYPE_CHECKING, Any

import click

from .options import chosen_model, json_option, model_argument, threads_option
from .stopping import end_if_told

if TYPE_CHECKING:
    from ..evaluation.speed import Speed


@click.command
@model_argument
@click.option("--seconds", type=click.FloatRange(0), default=1.0, show_default=True, help="Spent on each line.")
@threads_option
@json_option
def command(argument: str | None, model: str | None, seconds: float, threads: int | None, as_json: bool) -> None:
    """Measure how fast a model encodes, decodes and samples here.

    A line is a method at a number of images in one call: medians of many calls, and how many times as long they take as
    onnxruntime alone, which runs the same graphs in turn with aegen on arrays that are ready for it.
    --json prints a list of {"method", "batch", "seconds", "overhead"}.

    \b
    aegen bench
    aegen bench mnist-fast --threads 1 --json
    """
    import dataclasses
    import json

    from ..evaluation.speed import speeds
    from ..runtime.artifact import find

    found: list[dict[str, Any]] = []
    head = f"{'method':<14}  {'images':>9}  {'a call':>10}  {'images/s':>11}  {'onnxruntime x':>13}"
    for speed in speeds(find(chosen_model(argument, model)), threads=threads, seconds=seconds):
        end_if_told()
        if not as_json and not found:
            click.echo(head)
        if not as_json:
            click.echo(_row(speed))
        found.append(dataclasses.asdict(speed))
    if as_json:
        click.echo(json.dumps(found, indent=2))


def _row(speed: "Speed") -> str:
    long = speed.seconds >= 0.001
    call = f"{speed.seconds * 1e3:,.2f} ms" if long else f"{speed.seconds * 1e6:,.1f} us"
    return (
        f"{speed.method:<14}  {speed.batch:>9,}  {call:>10}  {speed.images_per_second:>11,.0f}  {speed.overhead:>13.2f}"
    )
