"""After an error: say if an argument is of another kind than the command takes, such as latents instead of images."""

import shlex
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from .parsed_arguments import ParsedArguments

MIN_IMAGE_AXES = 3  # minimum number of axes of an array of images
HEAD_BYTES = 16


class Kind(Enum):
    """A kind of file or folder. The value names the kind in messages, such as "expected images"."""

    IMAGES = "images"
    LATENTS = "latents"
    MODEL = "a model"
    RUN = "a training run"
    INDEX = "an index"
    FEATURES = "a feature extractor"


# The kinds that each argument and option takes. The keys are parameters of the functions of commands.
TAKES = {
    "images": (Kind.IMAGES,),
    "image": (Kind.IMAGES,),
    "ends": (Kind.IMAGES,),
    "queries": (Kind.IMAGES,),
    "data": (Kind.IMAGES,),
    "latents": (Kind.LATENTS,),
    "run": (Kind.RUN,),
    "resume": (Kind.RUN,),
    "argument": (Kind.MODEL,),
    "model": (Kind.MODEL,),
    "models": (Kind.MODEL,),
    "source": (Kind.INDEX, Kind.LATENTS, Kind.IMAGES),
    "extractor": (Kind.FEATURES,),
}
# For each kind that may be found, a sentence on what can be done with it. {} stands for the path.
USES = {
    Kind.IMAGES: "`aegen info --data {}` shows images, and `aegen create --data {} -o my-model` makes a model of them.",
    Kind.LATENTS: "`aegen decode {} -o images.png` turns latents into images.",
    Kind.MODEL: "`aegen sample --model {} -o grid.png` samples a model, and `aegen info {}` shows it.",
    Kind.RUN: "`aegen export {} -o my-model` makes a model of a training run.",
    Kind.INDEX: "`aegen similar IMAGE --index {}` searches an index.",
    Kind.FEATURES: "`aegen evaluate MODEL --features {}` compares images by it.",
}
# Better sentences for some pairs (kind that was found, kind that the command takes).
REMEDIES = {
    (Kind.IMAGES, Kind.LATENTS): "`aegen encode {} -o latents.npy` turns images into latents.",
    (Kind.IMAGES, Kind.RUN): "`aegen train --data {} -o runs/mine` trains on images.",
    (Kind.IMAGES, Kind.FEATURES): "`aegen train-features --data {} -o features` makes one of labelled images.",
    (Kind.MODEL, Kind.RUN): "`aegen info {}` shows how a model was made; its training run is another folder.",
}


def mixed_up(parsed: ParsedArguments) -> str | None:
    """A sentence about the first argument that does not fit the command; None if all arguments fit."""
    for path, takes in _paths(parsed):
        kind = kind_of(path)
        if kind is not None and kind not in takes:
            needed = " or ".join(each.value for each in takes)
            sentence = REMEDIES.get((kind, takes[0]), USES[kind]).replace("{}", shlex.quote(str(path)))
            return f"{path}: found {kind.value}, expected {needed}. {sentence}"
    return None


def kind_of(path: Path) -> Kind | None:
    """The kind of a file or folder; None if it is unknown, or if nothing can be read there."""
    try:
        return _kind_of_folder(path) if path.is_dir() else _kind_of_file(path) if path.is_file() else None
    except (OSError, ValueError):  # also the errors about damaged files
        return None


def _paths(parsed: ParsedArguments) -> Iterator[tuple[Path, tuple[Kind, ...]]]:
    """Each path that a command was given, without a slice at its end, and the kinds of things that it may be."""
    from ..files.paths import split_slice
    from ..runtime.artifact import shipped
    from ..runtime.errors import InputError

    names = {each.name for each in parsed.command.params if each.type.name != "boolean"}
    for name, value in parsed.values.items():
        for each in value if isinstance(value, list | tuple) else (value,):
            if name not in names or name not in TAKES or not isinstance(each, str) or each in shipped():
                continue
            if parsed.name == "info" and name == "argument" and each.lower().endswith(".png"):
                continue  # `aegen info` also takes a grid
            try:
                yield Path(split_slice(each)[0]), TAKES[name]
            except InputError:
                continue


def _kind_of_folder(folder: Path) -> Kind | None:
    from ..images.folders import image_paths

    files = {
        "manifest.json": Kind.MODEL,
        "features.json": Kind.FEATURES,
        "index.json": Kind.INDEX,
        "best.pt": Kind.RUN,
        "last.pt": Kind.RUN,
    }
    kinds = [kind for name, kind in files.items() if (folder / name).is_file()]
    return kinds[0] if kinds else Kind.IMAGES if image_paths(folder) else None


def _kind_of_file(file: Path) -> Kind | None:
    from ..files.sources import read_head
    from ..images.formats import IDX, IMAGE_FORMATS, LATENT_FORMATS

    if file.suffix == ".pt":
        return Kind.RUN if (file.parent / "metrics.jsonl").is_file() else None
    head = read_head(file, HEAD_BYTES)
    if any(head.startswith(format.signatures) for format in (*IMAGE_FORMATS, IDX)):
        return Kind.IMAGES
    if not any(head.startswith(format.signatures) for format in LATENT_FORMATS):
        return None
    return _kind_of_arrays(file)


def _kind_of_arrays(file: Path) -> Kind | None:
    """The kind of an `.npy` or `.npz` file, by the names of its arrays and the axes of the first."""
    from ..files.sources import open_source
    from ..images.formats import LATENT_FORMATS
    from ..images.names import IMAGES, LATENTS

    with open_source(file, LATENT_FORMATS) as source:
        arrays = source.format.open(source)
        if IMAGES in arrays.names:
            return Kind.IMAGES
        if any(LATENTS in name for name in arrays.names):
            return Kind.LATENTS
        axes, dtype = arrays.header(arrays.names[0])
    if len(axes) >= MIN_IMAGE_AXES:
        return Kind.IMAGES
    return Kind.LATENTS if dtype.kind == "f" and len(axes) < MIN_IMAGE_AXES else None
