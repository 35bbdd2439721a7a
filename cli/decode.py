"""`aegen decode`: latents to images."""

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

    LATENTS is an .npy or .npz file as `aegen encode` writes it, with a slice if you like, or - for standard input. An
    output folder gets the names that an .npz holds.

    \b
    aegen decode latents.npy -o images.png
    aegen decode 'latents.npz[0:10]' -o ten/
    """
    from ..images.grid import write_images
    from ..images.reading import read_named_latents
    from ..runtime.autoencoder import load

    form = dtype if wants_arrays(output) else "uint8"
    loaded = load(model, threads=threads)
    array, names = read_named_latents(latents, loaded.latent_dim)
    count = len(array)
    chunks = with_progress((loaded.decode(part, dtype=form) for part in parts(array)), count)
    write_images(output, chunks, count, columns=columns, scale=scale, names=names)
    done(output, plural(count, "image"))
