"""The model card: an artifact's README.md, written from its manifest so that the two cannot disagree."""

import math

from ..recipes.hyperparameters import hyperparameters
from ..recipes.training import Recipe
from ..runtime.artifact import PREVIEW
from ..runtime.card import KIND_NAMES
from ..runtime.manifest import Manifest
from ..runtime.pixels import shape_in_words
from .memorisation import warning

LIMITS = {
    "ae": """An autoencoder is trained to reconstruct images, not to generate them. The latents of real images have no
simple distribution, and a Gaussian fitted to them also covers the gaps between them: some samples show nothing.""",
    "dae": """A denoising autoencoder is trained to clean images, not to generate them. It removes the corruption that
it was trained on and may remove more. The latents of real images have no simple distribution: some samples show
nothing.""",
    "vae": """A variational autoencoder is trained with a penalty, weighted by beta, on latents that differ from
N(0, I). Details that the penalty suppresses are averaged: its images are softer than real ones.""",
}


def model_card(manifest: Manifest) -> str:
    """Markdown text that says what the artifact is, how to use it, what it was made from and how good it is."""
    notes = (manifest.notes,) if manifest.notes else ()
    return "\n".join((_title(manifest), _use(manifest), _facts(manifest), _recipe(manifest), _limits(manifest), *notes))


def _title(manifest: Manifest) -> str:
    origin = "trained on" if manifest.is_trained_by_aegen else "exported with images of"
    images = f"{shape_in_words(manifest.image.shape)} images"
    return f"""# {manifest.name}

A small {KIND_NAMES[manifest.kind]} of {images} with {manifest.latent_dim} latent dimensions, \
{origin} {manifest.data.name}.

![{manifest.name}: samples]({PREVIEW})

The image: 64 samples, seed 0, prior `{manifest.default_prior}`, temperature {manifest.default_temperature:g}.
"""


def _use(manifest: Manifest) -> str:
    return f"""## Use

    aegen sample --model {manifest.name} -n 64 -o grid.png

    import aegen
    model = aegen.load("{manifest.name}")
    images = model.sample(64, seed=0)

If this folder does not ship with aegen, use its path instead of its name.
"""


def _facts(manifest: Manifest) -> str:
    data, mse = manifest.data, manifest.quality["reconstruction_mse"]
    psnr = -10 * math.log10(max(mse, 1e-12))
    parity = "parity with torch" + (", before weights were in 8 bits" if manifest.quantisation_error else "")
    worst = max(manifest.parity.largest_difference.values())
    rows = {
        "training data" if manifest.is_trained_by_aegen else "images that priors were fitted to": f"{data.name}: "
        f"{data.training_images:,} images, {data.validation_images:,} more held out",
        "source of the data": data.source,
        "licence of the data": data.licence,
        "reconstruction error": f"{mse:.5f} mean squared error per pixel in [0, 1] (PSNR {psnr:.2f} dB), "
        f"{_measured_on(manifest)}",
        **_loss(manifest),
        "priors, with the mean log-likelihood of the same held-out latents": ", ".join(_priors(manifest)),
        "MACs": ", ".join(f"{file.removesuffix('.onnx')} {count:,}" for file, count in manifest.macs.items()),
        "precision": manifest.precision_text,
        parity: f"largest difference {worst:.1e}, at batch {', '.join(map(str, manifest.parity.batches))}",
        "made with": ", ".join(f"{package} {version}" for package, version in manifest.versions.items()),
    }
    return f"## Facts\n\n{_table(('', ''), rows)}\n"


def _loss(manifest: Manifest) -> dict[str, str]:
    """A table row to compare the reconstruction error with: the validation loss, or the error of the mean image."""
    quality, recipe = manifest.quality, manifest.recipe
    if not manifest.is_trained_by_aegen:
        return {"error of the mean image": f"{quality['mean_image_mse']:.5f}, for every image"}
    unit = "squared error" if recipe["loss"] == "mse" else "nats"
    loss = f"{quality['validation_loss']:.2f} {unit}, summed over pixels"
    return {"validation loss": f"{loss}, at epoch {manifest.epoch} of {recipe['epochs']}"}


def _priors(manifest: Manifest) -> list[str]:
    """One text for each prior: its name, its log-likelihood if known, and a learned prior's network evaluations."""
    texts = []
    for name in manifest.priors:
        likelihood, learned = manifest.log_likelihood.get(name), manifest.learned_priors.get(name)
        nats = "" if likelihood is None else f" {likelihood:.2f} nats"
        texts.append(name + nats + ("" if learned is None else f" ({_times(learned.evaluations)})"))
    return texts


def _times(evaluations: int) -> str:
    return "1 evaluation" if evaluations == 1 else f"{evaluations} evaluations"


def _recipe(manifest: Manifest) -> str:
    commands = "\n".join(f"    {command}" for command in manifest.commands)
    if not manifest.is_trained_by_aegen:
        cells = {_cell(name): _cell(_plain(value)) for name, value in manifest.recipe.items()}
        stated = _table(("stated", "value"), cells) if cells else "Nothing more is stated."
        return f"## Training\n\nAnother program than aegen trained the networks.\n\n{stated}\n"
    # The card leaves out hyperparameters that depend on the images and are 0, because the training did not use them.
    dependent = {each.name for each in hyperparameters(Recipe) if each.default_in_words}
    used = {name: _plain(value) for name, value in manifest.recipe.items() if value or name not in dependent}
    return f"""## Recipe

Made by these commands; with the same data they make it again:

{commands}

{_table(("hyperparameter", "value"), used)}
"""


def _limits(manifest: Manifest) -> str:
    return f"""## Limits

{LIMITS[manifest.kind]}
The prior `kde` samples close to the latents of single training images, and so may copy them.
The model knows only images like those that it was trained on.
{warning(manifest)}"""


def _measured_on(manifest: Manifest) -> str:
    data = manifest.data
    count = data.test_images or data.validation_images
    if not manifest.is_trained_by_aegen:
        return f"on {count:,} images that no prior was fitted to; the networks may have been trained on them"
    if data.test_images:
        return f"on the {count:,} test images, which training never saw"
    return f"on the {count:,} validation images, by which the best epoch was chosen"


def _table(header: tuple[str, str], rows: dict[str, str]) -> str:
    """A Markdown table of two columns. rows: the cell of the second column, by the cell of the first."""
    lines = [f"| {header[0]} | {header[1]} |".replace("|  |  |", "| | |"), "| --- | --- |"]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows.items())])


def _cell(text: str) -> str:
    """Put a text on one line, and escape its bars (|), which would end a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list | tuple) else str(value)
