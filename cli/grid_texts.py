"""Texts of grids: captions, and the facts that a PNG file holds and `aegen info grid.png` shows."""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from .messages import note

if TYPE_CHECKING:
    from ..runtime.autoencoder import Autoencoder
    from ..runtime.manifest import Manifest


def grid_facts(model: "Autoencoder", **facts: object) -> dict[str, str]:
    """How the images of a grid were made, by name: the command, the model, the version of aegen, and other facts.

    facts: what else the images depend on, such as seed=0; facts that are None are left out. Nothing about the user or
    the machine is included: the model is given by its name, and by the SHA-256 of its manifest, which holds the hashes
    of all its files.
    """
    import aegen

    from ..runtime.artifact import MANIFEST

    known = {
        "command": click.get_current_context().info_name,
        "model": model.name,
        "sha256": hashlib.sha256((model.path / MANIFEST).read_bytes()).hexdigest(),
        **facts,
        "version": aegen.__version__,
    }
    return {name: str(fact) for name, fact in known.items() if fact is not None}


def sampling_facts(
    model: "Autoencoder", prior: str | None = None, temperature: float | None = None, **facts: object
) -> dict[str, str]:
    """The facts of `grid_facts` for samples: None stands for the model's default prior and default temperature."""
    temperature = model.manifest.default_temperature if temperature is None else temperature
    return grid_facts(model, prior=prior or model.manifest.default_prior, temperature=f"{temperature:g}", **facts)


def legible_texts(texts: Sequence[str], otherwise: Sequence[str]) -> list[str]:
    """Texts for captions or row titles, in which each text that the font cannot show is replaced.

    otherwise: for each text its replacement, such as a number. A note names the first text that was replaced.
    """
    from ..images.captions import is_legible

    illegible = [text for text in texts if not is_legible(text)]
    if illegible:
        note(f"grids cannot show the letters of {illegible[0]!r}; a number is shown instead.")
    return [text if is_legible(text) else other for text, other in zip(texts, otherwise, strict=True)]


def file_captions(names: Sequence[str], images: Sequence[object]) -> list[str]:
    """For each image the name of its file or, without names, its index."""
    indices = [*map(str, range(len(images)))]
    return legible_texts(names, indices) if names else indices


def class_texts(manifest: "Manifest", labels: Sequence[str | int]) -> list[str]:
    """For each label that a user asked for, the name of its class, or the label's value if the classes have no names.

    Raises InputError for a label that the model does not have.
    """
    import numpy as np

    from ..runtime.arguments import class_indices

    names = manifest.class_names
    indices = [int(np.asarray(class_indices(label, 1, manifest.labels, names))) for label in labels]
    values = [str(manifest.labels[index]) for index in indices]
    return legible_texts([names[index] for index in indices], values) if names else values
