"""`aegen traverse`: show what each latent dimension does to an image."""

from typing import TYPE_CHECKING

import click

from .data_sets import input_options
from .grid_texts import grid_facts
from .json_output import print_json
from .messages import PART_ROWS, done, plural, with_progress
from .options import (
    captions_option,
    dtype_option,
    is_grid,
    json_option,
    model_options,
    refuse_json_beside_arrays,
    seed_option,
    strip_options,
    wants_arrays,
)
from .paths import chosen_dimensions, write_paths

if TYPE_CHECKING:
    import numpy as np

    from ..runtime.autoencoder import Autoencoder
    from .data_sets import ModelInputs

DEFAULT_ROWS = 10  # number of latent dimensions shown
ACTIVITY_PART = 8  # number of dimensions measured between two updates of the progress bar


@click.command
@click.argument("image", metavar="[IMAGE]", required=False)
@click.option(
    "-n", "count", type=click.IntRange(1), help="How many latent dimensions, the most active first.  [default: 10]"
)
@click.option("--dims", metavar="N,N,...", help="Which latent dimensions, from 0 on.  [default: the most active]")
@click.option(
    "--steps", type=click.IntRange(2), default=11, show_default=True, help="Images for each latent dimension."
)
@click.option(
    "--range",
    "extent",
    type=click.FloatRange(0, 1000, min_open=True),
    default=3.0,
    show_default=True,
    help="How far a latent dimension moves up and down, in standard deviations.",
)
@seed_option("Start from the sample of this seed.  [default: from IMAGE or the mean latent]")
@strip_options(without="required unless --json")
@captions_option
@model_options
@input_options
@dtype_option
@json_option
def command(
    image: str | None,
    count: int | None,
    dims: str | None,
    steps: int,
    extent: float,
    seed: int | None,
    output: str | None,
    scale: int | None,
    captions: bool,
    model: str | None,
    threads: int | None,
    inputs: "ModelInputs",
    dtype: str,
    as_json: bool,
) -> None:
    """Show what each latent dimension does to an image.

    Each row of a grid moves one latent dimension, and keeps all others. The middle of every row is the start: IMAGE, or
    the sample of a seed, or by default the mean latent of the training images. A .gif shows all rows at once, there and
    back. Arrays are (latent dimensions, steps, height, width).

    The most active dimensions come first. The activity is the root mean square change of pixels, from 0 to 1, between
    one standard deviation below and one above. --json prints a list of {"dimension", "activity"}; it needs no -o.

    \b
    aegen traverse -o traversals.png
    aegen traverse photo.png --model mnist-vae --captions -o traversals.png
    """
    from ..runtime.autoencoder import load

    if output is None and not as_json:
        raise click.UsageError("Missing option '-o' / '--output', or --json.")
    if (image is not None and seed is not None) or (dims is not None and count is not None):
        raise click.UsageError("Give IMAGE or --seed, and -n or --dims, but not both.")
    refuse_json_beside_arrays(output or "", as_json)
    dtype = dtype if output is not None and wants_arrays(output) else "uint8"
    loaded = load(model, threads=threads)
    chosen = None if dims is None else chosen_dimensions(dims, loaded.latent_dim)
    start = _start(loaded, image, seed, inputs)
    if chosen is None or as_json:
        ranked = _by_activity(loaded)
        chosen = chosen or [dimension for dimension, _ in ranked[: count or DEFAULT_ROWS]]
    if output is not None:
        size = max(1, PART_ROWS // steps)
        parts = (chosen[first : first + size] for first in range(0, len(chosen), size))
        write_paths(
            output,
            (loaded.traverse(start, dimensions=part, steps=steps, extent=extent, dtype=dtype) for part in parts),
            len(chosen),
            steps,
            scale=scale,
            row_titles=[f"dim {dimension}" for dimension in chosen],
            captions=_captions(steps, extent) if captions else (),
            facts=grid_facts(loaded, seed=seed, range=f"{extent:g}") if is_grid(output) else None,
        )
        done(output, f"{plural(len(chosen), 'latent dimension')}, {steps} images each")
    if as_json:
        print_json([{"dimension": i, "activity": activity} for i, activity in ranked])


def _start(model: "Autoencoder", image: str | None, seed: int | None, inputs: "ModelInputs") -> "np.ndarray | None":
    """The latent to start from, float32 (d,): that of the given image, or of a seed's sample; None if neither is given.

    Raises UsageError if `image` holds more than one image, or if options for reading images are given without it.
    """
    if image is None and inputs.in_use:
        raise click.UsageError(f"{inputs.in_use[0]} is for IMAGE.")
    if image is not None:
        images = inputs.read(model, image).images
        if len(images) != 1:
            raise click.UsageError(f"IMAGE holds {len(images):,} images: choose one with a slice such as [0].")
        return model.encode(images[0])
    return None if seed is None else model.sample_latents(1, seed=seed)[0]


def _by_activity(model: "Autoencoder") -> list[tuple[int, float]]:
    """All latent dimensions with their activity, the most active first. Shows a progress bar if this takes long."""
    d = model.latent_dim
    parts = (range(first, min(first + ACTIVITY_PART, d)) for first in range(0, d, ACTIVITY_PART))
    activities = [value for part in with_progress(map(model.activity, parts), d) for value in part.tolist()]
    return sorted(enumerate(activities), key=lambda ranked: -ranked[1])


def _captions(steps: int, extent: float) -> list[str]:
    """The captions of the images of a row: how many standard deviations the latent dimension has moved."""
    import numpy as np

    return [f"{offset:+.1f}" if offset else "0" for offset in extent * np.linspace(-1, 1, steps)]
