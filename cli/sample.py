"""`aegen sample`: new images."""

import itertools
import os
import re
from collections.abc import Sequence

import click

from .options import done, dtype_option, grid_options, model_options, plural, wants_arrays, with_progress

MAX_LABELS = 1000


def _asked(text: str, class_names: Sequence[str]) -> list[str | int]:
    """`7` -> ["7"], `0-3` -> [0, 1, 2, 3], `1,4` -> ["1", "4"], `cat,dog` -> ["cat", "dog"]; names win over numbers.

    Raises click.UsageError for other texts, and for more than MAX_LABELS labels.
    """
    labels: list[str | int] = []
    for part in [text] if text in class_names else map(str.strip, text.split(",")):
        match = None if part in class_names else re.fullmatch(r"(\d{1,9})-(\d{1,9})", part)
        found = range(int(match[1]), int(match[2]) + 1) if match else [part]
        if not part or not found or len(labels) + len(found) > MAX_LABELS:
            expected = f"from 1 to {MAX_LABELS} labels or class names such as 7, 0-9, 1,4,7 or cat,dog"
            raise click.UsageError(f"Invalid value for '--label': expected {expected}")
        labels += found
    return labels


@click.command
@click.option("-n", "count", type=click.IntRange(1, 2**40), default=64, show_default=True, help="How many images.")
@grid_options
@model_options
@click.option("--seed", type=click.IntRange(0), help="The same seed gives the same images.  [default: a fresh one]")
@click.option("--prior", metavar="NAME", help="Distribution of the latents (`aegen info`).  [default: the model's]")
@click.option(
    "--label",
    metavar="LABEL",
    help="Only this class, by name or number; 0-9 or 1,4,7 draws -n of each.",
)
@click.option(
    "--temperature", type=click.FloatRange(0), help="Spread of the latents, 1 as fitted.  [default: the model's]"
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
    label: str | None,
    temperature: float | None,
    dtype: str,
) -> None:
    """Draw new images from a model.

    OUTPUT may end in .png, .jpg or .webp (a grid), .gif (an animation), .npy or .npz (arrays); without a suffix it is a
    folder with one PNG each, and - is an .npy to standard output.

    \b
    aegen sample -n 64 -o grid.png
    aegen sample -n 16 --label 0-9 -o rows.png
    """
    from ..runtime.autoencoder import load

    arrays = wants_arrays(output)
    form = dtype if arrays else "uint8"
    if seed is None:
        seed = int.from_bytes(os.urandom(4), "little")
    loaded = load(model, threads=threads)
    labels = _asked(label, loaded.manifest.class_names) if label is not None else [None]
    # One seed for every label: differences between rows are then the labels' own.
    chunks = [
        loaded.iter_sample(count, seed=seed, prior=prior, label=one, temperature=temperature, dtype=form)
        for one in labels
    ]
    # While the networks are opened.
    from PIL import Image

    from ..images.grid import write_images

    if not arrays:
        Image.preinit()
    total = count * len(chunks)
    row = columns or (count if len(labels) > 1 else None)
    drawn = with_progress(itertools.chain.from_iterable(chunks), total)
    write_images(output, drawn, total, columns=row, scale=scale)
    done(output, f"{plural(total, 'image')}, seed {seed}")
