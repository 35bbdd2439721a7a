"""Sections about the latent space: the latents of images in a plot, and what each latent dimension changes."""

import numpy as np

from ..plots.latent import LatentScatter, figure, latent_scatter
from ..plots.style import FAINT, INK, svg_text
from ..runtime.errors import ArtifactError, InputError
from .blocks import Absent, Block, Figure, Row, Rows, Section, Text, embedded
from .subject import Subject
from .wording import listed, plural

STEPS, DIMENSIONS, EXTENT = 9, 8, 3.0  # images in a row; number of rows; standard deviations to each side
INACTIVE = 0.01  # dimensions that change pixels by less than this, on average, are inactive
FIGURE_INCHES = (4.2, 4.6)  # narrow, so that its text can be read on a phone
COLOURS = {INK: "var(--ink)", FAINT: "var(--faint)", "#e4e4e4": "var(--line)", "#ffffff": "var(--card)"}


def scatter_section(subject: Subject) -> Section:
    """The section with the latents of real images as points of a plane, coloured by class."""
    title = "The latent space"
    intro = (
        "Each point is the latent of an image. Images that are alike for the encoder are near each other; gaps are "
        "latents that no image has."
    )
    if subject.dataset is None:
        return Section("latents", title, intro, [Absent(subject.no_data)])
    try:
        scatter = latent_scatter(subject.latents, labels=subject.labels, class_names=subject.dataset.class_names)
    except InputError as error:
        return Section("latents", title, intro, [Absent(f"Not shown, because no plane can be found: {error}.")])
    blocks: list[Block] = [_scatter_figure(subject, scatter)]
    if subject.labels is None:
        blocks.append(Absent("The points have one colour, because the images have no labels."))
    return Section("latents", title, intro, blocks)


def _scatter_figure(subject: Subject, scatter: LatentScatter) -> Figure:
    axes, classes = scatter.projection.axes, scatter.classes
    counts = np.bincount(scatter.class_indices)
    by_class = listed([f"{name} ({count:,})" for name, count in zip(classes, counts, strict=False)])
    alt = f"Scatter plot of {len(subject.latents):,} latents: {axes[0]} across, {axes[1]} upwards"
    caption = f"The latents of {len(subject.latents):,} {subject.split}: {axes[0]} and {axes[1]}."
    return Figure(_svg(scatter), alt + (f"; classes {by_class}." if classes else "."), caption)


def _svg(scatter: LatentScatter) -> str:
    """The scatter plot as SVG. Its text and lines have the colours of the page, also in dark mode."""
    text = svg_text(figure(scatter, size=FIGURE_INCHES, legend_below=True))
    for colour, variable in COLOURS.items():
        text = text.replace(colour, variable)
    return text


def traversals_section(subject: Subject) -> Section:
    """The section with a row of images for each of the most active latent dimensions; only this dimension changes."""
    title = "What latent dimensions mean"
    intro = (
        "In each row one latent dimension moves, and all others stay at the mean of the training images: from "
        f"{EXTENT:g} standard deviations below its mean to {EXTENT:g} above. The most active dimensions come first."
    )
    model = subject.model
    try:
        activity = model.activity()
        order = np.argsort(-activity, kind="stable")[:DIMENSIONS]
        images = model.traverse(dimensions=[int(i) for i in order], steps=STEPS, extent=EXTENT, dtype="uint8")
    except ArtifactError as error:
        return Section("traversals", title, intro, [Absent(f"Not shown: {error}.")])
    rows = []
    for dimension, row in zip(order, images, strict=True):
        alt = f"{len(row)} images, in which only latent dimension {dimension} changes"
        note = f"activity {activity[dimension]:.3f}"
        rows.append(Row(f"dimension {dimension}", note, embedded(row, alt, columns=STEPS)))
    active = int((activity >= INACTIVE).sum())
    what = (
        f"{active:,} of {plural(len(activity), 'latent dimension')} are active: one standard deviation up or down "
        f"changes pixels by at least {INACTIVE:g} of their range. The activity is that change, as a root mean square."
    )
    return Section("traversals", title, intro, [Rows(rows), Text(what)])
