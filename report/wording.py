"""Texts that describe a manifest: kinds of models, priors, shapes and sizes."""

from collections.abc import Sequence

from ..plots.latent import class_title
from ..runtime.card import KIND_NAMES
from ..runtime.manifest import Manifest

KIND_SENTENCES = {
    "ae": "It was trained for one thing: that the image that comes out is the image that went in.",
    "dae": "It was trained to give back the clean image of a corrupted one.",
    "vae": "It was trained to give back the image that went in, while its latents stay close to a normal distribution.",
}
PRIOR_MEANINGS = {
    "standard": "N(0, I): independent normal numbers",
    "diagonal": "a Gaussian with the mean and the variances of real latents",
    "gaussian": "a Gaussian with the mean and the covariance of real latents",
    "gmm": "a mixture of Gaussians, fitted to real latents",
    "kde": "a small Gaussian around each of many real latents",
    "flow": "a network that turns noise into latents, trained on real latents",
}


def lead(manifest: Manifest) -> str:
    """Three sentences that say what the model is, for readers who do not know autoencoders."""
    channels, height, width = manifest.image.shape
    colour, values = "grey" if channels == 1 else "colour", channels * height * width
    kind = kind_name(manifest)
    return (
        f"{'An' if kind[0] in 'aeiou' else 'A'} {kind}: one network turns a {colour} image of {width}x{height} pixels, "
        f"{values:,} numbers, into {plural(manifest.latent_dim, 'number')}, its latent, and another network turns a "
        f"latent back into an image. {KIND_SENTENCES.get(manifest.kind, '')} New images are made by sampling a latent "
        "from a distribution, the prior, and decoding it."
    )


def kind_name(manifest: Manifest) -> str:
    """What kind of autoencoder the model is, such as `denoising autoencoder`."""
    return KIND_NAMES.get(manifest.kind, "autoencoder")


def image_subjects(manifest: Manifest) -> str:
    """What the images show, as far as the manifest says: `images like those of mnist`."""
    return f"images like those of {manifest.data.name}"


def plural(count: int, noun: str) -> str:
    """A count with its noun: `1 image`, `2 images`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def listed(words: Sequence[str], limit: int = 20) -> str:
    """A list of words as text, with commas. Only the first `limit` words are shown."""
    more = len(words) - limit
    return ", ".join(words[:limit]) + (f" and {more:,} more" if more > 0 else "")


def classes(manifest: Manifest) -> str:
    """The classes that samples can be asked for, or `none`."""
    return listed(manifest.class_names or [str(label) for label in manifest.labels]) or "none"


def object_name(label: int, class_names: Sequence[str]) -> str:
    """A phrase for alternative texts that says what images with a label show: `class 7`, or the name of the class."""
    title = class_title(label, class_names)
    return f"class {title}" if title == str(label) else title
