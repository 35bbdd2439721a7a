"""The origin of the model (commands, data, versions, hashes), and how this report was made."""

import hashlib
from importlib.metadata import version

from ..runtime.artifact import MANIFEST
from ..runtime.card import size_text
from ..runtime.pixels import shape_in_words
from .blocks import Block, Facts, Lines, Section, Table
from .subject import Subject
from .wording import classes, kind_name, plural

HERE = ("aegen", "onnxruntime", "numpy")  # packages whose installed versions the page states


def key_facts(subject: Subject) -> list[tuple[str, str]]:
    """The most important facts about the model, for the top of the page: (name, text) each."""
    manifest = subject.manifest
    channels, height, width = manifest.image.shape
    values, data = channels * height * width, manifest.data
    return [
        ("kind", kind_name(manifest)),
        ("images", shape_in_words(manifest.image.shape)),
        ("latent dimensions", f"{manifest.latent_dim:,} for {values:,} pixel values"),
        ("size", f"{size_text(manifest.total_bytes)}, {manifest.precision}"),
        (
            "multiply-accumulates",
            ", ".join(f"{_stem(name)} {n / 1e6:.2f} M" for name, n in manifest.macs.items()) or "-",
        ),
        ("priors", ", ".join(manifest.priors)),
        ("by default", f"{manifest.default_prior}, temperature {manifest.default_temperature:g}"),
        ("classes", classes(manifest)),
        ("trained on", f"{plural(data.training_images, 'image')} of {data.name}"),
        ("licence of the data", data.licence),
    ]


def provenance_section(subject: Subject) -> Section:
    """The section with the commands, data, hyperparameters, versions and hashes that the model was made with."""
    manifest = subject.manifest
    data, recipe, here = manifest.data, manifest.recipe, {name: version(name) for name in HERE}
    intro = "With the same data, these commands make the model again. The hashes say whether a copy is this model."
    if not manifest.is_trained_by_aegen:
        intro = "Another program than aegen trained the networks. The hashes say whether a copy is this model."
    facts = [
        ("data", f"{data.name}: {data.training_images:,} training and {data.validation_images:,} validation images"),
        ("source of the data", data.source),
        ("licence of the data", data.licence),
        ("SHA-256 of the data", data.sha256),
    ]
    if manifest.is_trained_by_aegen:
        facts.append(("epoch", f"{manifest.epoch} of {recipe.get('epochs', '-')}"))
    names = sorted({*manifest.versions, *here})
    versions = [[name, manifest.versions.get(name, "-"), here.get(name, "-")] for name in names]
    digest = hashlib.sha256((subject.model.path / MANIFEST).read_bytes()).hexdigest()
    size = (subject.model.path / MANIFEST).stat().st_size
    files = [[MANIFEST, f"{size:,}", digest]]
    files += [[name, f"{spec.bytes:,}", spec.sha256] for name, spec in sorted(manifest.files.items())]
    blocks: list[Block] = [
        *([Lines("The commands that made the model.", manifest.commands)] if manifest.commands else []),
        Facts("The data and the training.", facts),
        Facts("The hyperparameters of the autoencoder.", [(name, _plain(value)) for name, value in recipe.items()]),
        Table("Versions of software.", ["package", "at export", "for this page"], versions, text_columns=(1, 2)),
        Table("The files of the artifact.", ["file", "bytes", "SHA-256"], files, text_columns=(2,)),
    ]
    return Section("provenance", "Provenance", intro, blocks)


def made_by(subject: Subject) -> str:
    """A sentence that says how this page was made."""
    if subject.dataset is None:
        return f"Made by `aegen report {subject.model.name}`, seed {subject.seed}, without images."
    extractor = "" if subject.extractor is None else f", feature extractor {subject.extractor.record.name}"
    return (
        f"Made by `aegen report {subject.model.name}`, seed {subject.seed}, with {len(subject.images):,} "
        f"{subject.split} of {subject.dataset.facts.name}{extractor}."
    )


def _stem(graph: str) -> str:
    return graph.removesuffix(".onnx")


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list | tuple) else str(value)
