"""`aegen reconstruct`: encode images and decode them again."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import click

from .options import (
    done,
    dtype_option,
    grid_options,
    images_argument,
    model_options,
    note,
    parts,
    plural,
    resize_option,
    wants_arrays,
    with_progress,
)

if TYPE_CHECKING:
    import numpy as np

DEFAULT_COLUMNS = 16  # number of columns of a grid; with fewer images, as many columns as images


@click.command
@images_argument
@grid_options
@model_options
@resize_option
@dtype_option
def command(
    images: tuple[str, ...],
    output: str,
    columns: int | None,
    scale: int,
    model: str | None,
    threads: int | None,
    resize: bool,
    dtype: str,
) -> None:
    """Encode images and decode them again.

    A grid shows each original above its reconstruction; other outputs hold the reconstructions alone. Each of
    IMAGES may be an image file, a folder, an .npy, .npz or IDX file, optionally followed by a slice such as [0:16], or
    - for standard input. Files in an output folder get the names of the input files.

    \b
    aegen reconstruct 't10k-images-idx3-ubyte.gz[0:16]' -o pairs.png
    aegen reconstruct scans/ --resize -o cleaned/
    """
    from ..images.reading import read_images
    from ..runtime.autoencoder import load

    image_dtype = dtype if wants_arrays(output) else "uint8"
    loaded = load(model, threads=threads)
    image_set = read_images(*images, shape=loaded.manifest.image.shape, resize=resize, note=note)
    originals, count = image_set.images, len(image_set.images)
    chunks = (loaded.reconstruct(part, dtype=image_dtype) for part in parts(originals))
    write_below(output, lambda: [originals], chunks, count, columns=columns, scale=scale, names=image_set.names)
    done(output, plural(count, "reconstruction"))


def write_below(
    output: str,
    layers_above: Callable[[], "list[np.ndarray]"],
    chunks: Iterable["np.ndarray"],
    count: int,
    *,
    columns: int | None,
    scale: int,
    names: Sequence[str] = (),
) -> None:
    """Write images to an output. A grid also shows other images, such as the originals, above them.

    layers_above: returns the other images, arrays (count, H, W[, 3]); it is called only for a grid. chunks: the images
    to write, arrays (n, H, W[, 3]) with `count` images in total. names: name of the input file of each image; files in
    an output folder get these names.
    """
    from ..images.grid import stacked
    from ..images.writing import write_images

    columns = columns or min(count, DEFAULT_COLUMNS)

    def layout(images: "np.ndarray") -> "np.ndarray":
        """Order the images of the grid: those of `layers_above`, and below them `images`, (n, H, W[, 3])."""
        return stacked(columns, *layers_above(), images)

    chunks = with_progress(chunks, count)
    write_images(output, chunks, count, columns=columns, scale=scale, layout=layout, names=names)
