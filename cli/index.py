"""`aegen index`: store the latents of images, in which `aegen similar` finds the nearest ones."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .data_sets import input_options
from .messages import done, parts, plural, with_progress
from .next_steps import after_index, say_next
from .options import folder_output, images_argument, model_options

if TYPE_CHECKING:
    from .data_sets import ModelInputs


@click.command
@images_argument
@folder_output("output")
@click.option(
    "--no-images",
    is_flag=True,
    help="Store no images. `aegen similar` then shows them decoded from their latents.",
)
@model_options
@input_options
def command(
    images: tuple[str, ...],
    output: Path,
    no_images: bool,
    model: str | None,
    threads: int | None,
    inputs: "ModelInputs",
) -> None:
    """Store the latents of images, in which `aegen similar` finds the nearest ones.

    Writes a folder with the latents, the names of the image files, and a copy of the images, with which `aegen similar`
    shows what it found. A million images of 28x28 take 0.9 GB, or 0.1 GB with --no-images. The folder's arrays are .npy
    files, so `aegen decode` and numpy read them too.

    \b
    aegen index train-images-idx3-ubyte.gz -o index
    aegen index photos/ --resize --no-images -o photos-index
    """
    from ..runtime.autoencoder import load
    from ..search import write_index

    loaded = load(model, threads=threads)
    image_set = inputs.read(loaded, *images)
    count = len(image_set.images)
    latents = with_progress((loaded.encode(part) for part in parts(image_set.images)), count)
    stored = None if no_images else image_set.images
    size = write_index(output, loaded, latents, count, images=stored, names=image_set.names)
    done(str(output), f"{plural(count, 'latent')} of {plural(loaded.latent_dim, 'dimension')}, {size / 1e6:,.1f} MB")
    say_next(*after_index(output, images[0], model, inputs))
