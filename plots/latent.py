"""Figure: the latents of images as points of a plane, coloured by class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from ..runtime.errors import InputError
from .projection import Method, Projection, project
from .spacing import separate
from .style import COLOURS, INK, MARKERS, figure_style, text_size
from .thumbnails import thumbnails

MAX_LEGEND = 60  # a legend of more classes would be larger than the plot
MAX_LEGEND_ROWS = 20
THUMBNAIL_GAP = 2  # pixels between two thumbnails
NAME_SIZE, NAME_GAP = 8, 4  # font size in points of the names beside points; pixels between two names
SIZE = (7.2, 5.8)  # width and height in inches
LAYERS = 20  # points are drawn in this many layers, each with points of all classes
# Marker -> factor on its area. With these factors, all markers look equally large.
AREAS = {"o": 1.0, "s": 0.9, "^": 1.15, "D": 0.75, "v": 1.15, "P": 1.2, "X": 1.2, "<": 1.15, "*": 1.7, ">": 1.15}


@dataclass(frozen=True)
class LatentScatter:
    """The data of the figure: latents as points of a plane, with their classes, names and images.

    projection: the points (n, 2) and what their axes mean. classes: the names of the k classes, empty without labels.
    class_indices: the class of each point, int64 (n,); zeros without labels. names: a text for each point, such as its
    number, or empty. images: an image for each point, uint8 (n, H, W[, 3]), or None. title: one line above the plot.
    """

    projection: Projection
    classes: tuple[str, ...]
    class_indices: np.ndarray
    names: tuple[str, ...] = ()
    images: np.ndarray | None = None
    title: str = ""


def latent_scatter(
    latents: np.ndarray,
    *,
    method: Method | None = None,
    labels: np.ndarray | None = None,
    class_names: Sequence[str] = (),
    names: Sequence[str] = (),
    images: np.ndarray | None = None,
    title: str = "",
    seed: int = 0,
) -> LatentScatter:
    """Compute the data of the figure.

    latents: (n, d). method, seed: see `project`. labels: the label of each latent, int64 (n,); only the classes that
    occur are shown. class_names: the names of the labels 0, 1, ...; without them, labels are shown as numbers. names:
    texts that are shown in place of dots. images: images to show in place of dots, uint8 (n, H, W[, 3]).
    Raises InputError for latents that cannot be projected, or another number of labels than of latents.
    """
    if labels is not None and len(labels) != len(latents):
        raise InputError("labels", found=f"{len(labels)} labels", expected=f"{len(latents)}, one for each latent")
    projection = project(latents, method, seed=seed)
    values, indices = np.unique(np.zeros(len(latents), np.int64) if labels is None else labels, return_inverse=True)
    classes = () if labels is None else tuple(class_title(int(value), class_names) for value in values)
    return LatentScatter(projection, classes, indices.reshape(-1), tuple(names), images, title)


def class_title(label: int, class_names: Sequence[str]) -> str:
    """The name of a label, or the label itself if it has no name."""
    return class_names[label] if 0 <= label < len(class_names) else str(label)


def json_object(data: LatentScatter) -> dict[str, Any]:
    """The data of the figure as values for JSON: the method, the axes, and for each point its position and class."""
    names: dict[str, Any] = {"names": list(data.names)} if data.names else {}
    return {
        "title": data.title,
        "method": data.projection.method,
        "axes": list(data.projection.axes),
        "classes": list(data.classes),
        "points": np.round(data.projection.points, 6).tolist(),
        "class_indices": data.class_indices.tolist() if data.classes else [],
        **names,
    }


def figure(data: LatentScatter, *, size: tuple[float, float] = SIZE, legend_below: bool = False) -> Figure:
    """Show the points: each class with its own colour and marker, its name in a legend beside the plot, or below it.

    Images or names, if there are any, are shown in place of dots, as far as they do not overlap. size: width and height
    in inches.
    """
    with figure_style():
        result = Figure(figsize=size, layout="constrained")
        axes = result.add_subplot()
        unnamed = len(data.classes) > MAX_LEGEND
        axes.set_title(f"{data.title} ({len(data.classes)} classes)" if unnamed else data.title)
        axes.set(xlabel=data.projection.axes[0], ylabel=data.projection.axes[1])
        if data.projection.method == "tsne":  # positions and distances of t-SNE have no unit
            axes.set(xticks=[], yticks=[])
        axes.set_aspect("equal", adjustable="datalim")
        axes.margins(0.03)
        _dots(axes, data)
        if 1 < len(data.classes) <= MAX_LEGEND:
            _legend(result, data, below=legend_below)
        result.draw_without_rendering()  # computes the layout, and so the position of each point in pixels
        result.set_layout_engine("none")
        axes.autoscale(False)
        axes.set_aspect("auto")  # keep the scales, which are equal now
        if data.images is not None:
            _images(axes, data, data.images)
        elif data.names:
            _names(axes, data)
    return result


def _dots(axes: Axes, data: LatentScatter) -> None:
    """Draw a dot for each point, in an order in which the classes are mixed, so that no class covers the others."""
    points, n = data.projection.points, len(data.projection.points)
    if data.images is not None:  # invisible dots let matplotlib choose the limits of the axes
        axes.scatter(*points.T, alpha=0)
        return
    size = 12.0 if data.names else float(np.clip(30_000 / n, 10, 40))
    order = np.random.default_rng(0).permutation(n)
    for rows in np.array_split(order, min(LAYERS, n)):
        for index in np.unique(data.class_indices[rows]):
            colour, marker = class_style(int(index))
            chosen = rows[data.class_indices[rows] == index]
            x, y = points[chosen].T
            area = size * AREAS[marker]
            axes.scatter(x, y, s=area, c=colour, marker=marker, linewidths=0.25, edgecolors="white")


def _legend(result: Figure, data: LatentScatter, *, below: bool) -> None:
    """Show the names of the classes in the order of their labels, on the right of the plot or below it."""
    handles = []
    for index, name in enumerate(data.classes):
        colour, marker = class_style(index)
        marker = "s" if data.images is not None else marker
        size = 6.5 * AREAS[marker] ** 0.5
        handles.append(Line2D([], [], linestyle="", marker=marker, color=colour, markersize=size, label=name))
    if below:
        position: dict[str, Any] = {"loc": "outside lower center", "ncols": min(5, len(handles))}
    else:
        position = {"loc": "outside right upper", "ncols": -(-len(handles) // MAX_LEGEND_ROWS), "title": "class"}
    result.legend(handles=handles, alignment="left", handlelength=1, handletextpad=0.4, **position)


def class_style(index: int) -> tuple[str, str]:
    """The colour and the marker of a class. The first 100 classes have different combinations."""
    return COLOURS[index % len(COLOURS)], MARKERS[(index + index // len(COLOURS)) % len(MARKERS)]


def _images(axes: Axes, data: LatentScatter, images: np.ndarray) -> None:
    """Show as many images as do not overlap, in place of their points."""
    pixels = axes.transData.transform(data.projection.points)
    window = axes.get_window_extent()
    small = thumbnails(images[:1])
    height, width = small.shape[1:3]
    rows = separate(pixels, width + THUMBNAIL_GAP, height + THUMBNAIL_GAP)
    canvas = np.zeros((round(window.height), round(window.width), 4), np.uint8)
    colours = [class_style(index)[0] for index in data.class_indices[rows]] if data.classes else [INK] * len(rows)
    corners = np.round(pixels[rows] - (window.x0, window.y0) - (width / 2, height / 2)).astype(int)
    for image, (left, bottom) in zip(thumbnails(images[rows], colours), corners, strict=True):
        top = canvas.shape[0] - bottom - height
        inside = canvas[max(top, 0) : top + height, max(left, 0) : left + width]
        inside[:] = image[max(-top, 0) :, max(-left, 0) :][: inside.shape[0], : inside.shape[1]]
    shown = AxesImage(axes, extent=(*axes.get_xlim(), *axes.get_ylim()), origin="upper", interpolation="none")
    shown.set_data(canvas)
    axes.add_image(shown)


def _names(axes: Axes, data: LatentScatter) -> None:
    """Show names in place of dots, as many as fit without overlapping."""
    pixels = axes.transData.transform(data.projection.points)
    sizes = np.array([text_size(name, NAME_SIZE) for name in data.names])
    for row in separate(pixels, sizes[:, 0] + NAME_GAP, sizes[0, 1]):
        x, y = data.projection.points[row]
        text = axes.text(
            x, y, data.names[row], ha="center", va="center", size=NAME_SIZE, color=INK, clip_on=True, zorder=3
        )
        text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
