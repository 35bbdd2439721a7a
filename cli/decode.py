"""`aegen decode`: turn latents into images."""

import functools

import click

from .grid_texts import file_captions, grid_facts
from .messages import done, parts, plural, with_progress
from .options import dtype_option, grid_options, model_options, wants_arrays


@click.command
@click.argument("latents", metavar="LATENTS")
@grid_options
@model_options
@dtype_option
def command(
    latents: str,
    output: str,
    columns: int | None,
    scale: int | None,
    captions: bool,
    model: str | None,
    threads: int | None,
    dtype: str,
) -> None:
    """Turn latents into images.

    LATENTS is an .npy or .npz file as `aegen encode` writes it, optionally followed by a slice such as [0:10], or - for
    standard input. If an .npz holds the names of image files, the files in an output folder get these names, and
    --captions shows them in a grid; without names it shows the index of each image.

    \b
    aegen decode latents.npy -o images.png
    aegen decode 'latents.npz[0:10]' -o ten/
    """
    from ..images.latents import read_latents
    from ..images.writing import write_images
    from ..runtime.autoencoder import load

    image_dtype = dtype if wants_arrays(output) else "uint8"
    loaded = load(model, threads=threads)
    latent_set = read_latents(latents, loaded.latent_dim)
    count = len(latent_set.latents)
    chunks = with_progress((loaded.decode(part, dtype=image_dtype) for part in parts(latent_set.latents)), count)
    write_images(
        output,
        chunks,
        count,
        columns=columns,
        scale=scale,
        names=latent_set.names,
        captions=functools.partial(file_captions, latent_set.names) if captions else None,
        facts=grid_facts(loaded),
    )
    done(output, plural(count, "image"))
