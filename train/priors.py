"""Train, save and read the learned prior of a run. It is trained on latents of the run's training images.

The prior is stored in the folder of the run's checkpoint. recipes/learned_priors.py lists the kinds of learned priors,
and prior_network.py describes their interface.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ..data.datasets import Dataset
from ..recipes.hyperparameters import Hyperparameters
from ..recipes.learned_priors import LEARNED_PRIORS, LearnedPriorRecipe
from ..runtime.errors import InputError, NotFoundError
from ..runtime.manifest import ImageSpec
from ..runtime.records import from_json
from .archives import DAMAGED, State, digest, read_archive, write_archive
from .checkpoint import BEST, Checkpoint
from .latents import encode, label_values
from .prior_network import PriorNetwork, Progress

FORMAT = 1
PRIOR = "prior.pt"
TRAINING_SUFFIX = "-training.pt"


@dataclass(frozen=True)
class LearnedPrior:
    """A trained prior.

    encoder_fingerprint: SHA-256 of the encoder that computed the training latents. label_values: the label of each
    class (k,). step, loss: training step and held-out mean squared error of the best validation. origin: for a refined
    prior, the fingerprint of the prior before refinement; otherwise empty.
    """

    recipe: LearnedPriorRecipe
    encoder_fingerprint: str
    label_values: tuple[int, ...]
    step: int
    loss: float
    network: PriorNetwork
    origin: str = ""

    @property
    def name(self) -> str:
        """Name of the kind of prior, such as `flow`."""
        return self.recipe.stage

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the tensors of the prior's network."""
        return digest(self.network.state_dict())


def train_prior(
    checkpoint: Checkpoint,
    dataset: Dataset,
    recipe: LearnedPriorRecipe,
    *,
    threads: int | None = None,
    resume: State | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    keep: Callable[[State], None] = lambda state: None,
) -> LearnedPrior:
    """Train a learned prior on the latents of the images that the checkpoint's network was trained on.

    resume, report, keep: see `train` in flow_prior.py. Raises InputError when `dataset` is not the network's training
    data, the checkpoint is already refined, or `resume` does not fit the recipe and the latents.
    """
    checkpoint.check_not_refined()
    checkpoint.check_same_data(dataset)
    network, image = checkpoint.network(), ImageSpec(checkpoint.shape, checkpoint.recipe.pixel_range)
    values = label_values(dataset.train.labels)
    latents, held_out = (encode(network, part, values, image) for part in (dataset.train, dataset.validation))
    prior, best = _module(recipe.stage).train(
        recipe, latents, held_out, len(values), threads=threads, resume=resume, report=report, keep=keep
    )
    return LearnedPrior(recipe, checkpoint.fingerprint, tuple(values.tolist()), best.step, best.held_out_loss, prior)


def beside(run: Path) -> Path:
    """Return the path of the prior that belongs to a run's folder or to a checkpoint file, given as `run`.

    The path is `prior.pt` for a folder and for its `best.pt`, and `NAME-prior.pt` for a checkpoint `NAME.pt`.
    """
    if run.is_dir():
        return run / PRIOR
    return run.with_name(PRIOR if run.name == BEST else f"{run.stem}-{PRIOR}")


def training_beside(run: Path) -> Path:
    """Return the path of the file that stores the state of a prior's unfinished training.

    run: the run's folder, or a checkpoint file.
    """
    target = beside(run)
    return target.with_name(f"{target.stem}{TRAINING_SUFFIX}")


def save(prior: LearnedPrior, path: Path) -> None:
    """Write a learned prior to a file atomically."""
    names = ("encoder_fingerprint", "label_values", "step", "loss", "origin")
    facts = {name: getattr(prior, name) for name in names}
    write_archive(path, {**_header(prior.recipe), **facts, "network": prior.network.state_dict()})


def read(path: Path, checkpoint: Checkpoint) -> LearnedPrior:
    """Read a learned prior from a file. Nothing in the file is executed, so it may be untrusted.

    Raises NotFoundError when there is no such file; InputError when it is damaged, or when the prior was trained on
    latents of an encoder other than the checkpoint's.
    """
    expected = "a prior written by `aegen train-prior`"
    content = read_of_run(path, checkpoint, expected, "Run `aegen train-prior`.")
    try:
        recipe, values = content["recipe"], tuple(content["label_values"])
        network = _module(recipe.stage).build(recipe, content["network"], len(values))
        return LearnedPrior(
            recipe,
            content["encoder_fingerprint"],
            values,
            content["step"],
            content["loss"],
            network,
            content.get("origin", ""),
        )
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(str(path), found=DAMAGED, expected=expected) from error


def save_training(state: State, recipe: Hyperparameters, checkpoint: Checkpoint, path: Path, origin: str = "") -> None:
    """Write the state of an unfinished training of a prior, or of a refinement, to a file atomically.

    origin: for a refinement, the fingerprint of the prior that is being refined.
    """
    facts = {"encoder_fingerprint": checkpoint.fingerprint, "origin": origin}
    write_archive(path, {**_header(recipe), **facts, "training": state})


def read_training(path: Path, checkpoint: Checkpoint) -> tuple[LearnedPriorRecipe, State]:
    """Read the recipe and the state of an unfinished training of a prior.

    Raises NotFoundError when there is no such file, InputError when it is damaged or belongs to another encoder.
    """
    expected, remedy = "an unfinished training of a prior", "Delete it, and begin anew."
    content = read_of_run(path, checkpoint, expected, remedy)
    return content["recipe"], training_state(content, path, expected)


def training_state(content: State, path: Path, expected: str) -> State:
    """Get the training state from the content of the file `path`. Raises InputError when the content has none."""
    state = content.get("training")
    if not isinstance(state, dict):
        raise InputError(str(path), found=DAMAGED, expected=expected)
    return state


def read_of_run(
    path: Path,
    checkpoint: Checkpoint,
    expected: str,
    remedy: str,
    *,
    recipes: Mapping[str, type[Hyperparameters]] = LEARNED_PRIORS,
) -> State:
    """Read a file that this module has written for a checkpoint's encoder, and convert its recipe to a recipe object.

    expected, remedy: for error messages, what the file should be and what the user can do. recipes: the allowed recipe
    classes, by the name of the stage that the file holds.
    Raises NotFoundError when there is no such file, InputError when it is damaged or belongs to another encoder.
    """
    if not path.is_file():
        missing = "Begin anew." if remedy.startswith("Delete") else remedy
        raise NotFoundError(str(path), found="no such file", expected=expected, remedy=missing)
    content = read_archive(path, FORMAT, expected)
    try:
        content["recipe"] = from_json(recipes[content["stage"]], content["recipe"], str(path))
        fits = content["encoder_fingerprint"] == checkpoint.fingerprint
    except (KeyError, TypeError, InputError) as error:
        raise InputError(str(path), found=DAMAGED, expected=expected) from error
    if not fits:
        raise InputError(str(path), found="a prior of another encoder", expected="one of this run's", remedy=remedy)
    return content


def _header(recipe: Hyperparameters) -> State:
    """The entries that all files written by this module have: format, stage and recipe."""
    return {"format": FORMAT, "stage": recipe.stage, "recipe": dataclasses.asdict(recipe)}


def _module(name: str) -> Any:
    """The module that implements the learned prior `name`, such as flow_prior.py for `flow`."""
    return import_module(f".{name}_prior", __package__)
