"""`aegen interpolate`: the way from one picture to another through latent space."""

import click

from .options import done, dtype_option, model_options, plural, resize_option, strip_options, wants_arrays


@click.command
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option(
    "--steps", type=click.IntRange(2), default=10, show_default=True, help="Pictures on each path, ends included."
)
@click.option(
    "--along",
    type=click.Choice(["linear", "slerp", "norm-corrected"]),
    help="The way through latent space.  [default: slerp for a variational autoencoder, else linear]",
)
@strip_options
@model_options
@resize_option
@dtype_option
def command(
    a: str,
    b: str,
    steps: int,
    along: str | None,
    output: str,
    scale: int,
    model: str | None,
    threads: int | None,
    resize: bool,
    dtype: str,
) -> None:
    """Walk from the pictures of A to those of B.

    A and B hold equally many pictures; a .png shows one path in each row, a .gif walks all paths at once, and arrays
    are (paths, steps, height, width).

    \b
    aegen interpolate 't10k-images-idx3-ubyte.gz[0:8]' 't10k-images-idx3-ubyte.gz[8:16]' -o paths.png
    aegen interpolate two.png seven.png --steps 30 -o morph.gif
    """
    from ..runtime.autoencoder import load
    from ..runtime.grid import output_suffix, tile, write_pictures
    from ..runtime.pictures import read_pictures

    form = dtype if wants_arrays(output) else "uint8"
    loaded = load(model, threads=threads)
    starts, ends = (read_pictures(one, shape=loaded.manifest.image.shape, resize=resize) for one in (a, b))
    paths = loaded.interpolate(starts, ends, steps=steps, along=along, dtype=form)
    if output_suffix(output) == ".gif":
        pictures = [tile(paths[:, step]) for step in range(steps)]
        write_pictures(output, [picture[None] for picture in pictures], steps, scale=scale)
    elif wants_arrays(output):
        write_pictures(output, [paths], len(paths))
    else:
        flat = paths.reshape(-1, *loaded.picture_shape)
        write_pictures(output, [flat], len(flat), columns=steps, scale=scale)
    done(output, f"{plural(len(paths), 'path')} of {steps} pictures")
