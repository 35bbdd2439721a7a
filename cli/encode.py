"""`aegen encode`: turn images into latents."""

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

    Writes a float32 array (images, latent dimensions) as .npy, as .npz under the name `latents`, or as .npy to standard
    output (-). An .npz also holds the image files' names as `names`; `aegen decode` uses them for its output files.

    \b
    aegen encode t10k-images-idx3-ubyte.gz -o latents.npy
    aegen encode photo.png --resize -o - | aegen decode - -o again.png
    """
    from ..images.latents import write_latents
    from ..images.outputs import latents_format
    from ..images.reading import read_images
    from ..runtime.autoencoder import load

    with usage():
        latents_format(output)
    loaded = load(model, threads=threads)
    image_set = read_images(*images, shape=loaded.manifest.image.shape, resize=resize, note=note)
    count = len(image_set.images)
    chunks = with_progress((loaded.encode(part) for part in parts(image_set.images)), count)
    write_latents(output, chunks, count, names=image_set.names)
    done(output, f"{plural(count, 'latent')} of {plural(loaded.latent_dim, 'dimension')}")
