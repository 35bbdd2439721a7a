"""`aegen encode`: turn images into latents."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from .data_sets import input_options
from .json_output import print_json
from .messages import done, parts, plural, say, with_progress
from .next_steps import after_encode, say_next
from .options import images_argument, json_option, model_options, output_option, usage

if TYPE_CHECKING:
    import numpy as np

    from ..images.quantisation import Quantisation
    from ..images.reading import ImageSet
    from ..runtime.autoencoder import Autoencoder
    from .data_sets import ModelInputs


@click.command
@images_argument
@output_option
@click.option(
    "--bits",
    type=click.IntRange(2, 16),
    help="Store each number of a latent as an integer of so many bits, in an .npz. 8 bits change images very little.  "
    "[default: float32]",
)
@model_options
@input_options
@json_option
def command(
    images: tuple[str, ...],
    output: str,
    bits: int | None,
    model: str | None,
    threads: int | None,
    inputs: "ModelInputs",
    as_json: bool,
) -> None:
    """Turn images into latents.

    Writes a float32 array (images, latent dimensions) as .npy, as .npz under the name `latents`, or as .npy to standard
    output (-). An .npz also holds the image files' names as `names`; `aegen decode` uses them for its output files.

    With --bits, latents are rounded to integers between the smallest and the largest value of each latent dimension,
    and written as .npz, also to standard output. `aegen decode` reads them like other latents. --json prints one object
    then: {"output", "images", "latent_dim", "bits", "bytes_per_image", "ratio_to_images", "ratio_to_float32",
    "psnr_before", "psnr_after"}. The ratios say how many times smaller the latents are than the images, uint8, and than
    latents as float32. The last two are the PSNR in decibels of reconstructions before and after rounding.

    \b
    aegen encode t10k-images-idx3-ubyte.gz -o latents.npy
    aegen encode t10k-images-idx3-ubyte.gz --bits 8 -o small.npz
    """
    from ..images.latents import write_latents
    from ..runtime.autoencoder import load

    _refuse_early(output, bits, as_json)
    loaded = load(model, threads=threads)
    image_set = inputs.read(loaded, *images)
    count = len(image_set.images)
    if bits is None:
        chunks = with_progress((loaded.encode(part) for part in parts(image_set.images)), count)
        write_latents(output, chunks, count, names=image_set.names)
        done(output, f"{plural(count, 'latent')} of {plural(loaded.latent_dim, 'dimension')}")
        _say_next(output, model)
        return
    numbers = _write_quantised(output, loaded, image_set, bits)
    done(output, f"{plural(count, 'latent')} of {plural(loaded.latent_dim, 'dimension')} in {bits} bits")
    say(
        f"{numbers['bytes_per_image']:.4g} bytes an image, {numbers['ratio_to_images']:.1f} times less than the images "
        f"and {numbers['ratio_to_float32']:.1f} times less than latents as float32; PSNR of reconstructions "
        f"{numbers['psnr_before']:.2f} dB before and {numbers['psnr_after']:.2f} dB after quantisation"
    )
    _say_next(output, model)
    if as_json:
        print_json({"output": output, "images": count, "latent_dim": loaded.latent_dim, "bits": bits, **numbers})


def _say_next(output: str, model: str | None) -> None:
    """Print the next steps if the latents are in a file."""
    if output != "-":
        say_next(*after_encode(output, model))


def _refuse_early(output: str, bits: int | None, as_json: bool) -> None:
    """Raise UsageError if the output cannot hold the latents, or if --json has nothing to print or nowhere to go."""
    from ..images.outputs import latents_format

    with usage():
        form = latents_format(output)
    if bits is not None and form.kind != "npz" and output != "-":
        raise click.UsageError(f"--bits: found {output}, expected a name that ends in .npz, or -")
    if as_json and bits is None:
        raise click.UsageError("--json prints the numbers of --bits. Add --bits 8.")
    if as_json and output == "-":
        raise click.UsageError("--json and -o - both write to standard output. Write the latents to a file.")


def _write_quantised(output: str, model: "Autoencoder", image_set: "ImageSet", bits: int) -> dict[str, Any]:
    """Encode all images twice: for the range of the latents, and to quantise them. Returns the numbers to print."""
    from ..evaluation.similarity import peak_signal_to_noise
    from ..images.latents import write_quantised_latents
    from ..images.quantisation import fitted_quantisation

    images = image_set.images
    count = len(images)
    encoded = with_progress((model.encode(part) for part in parts(images)), count, "range of latents")
    quantisation = fitted_quantisation(encoded, bits)
    errors = [0.0, 0.0]  # sums of the images' squared errors, before and after quantisation
    chunks = with_progress(_quantised(model, images, quantisation, errors), count, "quantised latents")
    write_quantised_latents(output, chunks, count, quantisation, names=image_set.names)
    total = count * quantisation.row_bytes + quantisation.shared_bytes
    before, after = (peak_signal_to_noise(error / count) for error in errors)
    return {
        "bytes_per_image": total / count,
        "ratio_to_images": images[0].size * count / total,
        "ratio_to_float32": 4 * model.latent_dim * count / total,
        "psnr_before": before,
        "psnr_after": after,
    }


def _quantised(
    model: "Autoencoder", images: "np.ndarray", quantisation: "Quantisation", errors: list[float]
) -> "Iterator[np.ndarray]":
    """Yield the packed latents, uint8 (m, row_bytes), of images (n, H, W[, 3]), and add up the squared errors."""
    from ..evaluation.similarity import squared_errors

    for part in parts(images):
        latents = model.encode(part)
        packed = quantisation.packed(latents)
        for index, decoded in enumerate((latents, quantisation.latents(packed))):
            errors[index] += float(squared_errors(part, model.decode(decoded, dtype="uint8")).sum())
        yield packed
