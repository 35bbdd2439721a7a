"""`aegen sample`: new pictures."""

import secrets

import click

from .options import done, dtype_option, grid_options, model_options, plural, wants_arrays, with_progress


@click.command
@click.option("-n", "count", type=click.IntRange(1, 2**40), default=64, show_default=True, help="How many pictures.")
@grid_options
@model_options
@click.option("--seed", type=click.IntRange(0), help="The same seed gives the same pictures.  [default: a fresh one]")
@click.option("--prior", metavar="NAME", help="Distribution of the codes (`aegen info`).  [default: the model's]")
@click.option(
    "--temperature", type=click.FloatRange(0), help="Spread of the codes, 1 as fitted.  [default: the model's]"
)
@dtype_option
def command(
    count: int,
    output: str,
    columns: int | None,
    scale: int,
    model: str | None,
    threads: int | None,
    seed: int | None,
    prior: str | None,
    temperature: float | None,
    dtype: str,
) -> None:
    """Draw new pictures from a model.

    OUTPUT may end in .png (a grid), .gif (an animation), .npy or .npz (arrays); without a suffix it is a folder with
    one PNG each, and - is an .npy to standard output.

    \b
    aegen sample -n 64 -o grid.png
    aegen sample -n 100000 --seed 7 --dtype uint8 -o digits.npy
    """
    from ..runtime.autoencoder import load
    from ..runtime.grid import write_pictures

    form = dtype if wants_arrays(output) else "uint8"
    if seed is None:
        seed = secrets.randbits(32)
    chunks = load(model, threads=threads).iter_sample(
        count, seed=seed, prior=prior, temperature=temperature, dtype=form
    )
    write_pictures(output, with_progress(chunks, count), count, columns=columns, scale=scale)
    done(output, f"{plural(count, 'picture')}, seed {seed}")
