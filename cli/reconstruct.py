"""`aegen reconstruct`: encode images and decode them again."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from .data_sets import input_options
from .grid_texts import grid_facts
from .json_output import print_json
from .messages import done, parts, plural, with_progress
from .options import (
    dtype_option,
    grid_options,
    images_argument,
    json_option,
    model_options,
    refuse_json_beside_arrays,
    wants_arrays,
)

if TYPE_CHECKING:
    import numpy as np

    from .data_sets import ModelInputs


@click.command
@images_argument
@grid_options
@model_options
@input_options
@dtype_option
@json_option
def command(
    images: tuple[str, ...],
    output: str,
    columns: int | None,
    scale: int | None,
    captions: bool,
    model: str | None,
    threads: int | None,
    inputs: "ModelInputs",
    dtype: str,
    as_json: bool,
) -> None:
    """Encode images and decode them again.

    A grid shows each original above its reconstruction, with --captions also the mean squared error of each; other
    outputs hold the reconstructions alone. Each of IMAGES may be an image file, a folder, an archive, a table, an .npy,
    .npz or IDX file, optionally followed by a slice such as [0:16], or - for standard input. Files in an output folder
    get the names of the input files.

    --json prints {"output", "images", "mse", "psnr"}: the mean squared error of all pixels in [0, 1], and the peak
    signal-to-noise ratio of that error in decibels.

    \b
    aegen reconstruct 't10k-images-idx3-ubyte.gz[0:16]' -o pairs.png
    aegen reconstruct scans/ --resize -o cleaned/
    """
    from ..images.grid import fitting_row
    from ..runtime.autoencoder import load

    refuse_json_beside_arrays(output, as_json)
    image_dtype = dtype if wants_arrays(output) else "uint8"
    loaded = load(model, threads=threads)
    image_set = inputs.read(loaded, *images)
    originals, count, error = image_set.images, len(image_set.images), MeanError()

    def reconstructions() -> "Iterator[np.ndarray]":
        """Yield the reconstructions in parts, each an array (n, H, W[, 3])."""
        for part in parts(originals):
            reconstructed = loaded.reconstruct(part, dtype=image_dtype)
            error.add(part, reconstructed)
            yield reconstructed

    write_below(
        output,
        reconstructions(),
        count,
        _rows(originals, captions),
        columns=columns or fitting_row(count, loaded.image_shape),
        scale=scale,
        names=image_set.names,
        facts=grid_facts(loaded),
    )
    done(output, f"{plural(count, 'reconstruction')}, mean squared error {error.mse:.4f}, PSNR {error.psnr:.1f} dB")
    if as_json:
        facts = {"output": output, "images": count, "mse": error.mse, "psnr": error.psnr}
        print_json(facts)


def _rows(originals: "np.ndarray", captions: bool) -> "Rows":
    """The rows of the grid: originals and reconstructions. captions: whether to show the squared errors."""
    if not captions:
        return Rows(("original", "reconstruction"), lambda: [originals])
    return Rows(("original", "reconstruction (MSE)"), lambda: [originals], _captions)


def _captions(layers: "list[np.ndarray]") -> list[Sequence[str]]:
    """The captions of originals and of reconstructions: none, and the mean squared errors."""
    from ..evaluation.similarity import squared_errors

    return [[], [f"{mse:.4f}" for mse in squared_errors(*layers)]]


class MeanError:
    """The mean squared error of all pixels of images that are added in parts."""

    def __init__(self) -> None:
        self._sum, self._count = 0.0, 0

    def add(self, originals: "np.ndarray", images: "np.ndarray") -> None:
        """Add images (n, H, W[, 3]), uint8 or float in [0, 1], and what they should be."""
        from ..evaluation.similarity import squared_errors

        self._sum += float(squared_errors(originals, images).sum())
        self._count += len(images)

    @property
    def mse(self) -> float:
        """The mean squared error of all pixels so far."""
        return self._sum / self._count

    @property
    def psnr(self) -> float:
        """The peak signal-to-noise ratio of the mean squared error, in decibels."""
        from ..evaluation.similarity import peak_signal_to_noise

        return peak_signal_to_noise(self.mse)


@dataclass(frozen=True)
class Rows:
    """The rows of a grid that shows several sets of images below each other, such as originals and reconstructions.

    titles: the title of each set. above: returns all sets but the last, arrays (count, H, W[, 3]); it is called only
    for a grid. captions: returns the captions of each set, from all sets; None if there are none.
    """

    titles: Sequence[str]
    above: Callable[[], "list[np.ndarray]"]
    captions: "Callable[[list[np.ndarray]], list[Sequence[str]]] | None" = None


def write_below(
    output: str,
    chunks: "Iterable[np.ndarray]",
    count: int,
    rows: Rows,
    *,
    columns: int,
    scale: int | None,
    names: Sequence[str] = (),
    facts: dict[str, str] | None = None,
) -> None:
    """Write images to an output. A grid also shows other images, such as the originals, above them.

    chunks: the images to write, arrays (n, H, W[, 3]) with `count` images in total. They are the last set of `rows`.
    names: name of the input file of each image; files in an output folder get these names. facts: see `grid_facts`.
    """
    from ..images.grid import stacked, stacked_captions
    from ..images.writing import write_images

    above = functools.cache(rows.above)

    def layout(images: "np.ndarray") -> "np.ndarray":
        """Order the images of the grid: those above, and below them `images`, (n, H, W[, 3])."""
        return stacked(columns, *above(), images)

    def captions(images: "np.ndarray") -> list[str]:
        """The captions of the grid, in the order of its images."""
        return stacked_captions(columns, *rows.captions([*above(), images])) if rows.captions else []

    write_images(
        output,
        with_progress(chunks, count),
        count,
        columns=columns,
        scale=scale,
        layout=layout,
        names=names,
        captions=captions if rows.captions else None,
        row_titles=rows.titles,
        facts=facts,
    )
