"""`aegen denoise`: noisy pictures to clean ones."""

import click

from .options import (
    done,
    dtype_option,
    grid_options,
    model_options,
    parts,
    plural,
    resize_option,
    wants_arrays,
    with_progress,
)

DENOISER = "mnist-dae"  # the shipped model that was trained for it


@click.command
@click.argument("pictures", metavar="PICTURES")
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
    pictures: str,
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
    """Clean noisy pictures with a denoising autoencoder, by default the one that ships with aegen.

    A .png shows each noisy picture over the cleaned one, and with --noise the original above both; every other output
    holds the cleaned ones alone.

    \b
    aegen denoise scans/ -o cleaned/
    aegen denoise 't10k-images-idx3-ubyte.gz[0:16]' --noise 0.5 -o triples.png
    """
    import numpy as np

    from ..runtime.autoencoder import load
    from ..runtime.grid import stacked, write_pictures
    from ..runtime.pictures import read_pictures
    from ..runtime.pixels import with_noise

    form = dtype if wants_arrays(output) else "uint8"
    loaded = load(model or DENOISER, threads=threads)
    originals = read_pictures(pictures, shape=loaded.manifest.image.shape, resize=resize)
    count = len(originals)
    across = columns or min(count, 16)
    random = np.random.default_rng(seed)
    spoilt = (with_noise(part, noise, random) if noise else part for part in parts(originals))

    def compare(cleaned: np.ndarray) -> np.ndarray:
        if not noise:
            return stacked(across, originals, cleaned)
        return stacked(across, originals, with_noise(originals, noise, np.random.default_rng(seed)), cleaned)

    chunks = with_progress((loaded.reconstruct(part, dtype=form) for part in spoilt), count)
    write_pictures(output, chunks, count, columns=across, scale=scale, layout=compare)
    done(output, plural(count, "picture") + " cleaned")
