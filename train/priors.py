"""A learned prior of a run: trained on the latents of its network, and kept beside its checkpoint."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.datasets import Dataset
from ..recipes.flow import FlowRecipe
from ..recipes.refinement import RefinementRecipe
from ..runtime.errors import InputError, NotFoundError
from ..runtime.manifest import ImageSpec
from ..runtime.records import from_json
from .archives import digest, read_archive, write_archive
from .checkpoint import BEST, Checkpoint
from .flow import Flow
from .flow_matching import Progress, State, train_flow
from .latents import encode, label_values

FORMAT = 1
PRIOR = "prior.pt"


@dataclass(frozen=True)
class LearnedPrior:
    """A flow and what it was trained by. loss: of the held-out latents, mean squared error of the velocity.

    encoder_fingerprint: SHA-256 of the encoder's weights whose latents these are. labels: that it was trained with. origin: of a
    refined flow, the fingerprint of the one that it was refined from.
    """

    recipe: FlowRecipe
    encoder_fingerprint: str
    labels: tuple[int, ...]
    step: int
    loss: float
    flow: Flow
    origin: str = ""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the flow's tensors."""
        return digest(self.flow.state_dict())


def train_prior(
    checkpoint: Checkpoint,
    dataset: Dataset,
    recipe: FlowRecipe,
    *,
    threads: int | None = None,
    resume: State | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    keep: Callable[[State], None] = lambda state: None,
) -> LearnedPrior:
    """A flow to the latents of the images that a network was trained on.

    resume, report, keep: as of `train_flow`. Raises InputError when `dataset` is not what the network was trained on,
    the run is a refined one, or `resume` is not of this recipe and these latents.
    """
    checkpoint.check_not_refined()
    checkpoint.check_same_data(dataset)
    network, image = checkpoint.network(), ImageSpec(checkpoint.shape, checkpoint.recipe.pixel_range)
    values = label_values(dataset.train.labels)
    latents, held_out = (encode(network, part, values, image) for part in (dataset.train, dataset.validation))
    flow, best = train_flow(
        recipe, latents, held_out, len(values), threads=threads, resume=resume, report=report, keep=keep
    )
    return LearnedPrior(recipe, checkpoint.fingerprint, tuple(values.tolist()), best.step, best.held_out_loss, flow)


def beside(run: Path) -> Path:
    """Where the prior of a run lies, given its folder or a checkpoint; that of the best epoch is `prior.pt`."""
    if run.is_dir():
        return run / PRIOR
    return run.with_name(PRIOR if run.name == BEST else f"{run.stem}-{PRIOR}")


def training_beside(run: Path) -> Path:
    """Where a training of that prior that was cut off lies."""
    target = beside(run)
    return target.with_name(f"{target.stem}-training.pt")


def save_training(
    state: State, recipe: FlowRecipe | RefinementRecipe, checkpoint: Checkpoint, path: Path, origin: str = ""
) -> None:
    """Write what a training that is cut off goes on from, whole or not at all. origin: of a refinement, that of its
    prior.
    """
    facts = {
        "format": FORMAT,
        "recipe": dataclasses.asdict(recipe),
        "encoder_fingerprint": checkpoint.fingerprint,
        "origin": origin,
    }
    write_archive(path, {**facts, "training": state})


def read_training(path: Path, checkpoint: Checkpoint) -> tuple[FlowRecipe, State]:
    """The recipe and the state of a training that was cut off.

    Raises NotFoundError when there is none, InputError as `read` does.
    """
    expected, remedy = "a training of a prior that was cut off", "Delete it, and begin anew."
    content = read_of_run(path, checkpoint, FlowRecipe, expected, remedy)
    return content["recipe"], state_of(content, path, expected)


def state_of(content: dict[str, Any], path: Path, expected: str) -> State:
    """The state that `save_training` wrote. Raises InputError when there is none."""
    state = content.get("training")
    if not isinstance(state, dict):
        raise InputError(str(path), found="another or a damaged file", expected=expected)
    return state


def save(prior: LearnedPrior, path: Path) -> None:
    """Write a learned prior whole or not at all."""
    names = ("encoder_fingerprint", "step", "loss", "origin")
    facts = {**{name: getattr(prior, name) for name in names}, "labels": list(prior.labels)}
    content = {"format": FORMAT, "recipe": dataclasses.asdict(prior.recipe), **facts, "flow": prior.flow.state_dict()}
    write_archive(path, content)


def read(path: Path, checkpoint: Checkpoint) -> LearnedPrior:
    """The prior in a file, read without executing anything.

    Raises NotFoundError when there is none, InputError when the file is damaged, or its latents are of other weights than
    the checkpoint's.
    """
    expected = "a prior written by `aegen train-prior`"
    content = read_of_run(path, checkpoint, FlowRecipe, expected, "Run `aegen train-prior`.")
    try:
        recipe, state, labels = content["recipe"], content["flow"], tuple(content["labels"])
        flow = Flow(state["mean"], state["factor"], len(labels), recipe)
        flow.load_state_dict(state)
        facts = content["encoder_fingerprint"], labels, content["step"], content["loss"]
        return LearnedPrior(recipe, *facts, flow.eval(), content.get("origin", ""))
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(str(path), found="another or a damaged file", expected=expected) from error


def read_of_run(
    path: Path, checkpoint: Checkpoint, recipe: type[FlowRecipe | RefinementRecipe], expected: str, remedy: str
) -> dict[str, Any]:
    """What was written, with its recipe decoded, of latents that are the checkpoint's.

    Raises NotFoundError when there is no such file, InputError, with the remedy, when it is damaged or of another run.
    """
    if not path.is_file():
        missing = "Begin anew." if remedy.startswith("Delete") else remedy
        raise NotFoundError(str(path), found="no such file", expected=expected, remedy=missing)
    content = read_archive(path, FORMAT, expected)
    try:
        content["recipe"] = from_json(recipe, content["recipe"], str(path))
        own = content["encoder_fingerprint"] == checkpoint.fingerprint
    except (KeyError, InputError) as error:
        raise InputError(str(path), found="another or a damaged file", expected=expected) from error
    if not own:
        raise InputError(str(path), found="a prior of other weights", expected="one of this run's", remedy=remedy)
    return content
