"""Figure: for models and priors, the distance of samples to real images against the time to sample an image."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from ..evaluation.speed import interleaved
from ..evaluation.tables import number
from ..files.sources import read_text
from ..runtime.autoencoder import Autoencoder
from ..runtime.errors import InputError
from ..runtime.records import from_json, read_json
from .spacing import label_positions
from .style import COLOURS, DPI, FAINT, INK, MARKERS, figure_style, text_size

SIZE = (7.6, 5.4)  # width and height in inches
SECONDS = 2.0  # minimum time for measuring the speed of all models together
LABEL_SIZE = 8  # font size in points
LABEL_GAP = 13  # pixels between a point and its label


@dataclass(frozen=True)
class Distances:
    """Frechet distances to real images. by_prior: of samples, by (model, prior). reference: of training images.

    count: number of samples, and of the real images that they are compared with. data, split: names of the data set and
    of its split with these images.
    """

    by_prior: Mapping[tuple[str, str], float]
    reference: float | None
    count: int
    data: str
    split: str


@dataclass(frozen=True)
class QualityPoint:
    """A model with one of its priors. microseconds: shortest measured time to sample an image."""

    model: str
    prior: str
    frechet_distance: float
    microseconds: float


@dataclass(frozen=True)
class Quality:
    """The data of the figure: its points, and how they were measured.

    reference, count, data, split: as in `Distances`. batch: number of images in a measured call. threads: number of
    threads that worked on a call.
    """

    points: tuple[QualityPoint, ...]
    reference: float | None
    count: int
    data: str
    split: str
    batch: int
    threads: int


@dataclass(frozen=True)
class _Scores:
    """The part of the JSON printed by `aegen evaluate` and `aegen compare` that this figure needs."""

    model: str
    prior: str
    samples: int
    data: str
    split: str
    metrics: dict[str, Any]


def read_distances(files: Sequence[str | Path]) -> Distances:
    """Read Frechet distances from JSON files that `aegen evaluate` and `aegen compare` printed.

    Raises NotFoundError when a file is missing, InputError when a file holds no such JSON, or when its distances are to
    other images than those of another file.
    """
    by_prior, first, reference = {}, None, None
    for file in map(str, files):
        content = read_json(read_text(file).encode(), file)
        for record in content if isinstance(content, list) else [content]:
            scores = from_json(_Scores, record, file)
            score = scores.metrics.get("frechet_distance")
            if not isinstance(score, dict) or not isinstance(score.get("value"), int | float):
                raise InputError(file, found="no Frechet distance", expected="the JSON of evaluate or compare")
            first = first or scores
            if (scores.samples, scores.data, scores.split) != (first.samples, first.data, first.split):
                found = f"{scores.samples:,} {scores.split} images of {scores.data}"
                expected = f"{first.samples:,} {first.split} images of {first.data}, as before"
                raise InputError(file, found=found, expected=expected)
            by_prior[scores.model, scores.prior] = float(score["value"])
            reference = score.get("reference", reference)
    if first is None:
        raise InputError("scores", found="none", expected="at least one model")
    return Distances(by_prior, reference, first.samples, first.data, first.split)


def quality(
    models: Mapping[str, Autoencoder],
    distances: Distances,
    *,
    batch: int = 1024,
    threads: int = 1,
    report: Callable[[str, int, int], None] = lambda step, done, total: None,
) -> Quality:
    """Measure how long samples take, and put the times beside the distances.

    models: the models by name. batch: images in a call. threads: the number that `models` were loaded with, for the
    texts of the figure. report: called with the name of this step, the number of calls so far, and their total number.
    """
    calls = [
        partial(models[model].sample, batch, seed=0, prior=prior, dtype="uint8") for model, prior in distances.by_prior
    ]
    report("measure the speed", 0, len(calls))
    # Take the shortest time, because other programs on the machine can only make a time longer.
    times = [min(seconds) / batch * 1e6 for seconds in interleaved(calls, SECONDS)]
    points = [
        QualityPoint(model, prior, distance, microseconds)
        for ((model, prior), distance), microseconds in zip(distances.by_prior.items(), times, strict=True)
    ]
    facts = (distances.reference, distances.count, distances.data, distances.split)
    return Quality(tuple(points), *facts, batch, threads)


def json_object(data: Quality) -> dict[str, Any]:
    """The data of the figure as values that can be written as JSON."""
    return asdict(data)


def figure(data: Quality) -> Figure:
    """Show a point for each model and prior: a colour and a marker for each model, the prior's name beside a point."""
    names = list(dict.fromkeys(point.model for point in data.points))
    with figure_style():
        result = Figure(figsize=SIZE, layout="constrained")
        axes = result.add_subplot()
        axes.set_title("Quality of samples and time, by model and prior")
        axes.set(xscale="log", yscale="log")
        for index, name in enumerate(names):
            points = [point for point in data.points if point.model == name]
            xs, ys = [point.microseconds for point in points], [point.frechet_distance for point in points]
            colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
            axes.scatter(
                xs, ys, s=48, c=colour, marker=marker, edgecolors="white", linewidths=0.5, label=name, zorder=3
            )
        if data.reference is not None:
            axes.axhline(data.reference, color=INK, linewidth=1, linestyle="--")
        threads = f"{data.threads} thread{'s' if data.threads > 1 else ''}"
        axes.set_xlabel(f"microseconds for an image, {data.batch:,} at a time on {threads}")
        axes.set_ylabel(f"Frechet distance of {data.count:,} samples\nto as many {data.split} images of {data.data}")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axis.set_minor_formatter(NullFormatter())
        axes.grid()
        axes.margins(0.08)
        result.legend(loc="outside right upper", title="model", alignment="left", handlelength=1)
        result.draw_without_rendering()
        result.set_layout_engine("none")
        axes.autoscale(False)
        _labels(axes, data)
    return result


def _labels(axes: Axes, data: Quality) -> None:
    """Write the name of the prior beside each point, and "real images" beside the line of the reference."""
    window = axes.get_window_extent()
    corner = np.array([window.x0, window.y0])
    positions = np.array([(point.microseconds, point.frechet_distance) for point in data.points])
    pixels = axes.transData.transform(positions) - corner
    sizes = np.array([text_size(point.prior, LABEL_SIZE) for point in data.points])
    if data.reference is not None:
        y = axes.transData.transform((positions[0, 0], data.reference))[1] - corner[1]
        text = f"real images: {number(data.reference)}"
        axes.annotate(
            text,
            (1, data.reference),
            (-2, -3),  # the text is below the line, because the points are above the line
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            ha="right",
            va="top",
            size=LABEL_SIZE,
            weight="bold",
        )
        width, height = text_size(text, LABEL_SIZE)
        pixels = np.vstack([pixels, (window.width - width / 2, y - height / 2)])
        sizes = np.vstack([sizes, (width, height)])
    centres = label_positions(pixels, sizes, (window.width, window.height), LABEL_GAP)
    for point, pixel, centre, size in zip(data.points, pixels, centres, sizes, strict=False):
        offset = (centre - pixel) / DPI * 72
        near = bool((np.abs(centre - pixel) <= size / 2 + 2 * LABEL_GAP).all())
        axes.annotate(
            point.prior,
            (point.microseconds, point.frechet_distance),
            offset,
            textcoords="offset points",
            ha="center",
            va="center",
            size=LABEL_SIZE,
            arrowprops=None
            if near
            else {"arrowstyle": "-", "color": FAINT, "linewidth": 0.5, "shrinkA": 1, "shrinkB": 3},
        )
