"""Checkpoints: the tensors of a network, and all else that is needed to use it or to resume its training."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..data.datasets import Dataset
from ..images.read_options import DEFAULT_OPTIONS, ReadOptions
from ..recipes.history import Epoch
from ..recipes.refinement import RefinementRecipe
from ..recipes.training import Recipe
from ..runtime.errors import InputError, NotFoundError
from ..runtime.metadata import DataSpec
from ..runtime.pixels import Shape
from ..runtime.records import from_json
from .archives import digest, read_archive, write_archive
from .networks import EncoderDecoder, build
from .objectives import Objective

FORMAT = 2
BEST, LAST = "best.pt", "last.pt"
# Number of levels of a convolutional network whose checkpoint does not record it. Such checkpoints are older than the
# hyperparameter, when all networks had two levels.
LEVELS_UNLESS_RECORDED = 2
# Recorded instead of the path of the training data if the data came through a pipe, which cannot be read twice.
PIPE = "-"


@dataclass(frozen=True)
class Checkpoint:
    """A network with its tensors as they were after the last epoch of `history`.

    shape: (C, H, W) of an image. data: name or absolute path of the training data, or PIPE. facts: description of the
    training data. state_dict: tensors of the network, whose names begin with `network.`, and of its loss. training:
    states of optimiser and schedule, needed to resume the run. refinement: hyperparameters of the refinement, or None
    if the run is not refined; the last one if it was refined several times. threads: number of CPU threads in training,
    on which the result depends. file: name of the file from which the checkpoint was read. reading: the options with
    which the images were read.
    """

    recipe: Recipe
    shape: Shape
    data: str
    facts: DataSpec
    history: tuple[Epoch, ...]
    state_dict: dict[str, torch.Tensor]
    training: dict[str, Any] | None = None
    refinement: RefinementRecipe | None = None
    threads: int | None = None
    file: str = LAST
    reading: ReadOptions = DEFAULT_OPTIONS

    @property
    def epoch(self) -> int:
        """Number of the epoch after which the checkpoint was made."""
        return self.history[-1].epoch

    @property
    def validation_loss(self) -> float:
        """Validation loss of this checkpoint, in the units of the recipe's loss."""
        return self.history[-1].validation_loss

    @property
    def sigma(self) -> float | None:
        """Learned standard deviation of p(x|z), for pixels in the recipe's range; None unless the loss is gaussian."""
        learned = self.state_dict.get("log_sigma")
        return None if learned is None else math.exp(learned.item())

    @property
    def fingerprint(self) -> str:
        """SHA-256 hash of the encoder's tensors. A prior stores it, to identify the encoder of its training latents."""
        return digest({name: value for name, value in self.state_dict.items() if name.startswith("network.encoder.")})

    def check_same_data(self, dataset: Dataset) -> None:
        """Raise InputError unless a data set holds the images that this network was trained on, in the same order."""
        found, expected = dataset.facts, self.facts
        if (found.sha256, found.shuffled, dataset.shape) != (expected.sha256, expected.shuffled, self.shape):
            order = {True: ", shuffled", False: ""}
            raise InputError(
                f"data {found.name!r} is not what the network was trained on",
                found=f"images of shape {dataset.shape} with sha256 {found.sha256}{order[found.shuffled]}",
                expected=f"those of {expected.name!r}, shape {self.shape}, "
                f"sha256 {expected.sha256}{order[expected.shuffled]}",
                remedy="Give the training data.",
            )

    def source(self, data: str | None) -> str:
        """Return the name or path from which to read the training data: `data`, or if it is None, the recorded one.

        Raises InputError when `data` is None and the recorded data came through a pipe.
        """
        if data is None and self.data == PIPE:
            found, remedy = "data that came through a pipe", "Give the training data."
            raise InputError(self.file, found=found, expected="data that can be read again", remedy=remedy)
        return data or self.data

    def check_not_refined(self) -> None:
        """Raise InputError if this run is refined, because a new prior would not fit the refined decoder."""
        if self.refinement is not None:
            remedy = "Train a prior for that run, then refine both."
            expected = "the run it was refined from"
            raise InputError(self.file, found="a refined run", expected=expected, remedy=remedy)

    def network(self) -> EncoderDecoder:
        """Return the trained network, in evaluation mode. Raises InputError if the tensors do not fit the recipe."""
        return self.objective().network.eval()

    def objective(self) -> Objective:
        """Return the trained network with its loss. Raises InputError if the tensors do not fit the recipe."""
        objective = Objective(build(self.recipe, self.shape), self.recipe)
        try:
            objective.load_state_dict(self.state_dict)
        except (RuntimeError, AttributeError, TypeError) as error:
            found, expected = "tensors of another network", "those of its recipe"
            raise InputError(f"{self.file}: state_dict", found=found, expected=expected) from error
        return objective


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint to a file, atomically."""
    plain = {name: getattr(checkpoint, name) for name in ("shape", "data", "state_dict", "training", "threads")}
    records = {name: dataclasses.asdict(getattr(checkpoint, name)) for name in ("recipe", "facts", "reading")}
    if checkpoint.refinement is not None:
        records["refinement"] = dataclasses.asdict(checkpoint.refinement)
    history = [dataclasses.asdict(epoch) for epoch in checkpoint.history]
    write_archive(path, {"format": FORMAT, **plain, **records, "history": history})


def read(path: Path) -> Checkpoint:
    """Read a checkpoint, without executing anything in the file.

    path: a checkpoint file, or a run folder, from which the checkpoint of the best epoch is read. Raises NotFoundError
    when there is no such file, InputError when it is damaged or is no checkpoint of aegen.
    """
    file = path / BEST if path.is_dir() else path
    if not file.is_file():
        found = f"no {BEST}" if path.is_dir() else "no such file or folder"
        raise NotFoundError(str(path), found=found, expected="a training run", remedy="`aegen train` makes one.")
    content = read_archive(file, FORMAT, "a checkpoint written by `aegen train`")
    state_dict, training = content.pop("state_dict", {}), content.pop("training", None)
    recipe = content.get("recipe")
    if isinstance(recipe, dict) and recipe.get("network") == "conv":
        recipe.setdefault("levels", LEVELS_UNLESS_RECORDED)
    checkpoint = from_json(Checkpoint, {**content, "state_dict": {}}, str(file))
    if not checkpoint.history:
        raise InputError(f"{file}: history", found="no epoch", expected="at least one")
    if not isinstance(state_dict, dict) or not all(isinstance(value, torch.Tensor) for value in state_dict.values()):
        raise InputError(f"{file}: state_dict", found="other values", expected="tensors")
    return dataclasses.replace(checkpoint, state_dict=state_dict, training=training, file=file.name)
