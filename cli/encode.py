"""`aegen encode`: pictures to codes."""

import click

from .options import done, model_options, output_option, parts, plural, resize_option, usage, with_progress


@click.command
@click.argument("pictures", metavar="PICTURES")
@output_option
@model_options
@resize_option
def command(pictures: str, output: str, model: str | None, threads: int | None, resize: bool) -> None:
    """Turn pictures into latent codes.

    Writes float32 (pictures, axes) as .npy, as .npz under the name `codes`, or as .npy to standard output (-).

    \b
    aegen encode t10k-images-idx3-ubyte.gz -o codes.npy
    aegen encode photo.png --resize -o - | aegen decode - -o again.png
    """
    from ..runtime.autoencoder import load
    from ..runtime.grid import write_codes
    from ..runtime.outputs import codes_suffix
    from ..runtime.pictures import read_pictures

    with usage():
        codes_suffix(output)
    loaded = load(model, threads=threads)
    originals = read_pictures(pictures, shape=loaded.manifest.image.shape, resize=resize)
    count = len(originals)
    write_codes(output, with_progress((loaded.encode(part) for part in parts(originals)), count), count)
    done(output, f"{plural(count, 'code')} of {loaded.latent_dim} axes")
