"""The model card: an artifact's README.md, made from its manifest so that the two cannot disagree."""

import math

from ..runtime.artifact import PREVIEW
from ..runtime.manifest import DataSpec, Manifest

KIND_NAMES = {"ae": "autoencoder", "dae": "denoising autoencoder", "vae": "variational autoencoder"}
LIMITS = {
    "ae": """An autoencoder is trained to give images back, not to draw new ones. Its latents of real images fill no
simple shape, and a Gaussian fitted to them also covers the gaps between them: some samples look like nothing.""",
    "dae": """A denoising autoencoder is trained to clean images, not to draw new ones. It takes away what it was
shown in training and may take away more; its latents fill no simple shape, so some samples look like nothing.""",
    "vae": """A variational autoencoder pays for latents that differ from N(0, I), as much as beta says. What it cannot
afford to keep, it averages: its images are softer than real ones.""",
}


def model_card(manifest: Manifest) -> str:
    """Markdown that says what the artifact is, how to use it, what it was made from and how well it does."""
    channels, height, width = manifest.image.shape
    colour = "grey" if channels == 1 else "RGB"
    quality, data, recipe = manifest.quality, manifest.data, manifest.recipe
    psnr = -10 * math.log10(max(quality["reconstruction_mse"], 1e-12))
    parity = "parity with torch" + (", before weights were in 8 bits" if manifest.quantisation_error else "")
    worst = max(manifest.parity.largest_difference.values())
    hyperparameters = "\n".join(f"| {hyperparameter} | {_plain(value)} |" for hyperparameter, value in recipe.items())
    versions = ", ".join(f"{package} {number}" for package, number in manifest.versions.items())
    priors = ", ".join(f"{name} {value:.2f} nats" for name, value in manifest.log_likelihood.items())
    commands = "\n".join(f"    {command}" for command in manifest.commands)
    costs = ", ".join(f"{file.removesuffix('.onnx')} {count:,}" for file, count in manifest.macs.items())
    unit = "squared error" if recipe["loss"] == "mse" else "nats"
    return f"""# {manifest.name}

A small {KIND_NAMES[manifest.kind]} of {width}x{height} {colour} images with {manifest.latent_dim} latent dimensions, \
trained on {data.name}.

![{manifest.name}: samples]({PREVIEW})

The image: 64 samples, seed 0, prior `{manifest.default_prior}`, temperature {manifest.default_temperature:g}.

## Use

    aegen sample --model {manifest.name} -n 64 -o grid.png

    import aegen
    model = aegen.load("{manifest.name}")
    images = model.sample(64, seed=0)

Where this folder does not come with aegen, give its path for its name.

## Facts

| | |
| --- | --- |
| training data | {data.name}: {data.training_images:,} images, {data.validation_images:,} more held out |
| source of the data | {data.source} |
| licence of the data | {data.licence} |
| reconstruction error | {quality["reconstruction_mse"]:.5f} mean square per pixel in [0, 1] (PSNR {psnr:.2f} dB), \
{_measured_on(data)} |
| validation loss | {quality["validation_loss"]:.2f} {unit}, summed over pixels, \
at epoch {manifest.epoch} of {recipe["epochs"]} |
| priors, with the mean log-likelihood of the same held-out latents | {priors} |
| MACs of a image | {costs} |
| precision | {manifest.precision_text} |
| {parity} | largest difference {worst:.1e}, at batch {", ".join(map(str, manifest.parity.batches))} |
| made with | {versions} |

## Recipe

Made by these commands; whoever has the data can make it again:

{commands}

| hyperparameter | value |
| --- | --- |
{hyperparameters}

## Limits

{LIMITS[manifest.kind]}
The prior `kde` draws close to latents of single training images, and so may copy them.
It knows only images like those that it was trained on.
{f"{chr(10)}{manifest.notes}" if manifest.notes else ""}"""


def _measured_on(data: DataSpec) -> str:
    if data.test_images:
        return f"on the {data.test_images:,} test images, which training never saw"
    return f"on the {data.validation_images:,} validation images, by which the best epoch was chosen"


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
