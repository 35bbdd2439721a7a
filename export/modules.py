"""Export any pair of torch modules as an artifact: networks that were trained by hand or with another library."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from ..data.datasets import Dataset, from_arrays
from ..recipes.training import KINDS
from ..runtime.artifact import DECODER, ENCODER
from ..runtime.errors import ArtifactError, ExecutionError, InputError
from ..runtime.graphs.operators import ACCEPTED
from ..runtime.manifest import FP16, Manifest
from ..runtime.metadata import MAX_PIXEL_VALUE, MIN_PIXEL_RANGE, ImageSpec
from ..runtime.pixels import unit_pixels
from .graphs import EXAMPLE_ROWS, TorchGraph
from .half_precision import rounded
from .module_pair import ModulePair, check_module, evaluating, examined
from .options import ExportOptions
from .parity import golden_images
from .pipeline import Report, export_source
from .source import Networks, Source, Training
from .statistics import no_report

PART_IMAGES = 4096  # number of images read at a time, because a large set stays in its file


def export_modules(
    encoder: nn.Module,
    decoder: nn.Module,
    images: Dataset | ArrayLike,
    target: str | Path,
    *,
    labels: ArrayLike | None = None,
    class_names: Sequence[str] = (),
    data_name: str = "images",
    pixel_range: tuple[float, float] = (0.0, 1.0),
    clip_output: bool = False,
    kind: str | None = None,
    recipe: Mapping[str, Any] | None = None,
    options: ExportOptions | None = None,
    report: Report = no_report,
) -> Manifest:
    """Write the artifact folder `target` from any encoder and decoder in torch, and images that they are made for.

    encoder: a module that turns images float32 (n, C, H, W) in `pixel_range` into latents (n, d), or for a VAE into a
    tuple of mean and log variance. Latents of more axes, such as (n, c, h, w), are flattened in the artifact. decoder:
    a module that turns latents into images float32 (n, C, H, W) in `pixel_range`. Both compute in evaluation mode,
    and have their former mode afterwards; their tensors must be float32 on the CPU.
    images: best those that the modules were trained on; uint8 (n, H, W) or (n, H, W, 3), or a data set from
    `aegen.data.datasets.load`. Priors are fitted to the latents of most of them, and chosen and measured by the rest.
    labels, class_names, data_name: the label of each image, (n,), the names of the labels 0, 1, ..., and the name of
    the images; only beside an array. pixel_range: the values of black and white in the modules' tensors.
    clip_output: whether the decoder's values are clipped to `pixel_range`, for one that ends without an activation.
    kind: "ae", "dae" or "vae"; None means "vae" if the encoder returns a tuple, else "ae". recipe: what the card says
    about the training, by name, such as the library and the number of epochs. For a VAE, the entry `loss` "bce" states
    that p(x|z) is Bernoulli, and allows to measure its likelihood. options: such as name, licence and precision; 8
    bits are for networks that aegen trained. report: called with the name of each step as it begins, and in long
    steps also with the amount that is done and the total.

    Raises InputError for modules, images or options that cannot be used, which says what was found and what to do;
    ParityError if onnxruntime and torch differ; OutputError if `target` exists and may not be replaced.
    """
    options = options or ExportOptions()
    options.check(None, None)
    check_module("encoder", encoder)
    check_module("decoder", decoder)
    dataset = _dataset(images, labels, class_names, data_name)
    image = ImageSpec(dataset.shape, _checked_range(pixel_range))
    try:
        with evaluating(encoder, decoder):
            report("test runs")
            pair = examined(encoder, decoder, golden_images(dataset.test.images), image, clip_output)
            training = Training(_checked_kind(kind, pair), _checked_recipe(recipe), measured=_mean_image_mse(dataset))
            source = Source(_networks(pair, image, options), training, dataset, options)
            return export_source(source, Path(target), report)
    except (ArtifactError, ExecutionError) as error:  # for example, the runtime refuses an operator
        raise error.recast(InputError) from error


def _dataset(images: Dataset | ArrayLike, labels: ArrayLike | None, class_names: Sequence[str], name: str) -> Dataset:
    """The images as a data set. Raises InputError for arrays that cannot be used."""
    if not isinstance(images, Dataset):
        return from_arrays(images, labels, class_names, name)
    if labels is not None or class_names:
        raise InputError("labels", found="labels beside a data set", expected="labels in the data set")
    return images


def _checked_range(pixel_range: tuple[float, float]) -> tuple[float, float]:
    """The pixel range as floats. Raises InputError unless it is two numbers, of which the first is smaller."""
    try:
        low, high = map(float, pixel_range)
    except (TypeError, ValueError):
        low = high = 0.0
    if not -MAX_PIXEL_VALUE <= low <= high - MIN_PIXEL_RANGE <= MAX_PIXEL_VALUE:
        expected = "two numbers, the value of black and the larger value of white, such as (0, 1) or (-1, 1)"
        raise InputError("pixel_range", found=repr(pixel_range), expected=expected)
    return low, high


def _checked_kind(kind: str | None, pair: ModulePair) -> str:
    """The kind of the autoencoder. Raises InputError for an unknown one, or one that the encoder's outputs exclude."""
    found = kind or ("vae" if pair.variational else "ae")
    if found not in KINDS:
        raise InputError("kind", found=repr(kind), expected=f"one of {', '.join(KINDS)}")
    if (found == "vae") != pair.variational:
        outputs = "mean and log variance" if pair.variational else "one tensor"
        expected = "mean and log variance for kind vae, and one tensor for any other"
        raise InputError(f"encoder of kind {found}", found=outputs, expected=expected)
    return found


def _checked_recipe(recipe: Mapping[str, Any] | None) -> dict[str, Any]:
    """The recipe as it is read back from JSON. Raises InputError for values that JSON cannot store."""
    try:
        stored: dict[str, Any] = json.loads(json.dumps(dict(recipe or {}), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        expected = "names with numbers, texts, or lists of them"
        raise InputError("recipe", found=error, expected=expected) from error
    return stored


def _networks(pair: ModulePair, image: ImageSpec, options: ExportOptions) -> Networks:
    """The modules as graphs, with weights rounded to float16 where the precision requires it."""
    encoder, decoder = pair.encoder, pair.decoder
    if options.precision == FP16:
        encoder, decoder = rounded(encoder), rounded(decoder)
    outputs = ("latent", "logvar") if pair.variational else ("latent",)
    images, latents = torch.zeros(EXAMPLE_ROWS, *image.shape), torch.zeros(EXAMPLE_ROWS, pair.latent_dim)
    graphs = (
        TorchGraph(ENCODER, encoder, {"image": images}, outputs, operators=ACCEPTED),
        TorchGraph(DECODER, decoder, {"latent": latents}, ("image",), operators=ACCEPTED),
    )
    return Networks(encoder, graphs, image)


def _mean_image_mse(dataset: Dataset) -> dict[str, float]:
    """Mean squared error if every test image is reconstructed as the mean training image, for comparison.

    A network has a larger error than this if, for example, it is given another pixel range than in its training.
    """
    images = dataset.train.images
    parts = (images[start : start + PART_IMAGES] for start in range(0, len(images), PART_IMAGES))
    mean = sum(part.sum(0, dtype=np.float64) for part in parts) / len(images) / 255
    differences = unit_pixels(dataset.test.images) - mean.astype(np.float32)
    return {"mean_image_mse": float(np.mean(differences.astype(np.float64) ** 2))}
