"""`aegen denoise`: remove noise from images."""

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
    seed_option,
    wants_arrays,
)
from .reconstruct import write_below

DENOISER = "mnist-dae"  # the shipped model that was trained to denoise


@click.command
@images_argument
@click.option(
    "--noise",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="First add Gaussian noise of this standard deviation.",
)
@seed_option("Seed of that noise.", default=0)
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

    A grid shows each noisy image above the cleaned one, and with --noise the original above both; other outputs
    hold the cleaned images alone. Files in an output folder get the names of the input files.

    \b
    aegen denoise scans/ --resize -o cleaned/
    aegen denoise 't10k-images-idx3-ubyte.gz[0:16]' --noise 0.5 -o triples.png
    """
    import numpy as np

    from ..images.reading import read_images
    from ..runtime.autoencoder import load
    from ..runtime.pixels import with_noise

    image_dtype = dtype if wants_arrays(output) else "uint8"
    loaded = load(model or DENOISER, threads=threads)
    image_set = read_images(*images, shape=loaded.manifest.image.shape, resize=resize, note=note)
    originals, count = image_set.images, len(image_set.images)

    def noisy_parts() -> Iterator[np.ndarray]:
        """Yield the original images with added noise in parts, each an array (images, H, W) or (images, H, W, 3)."""
        random = np.random.default_rng(seed)
        return (with_noise(part, noise, random) for part in parts(originals))

    def layers_above() -> list[np.ndarray]:
        """Images (n, H, W[, 3]) to show above the cleaned ones in a grid: originals and, with --noise, noisy images."""
        return [originals, np.concatenate(list(noisy_parts()))] if noise else [originals]

    inputs = noisy_parts() if noise else parts(originals)
    chunks = (loaded.reconstruct(part, dtype=image_dtype) for part in inputs)
    write_below(output, layers_above, chunks, count, columns=columns, scale=scale, names=image_set.names)
    done(output, plural(count, "image") + " cleaned")
