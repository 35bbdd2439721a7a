"""A learned prior of a run: trained on the codes of its network, and kept beside its checkpoint."""

import dataclasses
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..data.datasets import Dataset
from ..runtime.errors import InputError
from ..runtime.files import write_bytes
from ..runtime.manifest import ImageSpec
from ..runtime.records import from_json
from .checkpoint import Checkpoint
from .codes import encode, label_values
from .flow import Flow, FlowRecipe, Progress, train_flow

FORMAT = 1
PRIOR = "prior.pt"


@dataclass(frozen=True)
class LearnedPrior:
    """A flow and what it was trained by. loss: of the held-out codes, mean squared error of the velocity.

    weights: SHA-256 of the weights of the network whose codes these are.
    """

    recipe: FlowRecipe
    weights: str
    step: int
    loss: float
    flow: Flow


def train_prior(
    checkpoint: Checkpoint,
    dataset: Dataset,
    recipe: FlowRecipe,
    *,
    threads: int | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> LearnedPrior:
    """A flow to the codes of the pictures that a network was trained on.

    Raises InputError when `dataset` is not what the network was trained on.
    """
    checkpoint.check_same_data(dataset.facts)
    network, image = checkpoint.network(), ImageSpec(checkpoint.shape, checkpoint.recipe.pixel_range)
    values = label_values(dataset.train.labels)
    codes, held_out = (encode(network, part, values, image) for part in (dataset.train, dataset.validation))
    history: list[Progress] = []

    def note(progress: Progress) -> None:
        history.append(progress)
        report(progress)

    flow = train_flow(recipe, codes, held_out, len(values), threads=threads, report=note)
    best = min(history, key=lambda progress: progress.held_out_loss)
    return LearnedPrior(recipe, checkpoint.fingerprint, best.step, best.held_out_loss, flow)


def beside(run: Path) -> Path:
    """Where the prior of a run lies, given its folder or one of its checkpoints."""
    return (run if run.is_dir() else run.parent) / PRIOR


def save(prior: LearnedPrior, path: Path) -> None:
    """Write a learned prior whole or not at all."""
    facts = {"weights": prior.weights, "step": prior.step, "loss": prior.loss, "labels": prior.flow.labels}
    content = {"format": FORMAT, "recipe": dataclasses.asdict(prior.recipe), **facts, "flow": prior.flow.state_dict()}
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(path, buffer.getvalue())


def read(path: Path, checkpoint: Checkpoint) -> LearnedPrior:
    """The prior in a file, read without executing anything.

    Raises InputError when the file is damaged, or belongs to other weights than the checkpoint's.
    """
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
        recipe = from_json(FlowRecipe, content["recipe"], str(path))
        state = content["flow"]
        flow = Flow(state["mean"], state["factor"], content["labels"], recipe)
        flow.load_state_dict(state)
        prior = LearnedPrior(recipe, content["weights"], content["step"], content["loss"], flow.eval())
    except Exception as error:  # torch lets through whatever its unpickler meets
        raise InputError(
            str(path), found="another or a damaged file", expected="a prior of `aegen train-prior`"
        ) from error
    if prior.weights != checkpoint.fingerprint:
        remedy = "Run `aegen train-prior` again."
        raise InputError(str(path), found="a prior of other weights", expected="one of this run's", remedy=remedy)
    return prior
