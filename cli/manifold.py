"""`aegen manifold`: show a plane of latent space as a grid of images."""

from typing import TYPE_CHECKING

import click

from .grid_texts import grid_facts
from .messages import done, with_progress
from .options import dtype_option, model_options, strip_options, wants_arrays
from .paths import chosen_dimensions

if TYPE_CHECKING:
    import numpy as np


@click.command
@click.option(
    "--steps", type=click.IntRange(2, 200), default=20, show_default=True, help="Images on each side of the grid."
)
@click.option(
    "--dims",
    metavar="X,Y",
    help="Two latent dimensions: to the right, and to the top.  [default: principal components, if there are over two]",
)
@strip_options()
@model_options
@dtype_option
def command(
    steps: int,
    dims: str | None,
    output: str,
    scale: int | None,
    model: str | None,
    threads: int | None,
    dtype: str,
) -> None:
    """Show a plane of latent space as a grid of images.

    The grid has equal steps in probability: images are at quantiles of a normal distribution, so most of them are where
    most latents are. For a variational autoencoder of two latent dimensions this is the prior N(0, I), and the grid
    shows all that it can generate. For other models it is the Gaussian that was fitted to the latents of the training
    images, along two latent dimensions or the two principal components of the latents; the rest keeps its mean.

    As in a plot, the first direction grows to the right and the second to the top. A .gif moves from the bottom to the
    top and back. Arrays are (rows, columns, height, width).

    \b
    aegen manifold --model mnist-vae -o manifold.png
    aegen manifold --dims 5,12 --steps 15 -o plane.png
    """
    import numpy as np

    from ..images.grid import fitting_scale
    from ..images.outputs import output_format
    from ..images.writing import write_images
    from ..runtime.autoencoder import load

    dtype = dtype if wants_arrays(output) else "uint8"
    loaded = load(model, threads=threads)
    dimensions = None if dims is None else chosen_dimensions(dims, loaded.latent_dim)
    latents = loaded.manifold_latents(steps=steps, dimensions=dimensions)
    rows = with_progress((loaded.decode(row, dtype=dtype) for row in latents), steps**2)
    images = np.stack([*rows])
    scale = scale or fitting_scale(steps**2, loaded.image_shape, steps)
    kind = output_format(output).kind
    if kind == "grid":
        facts = grid_facts(loaded, dims=dims)
        write_images(output, [without_gaps(images)[None]], 1, scale=scale, facts=facts)
    elif kind == "animation":
        frames = [without_gaps(row[None])[None] for row in images[::-1]]
        write_images(output, frames, steps, scale=scale, there_and_back=True)
    elif kind == "folder":
        write_images(output, images, steps**2)
    else:
        write_images(output, [images], steps)
    done(output, f"{steps} x {steps} images")


def without_gaps(images: "np.ndarray") -> "np.ndarray":
    """Join images (rows, columns, H, W[, 3]) to one image (rows * H, columns * W[, 3])."""
    rows, columns, height, width = images.shape[:4]
    joined: np.ndarray = images.swapaxes(1, 2).reshape(rows * height, columns * width, *images.shape[4:])
    return joined
