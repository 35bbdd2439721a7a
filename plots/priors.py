"""Figure: a row of samples for each prior of a model, with the distance of the prior's samples to real images."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..evaluation.distances import frechet_distance
from ..evaluation.reference import ReferenceSet
from ..evaluation.tables import number
from ..runtime.autoencoder import Autoencoder
from .style import DPI, FAINT, figure_style

COLUMNS = 12
MAX_REAL = 48  # maximum number of real images in the last row
MIN_PIXELS = 56  # minimum side of an image in the figure
GAP = 3  # pixels between two images
REAL = "real images"
Report = Callable[[str, int, int], None]  # arguments: name of a step, amount done, total amount
# Space in inches: for the names of priors, for their distances, above all rows, and between two rows.
LEFT, RIGHT, TOP, BETWEEN = 1.15, 0.75, 0.62, 0.09


@dataclass(frozen=True)
class PriorDistances:
    """Frechet distances to real images. by_prior: those of samples, by prior. reference: that of training images.

    count: number of samples, number of real training images, and number of images that both are compared with. data,
    split: names of the data set and of its split that both are compared with. real_images: some training images, uint8
    (m, H, W[, 3]).
    """

    by_prior: Mapping[str, float]
    reference: float
    count: int
    data: str
    split: str
    real_images: np.ndarray


@dataclass(frozen=True)
class PriorRow:
    """A row of the figure. title: a prior's name, or REAL. images: uint8 (k, H, W[, 3]). distance: None if unknown."""

    title: str
    images: np.ndarray
    distance: float | None


@dataclass(frozen=True)
class PriorSamples:
    """The rows of the figure. default: the model's default prior. distances: None without real images."""

    model: str
    default: str
    seed: int
    rows: tuple[PriorRow, ...]
    distances: PriorDistances | None


def prior_distances(
    model: Autoencoder,
    reference: ReferenceSet,
    data: str,
    split: str = "test",
    *,
    seed: int = 0,
    report: Report = lambda step, done, total: None,
) -> PriorDistances:
    """Measure how far samples of each prior, and real training images, are from the test images of a reference set.

    The distances are those of `aegen evaluate`. data, split: names of the data set and of the split with the test
    images. report: called with the name of a prior, the number of its samples so far, and their total number.
    """
    by_prior = {
        prior: sample_distance(model, prior, reference, seed=seed, report=partial(report, prior))
        for prior in model.priors
    }
    real = reference_distance(reference)
    return PriorDistances(by_prior, real, len(reference), data, split, reference.real_images[:MAX_REAL])


def sample_distance(
    model: Autoencoder, prior: str, reference: ReferenceSet, *, seed: int, report: Callable[[int, int], None]
) -> float:
    """Frechet distance of samples of one prior.

    report: called with the number of samples so far, and their total number.
    """
    features: list[np.ndarray] = []
    for chunk in model.iter_sample(len(reference), seed=seed, prior=prior, dtype="uint8"):
        features.append(reference.extractor.extract(chunk).features)
        report(sum(map(len, features)), len(reference))
    return frechet_distance(np.concatenate(features), reference.test_features.features)


def reference_distance(reference: ReferenceSet) -> float:
    """Frechet distance of real training images to the test images: the mean over all sets in `reference.real_sets`."""
    extract, test = reference.extractor.extract, reference.test_features.features
    sets = [frechet_distance(extract(images).features, test) for images, _ in reference.real_sets]
    return sum(sets) / len(sets)


def prior_samples(
    model: Autoencoder, *, columns: int = COLUMNS, seed: int = 0, distances: PriorDistances | None = None
) -> PriorSamples:
    """Sample `columns` images of every prior, at the temperature of the model.

    With distances, the rows go from the farthest prior to the nearest, and real images are the last row. Without
    distances, the rows are in the order of `model.priors`.
    """
    known = {} if distances is None else distances.by_prior
    rows = [
        PriorRow(prior, model.sample(columns, seed=seed, prior=prior, dtype="uint8"), known.get(prior))
        for prior in model.priors
    ]
    if distances is not None:
        rows.sort(key=lambda row: -distances.by_prior[row.title])
        rows.append(PriorRow(REAL, distances.real_images[:columns], distances.reference))
    return PriorSamples(model.name, model.manifest.default_prior, seed, tuple(rows), distances)


