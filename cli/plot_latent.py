"""`aegen plot latent`: show latents as points of a plane, coloured by class."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from .data_sets import load_data, read_options
from .figure_options import check_output, figure_options, publish
from .messages import parts, plural, with_progress
from .options import chosen_model, model_argument, seed_option, threads_option

if TYPE_CHECKING:
    import numpy as np

    from ..images.read_options import ReadOptions
    from ..plots.projection import Method
    from ..runtime.autoencoder import Autoencoder


@click.command
@model_argument
@click.option(
    "--data",
    metavar="NAME|PATH",
    help="Images whose latents are shown: the test images of a data set.  [required unless --latents]",
)
@read_options
@click.option(
    "--latents",
    metavar="FILE",
    help="Latents to show in place of images: .npy or .npz, numbered from 0.  [default: those of --data]",
)
@click.option(
    "--labels",
    metavar="FILE",
    help="Labels of --latents: .npy, .npz, IDX, or a text with one in each line.  [default: none]",
)
@click.option(
    "--method",
    type=click.Choice(["dimensions", "pca", "tsne"]),
    help="The two dimensions that vary most, principal components, or t-SNE.  "
    "[default: dimensions if there are two, else pca]",
)
@click.option("--thumbnails", is_flag=True, help="Show images in place of dots, those that do not overlap.")
@click.option(
    "-n", "count", type=click.IntRange(3), default=2000, show_default=True, help="How many, chosen at random."
)
@seed_option("Seed of this choice, and of t-SNE.", default=0)
@figure_options
@threads_option
def command(
    argument: str | None,
    model: str | None,
    data: str | None,
    latents: str | None,
    labels: str | None,
    method: "Method | None",
    thumbnails: bool,
    count: int,
    seed: int,
    output: str | None,
    as_json: bool,
    threads: int | None,
    reading: "ReadOptions",
) -> None:
    """Show latents as points of a plane, coloured by class.

    Latents are those of the test images of --data, or those of a file. Without --labels the latents of a file are
    numbered, or have the names of the image files if `aegen encode` stored them. t-SNE shows which latents are
    neighbours; distances between groups mean little there.

    --json prints one object: {"title", "method", "axes", "classes", "points", "class_indices"}, and "names" for
    latents of a file. "class_indices" counts in "classes", and both are empty without labels.

    \b
    aegen plot latent --data mnist -o latents.png
    aegen plot latent mnist-vae --data mnist --method tsne --thumbnails -o latents.pdf
    """
    if (data is None) == (latents is None):
        raise click.UsageError("Give the images with --data, or latents with --latents.")
    if labels is not None and latents is None:
        raise click.UsageError("--labels belongs to --latents; images have the labels of their data set.")
    check_output(output, as_json)
    from ..plots import latent
    from ..runtime.autoencoder import load

    loaded = load(chosen_model(argument, model), threads=threads) if latents is None or thumbnails else None
    if loaded is not None and data is not None:
        points = _of_data(loaded, data, reading, count, seed)
    else:
        points = _of_file(latents or "", labels, count, seed)
    images = points.images
    if thumbnails and loaded is not None and images is None:
        images = loaded.decode(points.latents, dtype="uint8")
    scatter = latent.latent_scatter(
        points.latents,
        method=method,
        labels=points.labels,
        class_names=points.class_names,
        names=points.names,
        images=images if thumbnails else None,
        title=points.title,
        seed=seed,
    )
    publish(latent, scatter, output, plural(len(points.latents), "latent"), as_json=as_json)


class _Points(NamedTuple):
    """Latents (n, d), and what is known of each: its label int64 (n,), its name, its image uint8 (n, H, W[, 3])."""

    latents: "np.ndarray"
    labels: "np.ndarray | None"
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    images: "np.ndarray | None"
    title: str


def _of_data(model: "Autoencoder", data: str, reading: "ReadOptions", count: int, seed: int) -> _Points:
    """Encode at most `count` test images of a data set."""
    import numpy as np

    dataset = load_data(data, reading)
    chosen = dataset.test[_rows(len(dataset.test), count, seed)]
    chunks = with_progress((model.encode(part) for part in parts(chosen.images)), len(chosen), "encode")
    title = f"{model.name}: latents of {plural(len(chosen), 'test image')} of {dataset.facts.name}"
    return _Points(np.concatenate([*chunks]), chosen.labels, dataset.class_names, (), chosen.images, title)


def _of_file(latents: str, labels: str | None, count: int, seed: int) -> _Points:
    """Read at most `count` latents of a file, and their labels, or else their names or numbers."""
    from ..data.label_file import read_label_file
    from ..images.latents import read_latents
    from ..runtime.errors import InputError

    stored = read_latents(latents)
    n = len(stored.latents)
    rows, title = _rows(n, count, seed), f"{Path(latents).name}: {plural(min(n, count), 'latent')}"
    if labels is None:
        names = tuple(stored.names[row] if stored.names else str(row) for row in rows)
        return _Points(stored.latents[rows], None, (), names, None, title)
    values, class_names = read_label_file(labels)
    if len(values) != n:
        raise InputError(labels, found=plural(len(values), "label"), expected=f"{n:,}, one for each latent")
    return _Points(stored.latents[rows], values[rows], class_names, (), None, title)


def _rows(n: int, count: int, seed: int) -> "np.ndarray":
    """At most `count` different indices below n, at random, in ascending order, int64."""
    import numpy as np

    return np.sort(np.random.default_rng(seed).choice(n, min(n, count), replace=False))
