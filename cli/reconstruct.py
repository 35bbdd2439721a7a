"""`aegen reconstruct`: what a model makes of given images."""

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

    A .png shows each original over its reconstruction; every other output holds the reconstructions alone. Each of
    IMAGES may be an image file, a folder, an .npy, .npz or IDX file, with a slice if you like, or - for standard input;
    an output folder keeps the names of image files.

    \b
    aegen reconstruct 't10k-images-idx3-ubyte.gz[0:16]' -o pairs.png
    aegen reconstruct scans/ --resize -o cleaned/
    """
    from ..images.reading import read_image_set
    from ..runtime.autoencoder import load

    form = dtype if wants_arrays(output) else "uint8"
    loaded = load(model, threads=threads)
    given = read_image_set(images, shape=loaded.manifest.image.shape, resize=resize, note=note)
    originals, count = given.images, len(given.images)
    chunks = (loaded.reconstruct(part, dtype=form) for part in parts(originals))
    write_under(output, lambda: [originals], chunks, count, columns=columns, scale=scale, names=given.names)
    done(output, plural(count, "reconstruction"))


def write_under(
    output: str,
    above: Callable[[], "list[np.ndarray]"],
    chunks: Iterable["np.ndarray"],
    count: int,
    *,
    columns: int | None,
    scale: int,
    names: Sequence[str] = (),
) -> None:
    """Write `count` images that come in chunks; a .png shows each of them under its fellows of the layers above.

    names: of the files that the images came from, which an output folder keeps.
    """
    from ..images.grid import stacked, write_images

    across = columns or min(count, 16)

    def layout(made: "np.ndarray") -> "np.ndarray":
        return stacked(across, *above(), made)

    write_images(output, with_progress(chunks, count), count, columns=across, scale=scale, layout=layout, names=names)
