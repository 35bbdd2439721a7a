"""`aegen denoise`: remove noise from images."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from .data_sets import input_options
from .grid_texts import grid_facts
from .json_output import print_json
from .messages import done, note, parts, plural
from .options import (
    dtype_option,
    grid_options,
    images_argument,
    json_option,
    model_options,
    refuse_json_beside_arrays,
    seed_option,
    wants_arrays,
)
from .reconstruct import MeanError, Rows, write_below

if TYPE_CHECKING:
    import numpy as np

    from ..runtime.manifest import Manifest
    from .data_sets import ModelInputs

DENOISER = "mnist-dae"  # the shipped model that was trained to denoise


@click.command
@images_argument
@click.option(
    "--noise",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="First add Gaussian noise of this standard deviation.",
)
@seed_option("Seed of that noise.", default=0)
@grid_options
@model_options
@input_options
@dtype_option
@json_option
def command(
    images: tuple[str, ...],
    noise: float,
    seed: int,
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
    """Remove noise from images with a denoising autoencoder, by default the one that ships with aegen.

    A grid shows each noisy image above the denoised one, and with --noise the original above both; other outputs hold
    the denoised images alone. Files in an output folder get the names of the input files. With --noise, the originals
    are known: --captions shows the peak signal-to-noise ratio (PSNR) of each image before and after.

    --json prints {"output", "images", "psnr_before", "psnr_after"}: the PSNR in decibels; null without --noise.

    \b
    aegen denoise scans/ --resize -o cleaned/
    aegen denoise 't10k-images-idx3-ubyte.gz[0:16]' --noise 0.5 -o triples.png
    """
    from ..images.grid import fitting_row
    from ..runtime.autoencoder import load

    refuse_json_beside_arrays(output, as_json)
    if captions and not noise:
        raise click.UsageError("--captions needs --noise, because the error of images without originals is unknown.")
    image_dtype = dtype if wants_arrays(output) else "uint8"
    loaded = load(model or DENOISER, threads=threads)
    _note_other_models(loaded.manifest)
    image_set = inputs.read(loaded, *images)
    originals, count = image_set.images, len(image_set.images)
    before, after = MeanError(), MeanError()

    def denoised_parts() -> "Iterator[np.ndarray]":
        """Yield the denoised images in parts, each an array (n, H, W[, 3])."""
        for part, noisy in zip(parts(originals), _noisy_parts(originals, noise, seed), strict=True):
            denoised = loaded.reconstruct(noisy, dtype=image_dtype)
            before.add(part, noisy)
            after.add(part, denoised)
            yield denoised

    write_below(
        output,
        denoised_parts(),
        count,
        _rows(originals, noise, seed, captions),
        columns=columns or fitting_row(count, loaded.image_shape),
        scale=scale,
        names=image_set.names,
        facts=grid_facts(loaded, noise=noise or None, seed=seed if noise else None),
    )
    _report(output, count, (before, after) if noise else None, as_json)


def _note_other_models(manifest: "Manifest") -> None:
    """Print a note if the model was not trained to remove noise."""
    if manifest.kind != "dae":
        kind = {"ae": "a plain autoencoder", "vae": "a variational autoencoder"}.get(manifest.kind, manifest.kind)
        note(f"{manifest.name} is {kind}, which was not trained to remove noise; {DENOISER} was.")


def _noisy_parts(originals: "np.ndarray", noise: float, seed: int) -> "Iterator[np.ndarray]":
    """Yield images (n, H, W[, 3]) in parts, with added noise of the standard deviation `noise` if it is not 0."""
    import numpy as np

    from ..runtime.pixels import with_noise

    random = np.random.default_rng(seed)
    return (with_noise(part, noise, random) if noise else part for part in parts(originals))


def _rows(originals: "np.ndarray", noise: float, seed: int, captions: bool) -> Rows:
    """The rows of the grid: noisy and denoised images, and above them, if noise was added, the originals."""
    import numpy as np

    if not noise:
        return Rows(("noisy", "denoised"), lambda: [originals])

    def above() -> list[np.ndarray]:
        return [originals, np.concatenate([*_noisy_parts(originals, noise, seed)])]

    if not captions:
        return Rows(("original", "noisy", "denoised"), above)
    return Rows(("original", "noisy (PSNR)", "denoised (PSNR)"), above, _captions)


def _captions(layers: "list[np.ndarray]") -> list[Sequence[str]]:
    """The captions of originals, noisy and denoised images: the PSNR of each noisy and of each denoised image."""
    from ..evaluation.similarity import peak_signal_to_noise, squared_errors

    originals, *others = layers
    errors = (squared_errors(originals, images) for images in others)
    return [[], *([f"{peak_signal_to_noise(mse):.1f} dB" for mse in each] for each in errors)]


def _report(output: str, count: int, errors: tuple[MeanError, MeanError] | None, as_json: bool) -> None:
    """Print what was written and, if noise was added, the PSNR before and after. errors: (before, after), or None."""
    before, after = (each.psnr for each in errors) if errors else (None, None)
    change = "" if before is None else f", PSNR {before:.1f} dB before and {after:.1f} dB after"
    done(output, plural(count, "image") + " denoised" + change)
    if as_json:
        facts = {"output": output, "images": count, "psnr_before": before, "psnr_after": after}
        print_json(facts)
