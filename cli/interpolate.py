"""`aegen interpolate`: make paths of images from one image to another, or grids of images between four."""

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from .data_sets import input_options
from .grid_texts import grid_facts
from .messages import PART_ROWS, done, plural, with_progress
from .options import dtype_option, is_grid, model_options, seed_option, strip_options, wants_arrays
from .paths import write_frames, write_paths

if TYPE_CHECKING:
    import numpy as np

    from ..runtime.autoencoder import Autoencoder
    from .data_sets import ModelInputs

DEFAULT_PATHS, DEFAULT_MORPHS = 8, 1  # numbers of paths and of morphs between sampled images
MORPH_CORNERS = 4


@click.command
@click.argument("ends", metavar="[A B [C D]]", nargs=-1)
@click.option(
    "--steps",
    type=click.IntRange(2),
    default=10,
    show_default=True,
    help="Images on each path or on each side of a morph, ends included.",
)
@click.option(
    "--method",
    type=click.Choice(["linear", "slerp", "norm-corrected"]),
    help="Curve through latent space.  [default: slerp for a variational autoencoder, else linear]",
)
@click.option(
    "-n", "count", type=click.IntRange(1), help="Without A and B: how many paths or morphs.  [default: 8 or 1]"
)
@seed_option("Without A and B: the same seed gives the same images.  [default: a random one]")
@click.option(
    "--label",
    "labels",
    metavar="LABEL",
    multiple=True,
    help="Without A and B: the class of the images, by number or name. Two or four times: the class of each end.  "
    "[default: any]",
)
@strip_options()
@model_options
@input_options
@dtype_option
def command(
    ends: tuple[str, ...],
    steps: int,
    method: str | None,
    count: int | None,
    seed: int | None,
    labels: tuple[str, ...],
    output: str,
    scale: int | None,
    model: str | None,
    threads: int | None,
    inputs: "ModelInputs",
    dtype: str,
) -> None:
    """Interpolate from the images of A to those of B, among four images, or between sampled images.

    Each path from A to B is a row of a grid. A morph is a grid between four images: A top left, B top right, C bottom
    left, D bottom right. If A holds several images, the others hold as many. A .gif shows all paths at once, there and
    back; in a morph it goes round the edge, from A to B, D, C and A. Arrays are (paths, steps, height, width) or
    (morphs, steps, steps, height, width).

    On a path between sampled images of one class, the noise of a learned prior is interpolated if the model has one,
    unless --method is given. Every image on the path could then have been sampled. Otherwise latents are interpolated.
    Ends of different classes are sampled from the same noise, so they often have the same style.

    \b
    aegen interpolate 'digits.npy[0:8]' 'digits.npy[8:16]' -o paths.png
    aegen interpolate --label 3 --label 8 --steps 30 --seed 0 -o classes.gif
    """
    from ..runtime.autoencoder import load

    _require_fitting(ends, labels, {"-n": count, "--seed": seed, "--label": labels or None}, inputs)
    dtype = dtype if wants_arrays(output) else "uint8"
    loaded = load(model, threads=threads)
    corners = len(ends) or max(2, len(labels))
    wanted = _Interpolation(loaded, corners, steps, method, dtype)
    if ends:
        sets = [inputs.read(loaded, source).images for source in ends]
        count, chunks = len(sets[0]), wanted.between_images(sets)
        facts: dict[str, object] = {"method": method}
        remark = ""
    else:
        seed = int.from_bytes(os.urandom(4), "little") if seed is None else seed
        count = count or (DEFAULT_MORPHS if corners == MORPH_CORNERS else DEFAULT_PATHS)
        chunks = wanted.between_samples(count, seed, labels)
        facts = {"seed": seed, "label": ",".join(labels) or None, "method": method}
        remark = f", seed {seed}"
    texts = grid_facts(loaded, **facts) if is_grid(output) else None
    if corners == MORPH_CORNERS:
        _write_morphs(output, chunks, count, scale, texts)
        done(output, f"{plural(count, 'morph')} of {steps} x {steps} images{remark}")
    else:
        write_paths(output, chunks, count, steps, scale=scale, facts=texts)
        done(output, f"{plural(count, 'path')} of {steps} images{remark}")


def _require_fitting(
    ends: Sequence[str], labels: Sequence[str], of_samples: dict[str, Any], inputs: "ModelInputs"
) -> None:
    """Raise UsageError for a number of ends or labels that makes no path or morph, and for options that do not fit.

    of_samples: the options, by flag, that are only for paths between sampled images; None if not given.
    """
    if len(ends) not in (0, 2, MORPH_CORNERS):
        raise click.UsageError("Give A and B, or A, B, C and D, or none of them.")
    if len(labels) not in (0, 1, 2, MORPH_CORNERS):
        raise click.UsageError("Give --label once, or for both ends of a path, or for the four corners of a morph.")
    misplaced = [flag for flag, value in of_samples.items() if value is not None] if ends else inputs.in_use
    if misplaced:
        raise click.UsageError(f"{misplaced[0]} is for paths {'without' if ends else 'between'} A and B.")


