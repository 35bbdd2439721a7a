"""The best next steps after each command, as commands that a user can copy.

They are printed on standard error, unless --quiet was given.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .messages import say

if TYPE_CHECKING:
    from .data_sets import ModelInputs

Step = Sequence[str]  # the words of a command after `aegen`


def say_next(*steps: Step) -> None:
    """Print the commands that are most useful next, the best first."""
    say("Next:")
    for step in steps:
        say("  " + shlex.join(["aegen", *step]))


def after_train(run: Path, data: str) -> list[Step]:
    """Commands after `aegen train`: train a prior, or export at once. data: the training data; - for a pipe."""
    again = ["--data", "FILE"] if data == "-" else []
    return [["train-prior", str(run), *again], _export(run, again)]


def after_interrupted_train(run: Path, data: str) -> list[Step]:
    """The command after an interrupted `aegen train`: resume it. data: as in `after_train`."""
    return [["train", "--resume", str(run), *(["--data", "FILE"] if data == "-" else [])]]


def after_train_prior(run: Path, data: str | None) -> list[Step]:
    """Commands after `aegen train-prior`: refine, which improves samples most, or export.

    data: the option --data of the command, or None.
    """
    return [_refine(run, _data(data)), _export(run, _data(data))]


def after_distill(run: Path) -> list[Step]:
    """Commands after `aegen distill`: refine, to regain the quality that distillation has lost, or export."""
    return [_refine(run, []), _export(run, [])]


def after_refine(run: Path, data: str | None) -> list[Step]:
    """The command after `aegen refine`: export.

    run: the refined run. data: the option --data of the command, or None.
    """
    return [_export(run, _data(data))]


def after_export(artifact: Path, data: str, *, measurable: bool) -> list[Step]:
    """Commands after `aegen export`: sample images, and measure them if that is possible.

    data: name or path of the training data. measurable: whether aegen has a feature extractor of these images.
    """
    model = _path(artifact)
    measure = ["evaluate", model, "--data", data] if measurable else ["info", model]
    return [["sample", "--model", model, "-n", "64", "-o", _free("grid.png")], measure]


def after_train_features(features: Path, data: str) -> list[Step]:
    """The command after `aegen train-features`: evaluate a model of the same images. data: the option --data."""
    return [["evaluate", "MODEL", "--data", data, "--features", _path(features)]]


def after_index(index: Path, source: str, model: str | None, inputs: "ModelInputs") -> list[Step]:
    """The command after `aegen index`: search with the first of the images. source: where the images were read from."""
    query = "IMAGE" if source == "-" else source if source.endswith("]") else f"{source}[0]"
    options = [*(["--model", model] if model else []), *inputs.words]
    return [["similar", query, "--index", str(index), *options, "-o", _free("similar.png")]]


def after_encode(latents: str, model: str | None) -> list[Step]:
    """Commands after `aegen encode`: decode the latents, and plot them as points."""
    options = ["--model", model] if model else []
    return [
        ["decode", latents, *options, "-o", _free("images.png")],
        ["plot", "latent", *([model] if model else []), "--latents", latents, "-o", _free("latents.png")],
    ]


def after_data(data: str, reading: Sequence[str]) -> list[Step]:
    """The command after `aegen info --data`: make a model of the images. reading: the options for reading them."""
    return [["create", "--data", data, *reading, "-o", _free("my-model")]]


def _export(run: Path, data: Sequence[str]) -> Step:
    return ["export", str(run), *data, "-o", _free(f"{_folder(run).resolve().name}-artifact")]


def _refine(run: Path, data: Sequence[str]) -> Step:
    folder = _folder(run)
    return ["refine", str(run), *data, "-o", _free(f"{folder.parent / folder.resolve().name}-refined")]


def _data(data: str | None) -> list[str]:
    return [] if data is None else ["--data", "FILE" if data == "-" else data]


def _folder(run: Path) -> Path:
    """The folder of a run, which may be given as one of its .pt files."""
    return run.parent if run.suffix == ".pt" else run


def _path(folder: Path) -> str:
    """The path of a folder as a text that is not mistaken for the name of a shipped model, such as `./mnist`."""
    return str(folder) if folder.is_absolute() else f"./{folder}"


def _free(name: str) -> str:
    """A name that no file or folder has yet: the given name, or the name with a number, such as `grid-2.png`."""
    path, number = Path(name), 1
    while path.exists():
        number += 1
        path = Path(name).with_stem(f"{Path(name).stem}-{number}") if Path(name).suffix else Path(f"{name}-{number}")
    return str(path)
