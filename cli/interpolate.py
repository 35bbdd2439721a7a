"""`aegen interpolate`: make paths of images that lead from one image to another through latent space."""

import click

from .options import (
    done,
    dtype_option,
    model_options,
    note,
    plural,
    resize_option,
    seed_option,
    strip_options,
    wants_arrays,
)

DEFAULT_PATHS = 8  # number of paths between sampled images, when no A and B are given


@click.command
@click.argument("a", metavar="[A", required=False)
@click.argument("b", metavar="B]", required=False)
@click.option(
    "--steps", type=click.IntRange(2), default=10, show_default=True, help="Images on each path, ends included."
)
@click.option(
    "--method",
    type=click.Choice(["linear", "slerp", "norm-corrected"]),
    help="Curve through latent space.  [default: slerp for a variational autoencoder, else linear]",
)
@click.option("-n", "count", type=click.IntRange(1), help="Without A and B: how many paths.  [default: 8]")
@seed_option("Without A and B: the same seed gives the same paths.  [default: a random one]")
@click.option("--label", metavar="LABEL", help="Without A and B: the class of the images, by number or name.")
@strip_options
@model_options
@resize_option
@dtype_option
def command(
    a: str | None,
    b: str | None,
    steps: int,
    method: str | None,
    count: int | None,
    seed: int | None,
    label: str | None,
    output: str,
    scale: int,
    model: str | None,
    threads: int | None,
    resize: bool,
    dtype: str,
) -> None:
    """Interpolate from the images of A to those of B, or, without them, between sampled images.

    A and B hold equally many images. A grid shows one path in each row, a .gif shows all paths at once, and arrays are
    (paths, steps, height, width). Paths between sampled images interpolate the noise of a learned prior, so every image
    on them could have been sampled.

    \b
    aegen interpolate 't10k-images-idx3-ubyte.gz[0:8]' 't10k-images-idx3-ubyte.gz[8:16]' -o paths.png
    aegen interpolate -n 16 --steps 30 --seed 0 -o walk.gif
    """
    from ..images.grid import tile
    from ..images.outputs import output_format
    from ..images.reading import read_images
    from ..images.writing import write_images
    from ..runtime.autoencoder import load

    if (a is None) != (b is None):
        raise click.UsageError("Give both A and B, or neither.")
    with_images = {"--method": method, "--resize": resize or None}
    without_images = {"-n": count, "--seed": seed, "--label": label}
    misplaced = [flag for flag, value in (with_images if a is None else without_images).items() if value is not None]
    if misplaced:
        raise click.UsageError(f"{misplaced[0]} is for paths {'between' if a is None else 'without'} A and B.")
    arrays = wants_arrays(output)
    dtype = dtype if arrays else "uint8"
    loaded = load(model, threads=threads)
    if a is not None and b is not None:
        shape = loaded.manifest.image.shape
        starts, ends = (read_images(source, shape=shape, resize=resize, note=note).images for source in (a, b))
        paths = loaded.interpolate(starts, ends, steps=steps, method=method, dtype=dtype)
    else:
        paths = loaded.latent_walk(count or DEFAULT_PATHS, steps=steps, seed=seed, label=label, dtype=dtype)
    if output_format(output).kind == "animation":
        frames = [tile(paths[:, step]) for step in range(steps)]
        write_images(output, [frame[None] for frame in frames], steps, scale=scale)
    elif arrays:
        write_images(output, [paths], len(paths))
    else:
        images = paths.reshape(-1, *loaded.image_shape)
        write_images(output, [images], len(images), columns=steps, scale=scale)
    done(output, f"{plural(len(paths), 'path')} of {steps} images")
