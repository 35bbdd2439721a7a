"""`aegen sample`: sample new images."""

import functools
import itertools
import os
import re
from collections.abc import Sequence

import click

from .grid_texts import class_texts, sampling_facts
from .messages import done, plural, with_progress
from .options import LongRangeOption, dtype_option, grid_options, is_grid, model_options, seed_option, wants_arrays

MAX_LABELS = 1000
LABEL_RANGE = re.compile(r"(\d{1,9})-(\d{1,9})")


@click.command
@click.option(
    "-n",
    "count",
    cls=LongRangeOption,
    type=click.IntRange(1, 2**40),
    default=64,
    show_default=True,
    help="How many images.",
)
@grid_options
@model_options
@seed_option("The same seed gives the same images.  [default: a random one]")
@click.option(
    "--start",
    cls=LongRangeOption,
    type=click.IntRange(0, 2**53),
    default=0,
    show_default=True,
    help="Index of the first image in the seed's sequence of images, from 0 on.",
)
@click.option("--prior", metavar="NAME", help="Distribution of the latents (see `aegen info`).  [default: the model's]")
@click.option(
    "--label",
    metavar="LABEL",
    help="Only this class, by name or number; 0-9 or 1,4,7 gives -n images of each.  [default: all classes]",
)
@click.option(
    "--temperature",
    type=click.FloatRange(0),
    help="Scale of the prior's noise, 1 as fitted.  [default: the model's]",
)
@dtype_option
def command(
    count: int,
    output: str,
    columns: int | None,
    scale: int | None,
    captions: bool,
    model: str | None,
    threads: int | None,
    seed: int | None,
    start: int,
    prior: str | None,
    label: str | None,
    temperature: float | None,
    dtype: str,
) -> None:
    """Sample new images from a model.

    A seed stands for an endless sequence of images: -n 100 --start 100 gives the second hundred of them. With several
    labels, each row of a grid is a class. --captions shows the class below each image, or without --label its index
    in the sequence. `aegen info grid.png` shows how a grid was made.

    \b
    aegen sample -n 64 -o grid.png
    aegen sample -n 16 --label 0-9 -o rows.png
    """
    from ..runtime.autoencoder import load
    from ..runtime.startup import import_while_opening

    arrays = wants_arrays(output)
    import_while_opening(functools.partial(_import_output, arrays))
    if seed is None:
        seed = int.from_bytes(os.urandom(4), "little")
    loaded = load(model, threads=threads)
    labels = [] if label is None else requested_labels(label, loaded.manifest.class_names)
    sampled = functools.partial(loaded.iter_sample, count, seed=seed, start=start, prior=prior)
    # All labels use the same seed, so the rows of a grid differ only by label.
    each: list[str | int | None] = [*labels] or [None]
    chunks = [sampled(label=one, temperature=temperature, dtype=dtype if arrays else "uint8") for one in each]
    from ..images.writing import write_images

    total = count * len(chunks)
    rows = len(labels) > 1 and columns in (None, count)  # whether each row of a grid has its own label
    class_names = class_texts(loaded.manifest, labels) if is_grid(output) else []
    facts = {"seed": seed, "start": start, "label": label, "images": total}
    write_images(
        output,
        with_progress(itertools.chain.from_iterable(chunks), total),
        total,
        columns=count if rows else columns,
        scale=scale,
        captions=functools.partial(_captions, class_names, start) if captions else None,
        row_titles=class_names if rows else (),
        facts=sampling_facts(loaded, prior, temperature, **facts),
    )
    done(output, f"{plural(total, 'image')}, seed {seed}")


def _captions(class_names: Sequence[str], start: int, images: Sequence[object]) -> list[str]:
    """For each image the name of its class or, without class names, its index in the seed's sequence.

    class_names: the names of the classes, of which each has equally many images. start: index of the first image.
    """
    if not class_names:
        return [str(start + index) for index in range(len(images))]
    return [class_names[index * len(class_names) // len(images)] for index in range(len(images))]


def requested_labels(text: str, class_names: Sequence[str]) -> list[str | int]:
    """Parse --label: `7` -> ["7"], `0-3` -> [0, 1, 2, 3], `1,4` -> ["1", "4"], `cat,dog` -> ["cat", "dog"].

    A text that is a class name is never split or read as a range. Raises click.UsageError for an empty
    label or range, and for more than MAX_LABELS labels.
    """
    labels: list[str | int] = []
    for part in [text] if text in class_names else map(str.strip, text.split(",")):
        match = None if part in class_names else LABEL_RANGE.fullmatch(part)
        values = range(int(match[1]), int(match[2]) + 1) if match else [part]
        if not part or not values or len(labels) + len(values) > MAX_LABELS:
            expected = f"from 1 to {MAX_LABELS} labels or class names such as 7, 0-9, 1,4,7 or cat,dog"
            raise click.UsageError(f"Invalid value for '--label': expected {expected}")
        labels += values
    return labels


def _import_output(arrays: bool) -> None:
    """Import the modules that write the output, and Pillow's encoder of PNG files if the output is not an array."""
    from ..images import writing  # noqa: F401

    if not arrays:
        from PIL import PngImagePlugin  # noqa: F401
