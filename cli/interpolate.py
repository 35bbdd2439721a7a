"""`aegen interpolate`: the way from one image to another through latent space."""

import click

from .options import done, dtype_option, model_options, note, plural, resize_option, strip_options, wants_arrays

WALKS = 8  # between drawn images, where no number is asked for


@click.command
@click.argument("a", metavar="[A", required=False)
@click.argument("b", metavar="B]", required=False)
@click.option(
    "--steps", type=click.IntRange(2), default=10, show_default=True, help="Images on each path, ends included."
)
@click.option(
    "--along",
    type=click.Choice(["linear", "slerp", "norm-corrected"]),
    help="The way through latent space.  [default: slerp for a variational autoencoder, else linear]",
)
@click.option("-n", "count", type=click.IntRange(1), help="Without A and B: paths.  [default: 8]")
@click.option("--seed", type=click.IntRange(0), help="Without A and B: the same one gives the same paths.")
@click.option("--label", help="Without A and B: the class to stay in, by number or name.")
@strip_options
@model_options
@resize_option
@dtype_option
def command(
    a: str | None,
    b: str | None,
    steps: int,
    along: str | None,
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
    """Walk from the images of A to those of B, or, without them, from one drawn image to another.

    A and B hold equally many images; a .png shows one path in each row, a .gif walks all paths at once, and arrays
    are (paths, steps, height, width). Between drawn images the way leads through the noise of the learned prior, so
    that each image on it could have been drawn.

    \b
    aegen interpolate 't10k-images-idx3-ubyte.gz[0:8]' 't10k-images-idx3-ubyte.gz[8:16]' -o paths.png
    aegen interpolate -n 16 --steps 30 --seed 0 --model ./with-a-flow -o wander.gif
    """
    from ..images.grid import tile, write_images
    from ..images.outputs import output_suffix
    from ..images.reading import read_image_array
    from ..runtime.autoencoder import load

    if (a is None) != (b is None):
        raise click.UsageError("Give both A and B, or neither.")
    drawn, given = {"-n": count, "--seed": seed, "--label": label}, {"--along": along, "--resize": resize or None}
    misplaced = [option for option, value in (given if a is None else drawn).items() if value is not None]
    if misplaced:
        raise click.UsageError(f"{misplaced[0]} is for paths {'between' if a is None else 'without'} A and B.")
    form = dtype if wants_arrays(output) else "uint8"
    loaded = load(model, threads=threads)
    if a is not None and b is not None:
        shape = loaded.manifest.image.shape
        starts, ends = (read_image_array(one, shape=shape, resize=resize, note=note) for one in (a, b))
        paths = loaded.interpolate(starts, ends, steps=steps, along=along, dtype=form)
    else:
        paths = loaded.latent_walk(count or WALKS, steps=steps, seed=seed, label=label, dtype=form)
    if output_suffix(output) == ".gif":
        images = [tile(paths[:, step]) for step in range(steps)]
        write_images(output, [image[None] for image in images], steps, scale=scale)
    elif wants_arrays(output):
        write_images(output, [paths], len(paths))
    else:
        flat = paths.reshape(-1, *loaded.image_shape)
        write_images(output, [flat], len(flat), columns=steps, scale=scale)
    done(output, f"{plural(len(paths), 'path')} of {steps} images")
