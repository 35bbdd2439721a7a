"""The best next steps after each command: commands that a user can copy. They go to standard error, without --quiet."""

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
    """A run has a decoder, and samples of closed-form priors. data: what it was trained on, - for a pipe."""
    again = ["--data", "FILE"] if data == "-" else []
    return [["train-prior", str(run), *again], _export(run, again)]


def after_interrupted_train(run: Path, data: str) -> list[Step]:
    """The epochs that are left come first. data: as in `after_train`."""
    return [["train", "--resume", str(run), *(["--data", "FILE"] if data == "-" else [])]]


def after_train_prior(run: Path, data: str | None) -> list[Step]:
    """Refinement improves samples most. data: the option --data of the command, or None."""
    return [_refine(run, _data(data)), _export(run, _data(data))]


def after_distill(run: Path) -> list[Step]:
    """Refinement makes up for what distillation has lost."""
    return [_refine(run, []), _export(run, [])]


def after_refine(run: Path, data: str | None) -> list[Step]:
    """A refined run only lacks the export. run: the refined one. data: the option --data of the command, or None."""
    return [_export(run, _data(data))]


def after_export(artifact: Path, data: str, *, measurable: bool) -> list[Step]:
    """Look at samples, and measure them if that is possible.

    data: name or path of the training data. measurable: whether aegen has a feature extractor of these images.
    """
    model = _path(artifact)
    measure = ["evaluate", model, "--data", data] if measurable else ["info", model]
    return [["sample", "--model", model, "-n", "64", "-o", _free("grid.png")], measure]


def after_train_features(features: Path, data: str) -> list[Step]:
    """A feature extractor measures models of the same images. data: the option --data of the command."""
    return [["evaluate", "MODEL", "--data", data, "--features", _path(features)]]


def after_index(index: Path, source: str, model: str | None, inputs: "ModelInputs") -> list[Step]:
    """Search for the first of the images that are in the index. source: from where they were read."""
    query = "IMAGE" if source == "-" else source if source.endswith("]") else f"{source}[0]"
    options = [*(["--model", model] if model else []), *inputs.words]
    return [["similar", query, "--index", str(index), *options, "-o", _free("similar.png")]]


def after_encode(latents: str, model: str | None) -> list[Step]:
    """Turn latents into images again, and show them as points."""
    options = ["--model", model] if model else []
    return [
        ["decode", latents, *options, "-o", _free("images.png")],
        ["plot", "latent", *([model] if model else []), "--latents", latents, "-o", _free("latents.png")],
    ]


def after_data(data: str, reading: Sequence[str]) -> list[Step]:
    """Make a model of images that are understood. reading: the options with which they were read."""
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
    """A path that is not mistaken for the name of a shipped model."""
    return str(folder) if folder.is_absolute() else f"./{folder}"


def _free(name: str) -> str:
    """The name, or the same with a number if there is a file or folder of this name: `grid-2.png`."""
    path, number = Path(name), 1
    while path.exists():
        number += 1
        path = Path(name).with_stem(f"{Path(name).stem}-{number}") if Path(name).suffix else Path(f"{name}-{number}")
    return str(path)