def json_object(data: PriorSamples) -> dict[str, Any]:
    """The data of the figure as values for JSON: the rows in order with their Frechet distances, and the counts."""
    measured = data.distances
    return {
        "model": data.model,
        "default": data.default,
        "seed": data.seed,
        "data": measured and measured.data,
        "split": measured and measured.split,
        "count": measured and measured.count,
        "rows": [
            {"title": row.title, "images": len(row.images), "frechet_distance": row.distance} for row in data.rows
        ],
    }


def figure(data: PriorSamples) -> Figure:
    """Show a row of samples for each prior, its name on the left and its Frechet distance on the right."""
    strips = [_strip(row.images) for row in data.rows]
    height, width = (max(strip.shape[axis] for strip in strips) / DPI for axis in (0, 1))
    total = LEFT + width + (RIGHT if data.distances else BETWEEN)
    tall = TOP + len(strips) * (height + BETWEEN) + BETWEEN
    with figure_style():
        result = Figure(figsize=(total, tall))
        for index, (row, strip) in enumerate(zip(data.rows, strips, strict=True)):
            bottom, wide = tall - TOP - height - index * (height + BETWEEN), strip.shape[1] / DPI
            axes = result.add_axes((LEFT / total, bottom / tall, wide / total, height / tall))
            axes.imshow(strip, interpolation="nearest", aspect="auto")
            axes.set_axis_off()
            middle = (bottom + height / 2) / tall
            sides = ((LEFT - 0.08) / total, (LEFT + width + 0.1) / total)
            _texts(result, row, row.title == data.default, sides, middle)
        result.text(0.1 / total, 1 - 0.22 / tall, f"{data.model}: samples of every prior", weight="bold", size=11)
        result.text(0.1 / total, 1 - 0.42 / tall, _explanation(data), size=8, color=FAINT)
        if data.distances is not None:
            heading: dict[str, Any] = {"ha": "left", "va": "bottom", "size": 8, "color": FAINT, "linespacing": 1.1}
            result.text((LEFT + width + 0.1) / total, 1 - (TOP - 0.04) / tall, "Frechet\ndistance", **heading)
    return result


def _strip(images: np.ndarray) -> np.ndarray:
    """Put images (k, H, W[, 3]) side by side on white, enlarged by a whole number. Returns uint8 (h, w, 3)."""
    scale = max(1, round(MIN_PIXELS / max(images.shape[1:3])))
    large = images.repeat(scale, 1).repeat(scale, 2)
    coloured = large if large.ndim == 4 else large[..., None].repeat(3, -1)
    spaced = np.pad(coloured, ((0, 0), (0, 0), (0, GAP), (0, 0)), constant_values=255)
    return np.concatenate([*spaced], 1)[:, :-GAP]


def _texts(result: Figure, row: PriorRow, is_default: bool, sides: tuple[float, float], middle: float) -> None:
    """Write the name of the prior on the left of a row, and its distance on the right.

    is_default: whether the prior is the model's default. sides: where the name ends, and where the distance begins, as
    fractions of the figure's width. middle: the vertical position of both texts, as a fraction of the figure's height.
    """
    left, right = sides
    weight = "bold" if row.title == REAL else "normal"
    above = "bottom" if is_default else "center"
    result.text(left, middle, row.title, ha="right", va=above, size=10, weight=weight)
    if is_default:
        result.text(left, middle, "default", ha="right", va="top", size=8, color=FAINT)
    if row.distance is not None:
        result.text(right, middle, number(row.distance), ha="left", va="center", size=10, weight=weight)


def _explanation(data: PriorSamples) -> str:
    """The text below the title, which says what the numbers mean and which seed was used."""
    if data.distances is None:
        return f"seed {data.seed}"
    count, split = f"{data.distances.count:,}", f"{data.distances.split} images of {data.distances.data}"
    return f"Frechet distance: {count} samples against as many {split}; lower is better. Seed {data.seed}."
