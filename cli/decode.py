"""`aegen decode`: codes to pictures."""

import click

from .options import done, dtype_option, grid_options, model_options, parts, plural, wants_arrays, with_progress


@click.command
@click.argument("codes", metavar="CODES")
@grid_options
@model_options
@dtype_option
def command(
    codes: str, output: str, columns: int | None, scale: int, model: str | None, threads: int | None, dtype: str
) -> None:
    """Turn latent codes into pictures.

    CODES is an .npy or .npz file as `aegen encode` writes it, with a slice if you like, or - for standard input. An
    output folder gets the names that an .npz holds.

    \b
    aegen decode codes.npy -o pictures.png
    aegen decode 'codes.npz[0:10]' -o ten/
    """
    from ..runtime.autoencoder import load
    from ..runtime.grid import write_pictures
    from ..runtime.pictures import read_named_codes

    form = dtype if wants_arrays(output) else "uint8"
    loaded = load(model, threads=threads)
    array, names = read_named_codes(codes, loaded.latent_dim)
    count = len(array)
    chunks = with_progress((loaded.decode(part, dtype=form) for part in parts(array)), count)
    write_pictures(output, chunks, count, columns=columns, scale=scale, names=names)
    done(output, plural(count, "picture"))
