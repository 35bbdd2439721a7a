"""`aegen bench`: measure how fast a model is on this machine."""

import sys
from typing import TYPE_CHECKING

import click

from .json_output import print_json
from .messages import note, plural, progress_bars
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
    Calls of the method and of onnxruntime alternate. The numbers of images are 1, 64, 1,024 and 16,384; the largest is
    smaller if its calls would take too long for --seconds.

    "of peak" compares the model's multiply-accumulates with the machine's peak, a float32 matrix product on as many
    threads: it is the fraction of the processor time that they would take at this speed. "limit" says what takes most
    of the processor time: this arithmetic, bandwidth, which is reading and writing at the speed of copying, or
    overhead, which is the rest.

    --json prints a list of {"method", "batch", "seconds", "onnxruntime_ratio", "arithmetic", "bandwidth", "overhead",
    "limit", "peak_macs_per_second", "peak_bytes_per_second"}.

    \b
    aegen bench
    aegen bench mnist-fast --threads 1 --json
    """
    from ..evaluation.speed import BATCHES, speeds
    from ..runtime.artifact import find

    results: list[Speed] = []
    lines_show_progress = not as_json and sys.stdout is not None and sys.stdout.isatty()
    head = (
        f"{'method':<12}  {'images':>6}  {'one call':>9}  {'images/s':>9}  {'x onnxruntime':>13}  {'of peak':>7}  limit"
    )
    path = find(chosen_model(argument, model))
    with progress_bars(hidden=lines_show_progress) as report:
        for speed in speeds(path, threads=threads, seconds=seconds, report=report):
            if not as_json and not results:
                click.echo(head)
            if not as_json:
                click.echo(_row(speed))
            results.append(speed)
    if as_json:
        print_json([speed.json_object() for speed in results])
    largest = results[-1].batch
    if largest < BATCHES[-1]:
        note(f"Larger calls than of {plural(largest, 'image')} would take too long. A larger --seconds includes them.")


def _row(speed: "Speed") -> str:
    return (
        f"{speed.method:<12}  {speed.batch:>6,}  {_time(speed.seconds):>9}  {speed.images_per_second:>9,.0f}"
        f"  {speed.onnxruntime_ratio:>13.2f}  {speed.roofline.arithmetic:>7.0%}  {speed.roofline.limit}"
    )


def _time(seconds: float) -> str:
    """A time as text of up to nine characters."""
    if seconds >= 1:
        return f"{seconds:,.2f} s"
    return f"{seconds * 1e3:.2f} ms" if seconds >= 0.001 else f"{seconds * 1e6:.1f} us"
