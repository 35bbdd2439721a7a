"""Options and output of commands that show paths through latent space."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from .messages import with_progress
from .options import wants_arrays

if TYPE_CHECKING:
    import numpy as np


def chosen_dimensions(text: str, latent_dim: int) -> list[int]:
    """Parse the numbers of latent dimensions, such as `3,7`: from 0 to latent_dim - 1, separated by commas.

    Raises UsageError for anything else.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() and len(word) < 10 and int(word) < latent_dim for word in words):
        last = latent_dim - 1
        raise click.UsageError(f"Invalid value for '--dims': expected numbers from 0 to {last}, such as 0,{last}.")
    return [int(word) for word in words]


def write_paths(
    output: str,
    chunks: "Iterable[np.ndarray]",
    count: int,
    steps: int,
    *,
    scale: int | None,
    row_titles: Sequence[str] = (),
    captions: Sequence[str] = (),
    facts: dict[str, str] | None = None,
) -> None:
    """Write paths of images, which come in chunks (m, steps, H, W[, 3]), `count` in total, with a progress bar.

    A grid has a path in each row. An animation shows all paths at once, there and back. Arrays keep the shape of the
    chunks. row_titles: the title of each path in a grid or an animation. captions: the text below each image of a row
    of a grid, the same in all rows. facts: see `grid_facts`.
    """
    import numpy as np

    from ..images.outputs import output_format
    from ..images.writing import write_images

    chunks = with_progress(chunks, count)
    if output_format(output).kind == "animation":
        write_frames(output, np.concatenate([*chunks]), scale, titles=row_titles, there_and_back=True)
    elif wants_arrays(output):
        write_images(output, chunks, count)
    else:
        write_images(
            output,
            (paths.reshape(-1, *paths.shape[2:]) for paths in chunks),
            count * steps,
            columns=steps,
            scale=scale,
            captions=(lambda images: [*captions] * count) if captions else None,
            row_titles=row_titles,
            facts=facts,
        )


def write_frames(
    output: str, paths: "np.ndarray", scale: int | None, *, titles: Sequence[str] = (), there_and_back: bool = False
) -> None:
    """Write an animation whose frames show one step of all paths (m, steps, H, W[, 3]) beside each other.

    titles: a text for each path, shown below its images. there_and_back: let the animation return to its start.
    """
    from ..images.captions import GridTexts
    from ..images.grid import GAP_PIXELS, Grid, fitting_columns, fitting_scale
    from ..images.writing import write_images

    count, steps, shape = len(paths), paths.shape[1], paths.shape[2:]
    if count == 1 and not titles:
        write_images(output, [paths[0]], steps, scale=scale, there_and_back=there_and_back)
        return
    columns = fitting_columns(count, shape)
    scale = scale or fitting_scale(count, shape, columns)
    size, gap = (shape[0] * scale, shape[1] * scale), GAP_PIXELS * scale
    texts = GridTexts(titles, (), count=count, columns=columns, size=size, gap=gap)

    def frame(step: int) -> "np.ndarray":
        """One step of all paths, an array (1, H', W'[, 3])."""
        grid = Grid(count, shape, columns=columns, scale=scale, margins=texts.margins)
        grid.add(paths[:, step])
        texts.write_on(grid)
        return grid.canvas[None]

    write_images(output, map(frame, range(steps)), steps, scale=1, there_and_back=there_and_back)
