"""`aegen denoise`: noisy images to clean ones."""

from collections.abc import Iterator

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
)
from .reconstruct import write_under

DENOISER = "mnist-dae"  # the shipped model that was trained for it


@click.command
@images_argument
@click.option(
    "--noise",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="First add Gaussian noise of this standard deviation, to see what is made of it.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of that noise.")
@grid_options
@model_options
@resize_option
@dtype_option
def command(
    images: tuple[str, ...],
    noise: float,
    seed: int,
    output: str,
    columns: int | None,
    scale: int,
    model: str | None,
    threads: int | None,
    resize: bool,
    dtype: str,
) -> None:
    """Clean noisy images with a denoising autoencoder, by default the one that ships with aegen.

    A .png shows each noisy image over the cleaned one, and with --noise the original above both; every other output
    holds the cleaned ones alone. An output folder keeps the names of image files.

    \b
    aegen denoise scans/ -o cleaned/
    aegen denoise 't10k-images-idx3-ubyte.gz[0:16]' --noise 0.5 -o triples.png
    """
    import numpy as np

    from ..images.reading import read_image_set
    from ..runtime.autoencoder import load
    from ..runtime.pixels import with_noise

    form = dtype if wants_arrays(output) else "uint8"
    loaded = load(model or DENOISER, threads=threads)
    read = read_image_set(images, shape=loaded.manifest.image.shape, resize=resize, note=note)
    originals, count = read.images, len(read.images)

    def noisy() -> Iterator[np.ndarray]:
        random = np.random.default_rng(seed)
        return (with_noise(part, noise, random) for part in parts(originals))

    given = noisy() if noise else parts(originals)
    chunks = (loaded.reconstruct(part, dtype=form) for part in given)
    layers = (lambda: [originals, np.concatenate(list(noisy()))]) if noise else lambda: [originals]
    write_under(output, layers, chunks, count, columns=columns, scale=scale, names=read.names)
    done(output, plural(count, "image") + " cleaned")