@dataclass(frozen=True)
class _Interpolation:
    """Computes paths between two ends, or morphs between four, in chunks of at most about PART_ROWS images.

    A chunk is an array (m, steps, H, W[, 3]) of paths or (m, steps, steps, H, W[, 3]) of morphs.
    """

    model: "Autoencoder"
    corners: int
    steps: int
    method: str | None
    dtype: str

    def between_images(self, sets: "Sequence[np.ndarray]") -> "Iterator[np.ndarray]":
        """Interpolate between corresponding images of several sets (n, H, W[, 3]).

        Raises UsageError at once if the sets differ in their number of images.
        """
        counts = [len(images) for images in sets]
        if len({*counts}) > 1:
            found = ", ".join(f"{count:,}" for count in counts)
            raise click.UsageError(f"All ends must hold equally many images, but they hold {found}.")
        between = self.model.interpolate if self.corners == 2 else self.model.morph
        return (
            between(*(images[part] for images in sets), steps=self.steps, method=self.method, dtype=self.dtype)
            for part in self._parts(counts[0])
        )

    def between_samples(self, count: int, seed: int, labels: Sequence[str]) -> "Iterator[np.ndarray]":
        """Compute `count` paths or morphs between samples of a seed.

        labels: no label, one label for all ends, or one label for each end.
        """
        from ..runtime.interpolation import between, checked_method

        model = self.model
        is_one_class = len({*labels}) < 2 and self.corners == 2
        if is_one_class and self.method is None and model.manifest.learned_priors:
            label = labels[0] if labels else None
            for part in self._parts(count):
                n = part.stop - part.start
                yield model.latent_walk(n, start=part.start, steps=self.steps, seed=seed, label=label, dtype=self.dtype)
            return
        name = checked_method(self.method, model.manifest.kind)
        for part in self._parts(count):
            latents = between(name, self._sampled_ends(part, seed, labels), self.steps)
            images = model.decode(latents.reshape(-1, model.latent_dim), dtype=self.dtype)
            yield images.reshape(*latents.shape[:-1], *model.image_shape)

    def _sampled_ends(self, part: slice, seed: int, labels: Sequence[str]) -> "np.ndarray":
        """The latents of the ends of some paths or morphs, float32 (m, corners, d).

        part: the indices of these paths or morphs. If the ends of a path all have different classes, they share one
        noise vector: path i uses the noise at index i of the seed's sequence. Otherwise each end has its own noise.
        """
        import numpy as np

        n, start = part.stop - part.start, part.start
        if len({*labels}) == self.corners:
            return np.stack([self.model.sample_latents(n, start=start, seed=seed, label=label) for label in labels], 1)
        label = [*labels] * (n * self.corners // len(labels)) if labels else None
        latents = self.model.sample_latents(n * self.corners, start=start * self.corners, seed=seed, label=label)
        return latents.reshape(n, self.corners, -1)

    def _parts(self, count: int) -> Iterator[slice]:
        """Slices of the `count` paths or morphs, one for each chunk."""
        from ..runtime.workers import slices

        return slices(count, max(1, PART_ROWS // self.steps ** (self.corners // 2)))


def _write_morphs(
    output: str, chunks: "Iterator[np.ndarray]", count: int, scale: int | None, facts: dict[str, str] | None
) -> None:
    """Write morphs of images, which come in chunks (m, steps, steps, H, W[, 3]), `count` in total.

    A grid shows them below each other. An animation goes round the edge of all morphs at once. facts: see
    `grid_facts`.
    """
    import numpy as np

    from ..images.outputs import output_format
    from ..images.writing import write_images

    chunks = with_progress(chunks, count)
    if output_format(output).kind == "animation":
        rounds = [_round_trip(morphs) for morphs in chunks]
        write_frames(output, np.concatenate(rounds), scale)
    elif wants_arrays(output):
        write_images(output, chunks, count)
    else:
        first = next(chunks)
        steps = first.shape[1]
        images = (morphs.reshape(-1, *morphs.shape[3:]) for morphs in itertools.chain([first], chunks))
        write_images(output, images, count * steps**2, columns=steps, scale=scale, facts=facts)


def _round_trip(morphs: "np.ndarray") -> "np.ndarray":
    """The images on the edge of morphs (m, steps, steps, ...), clockwise from A: (m, 4 * (steps - 1), ...)."""
    import numpy as np

    top, right = morphs[:, 0, :-1], morphs[:, :-1, -1]
    bottom, left = morphs[:, -1, :0:-1], morphs[:, :0:-1, 0]
    return np.concatenate([top, right, bottom, left], 1)
