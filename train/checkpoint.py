"""Checkpoints: a network's weights with everything that is needed to use them, and nothing that is executed."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..data.datasets import Dataset
from ..recipes.refinement import RefinementRecipe
from ..recipes.training import Recipe
from ..runtime.errors import InputError, NotFoundError
from ..runtime.manifest import DataSpec
from ..runtime.pixels import Shape
from ..runtime.records import from_json
from .archives import digest, read_archive, write_archive
from .networks import EncoderDecoder, build
from .objectives import Objective

FORMAT = 1
BEST, LAST = "best.pt", "last.pt"
PIPE = "-"  # stands for data that cannot be read again


@dataclass(frozen=True)
class Epoch:
    """One line of `metrics.jsonl`. Losses are in the units of the recipe's loss.

    reconstruction and penalty: the parts of the validation loss, the penalty (KL in nats, or half a squared length)
    before its weight. kl_per_dimension: of a VAE, in nats. active_units: of a VAE, axes whose posterior mean varies by more
    than 0.01 over the validation images (Y. Burda et al., Importance Weighted Autoencoders, 2016, section 5.3).
    """

    epoch: int
    train_loss: float
    validation_loss: float
    reconstruction: float
    penalty: float
    kl_per_dimension: tuple[float, ...]
    active_units: int | None
    learning_rate: float


@dataclass(frozen=True)
class Checkpoint:
    """A trained network as it was after the last epoch of `history`.

    data: the `--data` argument as an absolute path or a name. state_dict: of the objective, the network's under
    `network.`. training: what a resumed run needs besides, the states of optimiser and schedule. refinement: what the
    decoder has gone through since, or None. file: the name of the file that it was read from.
    """

    recipe: Recipe
    shape: Shape
    data: str
    facts: DataSpec
    history: tuple[Epoch, ...]
    state_dict: dict[str, torch.Tensor]
    training: dict[str, Any] | None = None
    refinement: RefinementRecipe | None = None
    file: str = LAST

    @property
    def epoch(self) -> int:
        """The number of the last epoch."""
        return self.history[-1].epoch

    @property
    def validation_loss(self) -> float:
        """After the last epoch, in the units of the recipe's loss."""
        return self.history[-1].validation_loss

    @property
    def sigma(self) -> float | None:
        """Standard deviation of p(x|z) in the recipe's pixel range, learned with the loss gaussian."""
        learned = self.state_dict.get("log_sigma")
        return None if learned is None else math.exp(learned.item())

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the encoder's weights, by which a prior can tell that latents are those that it was trained on."""
        return digest({name: value for name, value in self.state_dict.items() if name.startswith("network.encoder.")})

    def check_same_data(self, dataset: Dataset) -> None:
        """Raise InputError when a data set does not hold the images that this network was trained on."""
        facts = dataset.facts
        own = self.facts
        if (facts.sha256, facts.shuffled, dataset.shape) != (own.sha256, own.shuffled, self.shape):
            order = {True: ", shuffled", False: ""}
            raise InputError(
                f"data {facts.name!r} is not what the network was trained on",
                found=f"images of shape {dataset.shape} with sha256 {facts.sha256}{order[facts.shuffled]}",
                expected=f"those of {own.name!r}, shape {self.shape}, sha256 {own.sha256}{order[own.shuffled]}",
                remedy="Pass the training data with --data.",
            )

    def source(self, data: str | None) -> str:
        """The data set to read again: `data`, or where it was. Raises InputError when it came through a pipe."""
        if data is None and self.data == PIPE:
            found, remedy = "data that came through a pipe", "Pass the training data with --data."
            raise InputError(self.file, found=found, expected="data that can be read again", remedy=remedy)
        return data or self.data

    def check_not_refined(self) -> None:
        """Raise InputError when the decoder has been refined: its prior was, too, and neither is trained again."""
        if self.refinement is not None:
            remedy = "Train a prior for that run, then refine both."
            expected = "the run that it was made from"
            raise InputError(self.file, found="a refined run", expected=expected, remedy=remedy)

    def network(self) -> EncoderDecoder:
        """The network with these weights, ready for inference. Raises InputError when they are not the recipe's."""
        return self.objective().network.eval()

    def objective(self) -> Objective:
        """What training minimised, with these weights. Raises InputError when they are not the recipe's."""
        objective = Objective(build(self.recipe, self.shape), self.recipe)
        try:
            objective.load_state_dict(self.state_dict)
        except (RuntimeError, AttributeError, TypeError) as error:
            raise InputError(f"{self.file}: state_dict", found="others", expected="those of its recipe") from error
        return objective


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint whole or not at all."""
    plain = {name: getattr(checkpoint, name) for name in ("shape", "data", "state_dict", "training")}
    records = {name: dataclasses.asdict(getattr(checkpoint, name)) for name in ("recipe", "facts")}
    if checkpoint.refinement is not None:
        records["refinement"] = dataclasses.asdict(checkpoint.refinement)
    history = [dataclasses.asdict(epoch) for epoch in checkpoint.history]
    write_archive(path, {"format": FORMAT, **plain, **records, "history": history})


def read(path: Path) -> Checkpoint:
    """A checkpoint from its file, read without executing anything.

    path: the file, or the run folder, which stands for its best epoch. Raises NotFoundError when there is none,
    InputError when the file is damaged or no checkpoint of aegen's.
    """
    file = path / BEST if path.is_dir() else path
    if not file.is_file():
        found = f"no {BEST}" if path.is_dir() else "no such file or folder"
        raise NotFoundError(str(path), found=found, expected="a training run", remedy="`aegen train` makes one.")
    content = read_archive(file, FORMAT, "a checkpoint written by `aegen train`")
    state_dict, training = content.pop("state_dict", {}), content.pop("training", None)
    facts = from_json(Checkpoint, {**content, "state_dict": {}}, str(file))
    if not facts.history:
        raise InputError(f"{file}: history", found="no epoch", expected="one at least")
    if not isinstance(state_dict, dict) or not all(isinstance(value, torch.Tensor) for value in state_dict.values()):
        raise InputError(f"{file}: state_dict", found="others", expected="those of its recipe")
    return dataclasses.replace(facts, state_dict=state_dict, training=training, file=file.name)
