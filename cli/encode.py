"""`aegen encode`: pictures to codes."""

import click

from .options import (
    done,
    images_argument,
    model_options,
    note,
    output_option,
    parts,
    plural,
    resize_option,
    usage,
    with_progress,
)


@click.command
@images_argument
@output_option
@model_options
@resize_option
def command(images: tuple[str, ...], output: str, model: str | None, threads: int | None, resize: bool) -> None:
    """Turn images into latents.

    Writes float32 (images, latent dimensions) as .npy, as .npz under the name `codes`, or as .npy to standard output
    (-). An .npz holds the names of image files, too, as `names`, and `aegen decode` writes files of these names.

    \b
    aegen encode t10k-images-idx3-ubyte.gz -o codes.npy
    aegen encode photo.png --resize -o - | aegen decode - -o again.png
    """
    from ..runtime.autoencoder import load
    from ..runtime.grid import write_codes
    from ..runtime.outputs import codes_suffix
    from ..runtime.pictures import read_images

    with usage():
        codes_suffix(output)
    loaded = load(model, threads=threads)
    given = read_images(images, shape=loaded.manifest.image.shape, resize=resize, note=note)
    count = len(given.images)
    chunks = with_progress((loaded.encode(part) for part in parts(given.images)), count)
    write_codes(output, chunks, count, names=given.names)
    done(output, f"{plural(count, 'code')} of {loaded.latent_dim} axes")
