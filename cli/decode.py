"""`aegen decode`: turn latents into images."""

import click

from .options import done, dtype_option, grid_options, model_options, parts, plural, wants_arrays, with_progress


@click.command
@click.argument("latents", metavar="LATENTS")
@grid_options
@model_options
@dtype_option
def command(
    latents: str, output: str, columns: int | None, scale: int, model: str | None, threads: int | None, dtype: str
) -> None:
    """Turn latents into images.

    LATENTS is an .npy or .npz file as `aegen encode` writes it, optionally followed by a slice such as [0:10], or - for
    standard input. If an .npz holds the names of image files, the files in an output folder get these names.

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
    write_images(output, chunks, count, columns=columns, scale=scale, names=latent_set.names)
    done(output, plural(count, "image"))
