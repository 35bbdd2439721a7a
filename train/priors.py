"""Train, save and read the learned prior of a run. It is trained on latents of the run's training images.

The prior is stored in the folder of the run's checkpoint. recipes/learned_priors.py lists the kinds of learned priors,
and prior_network.py describes their interface.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import torch

from ..data.datasets import Dataset
from ..recipes.distillation import DistillationRecipe
from ..recipes.hyperparameters import Hyperparameters
from ..recipes.learned_priors import LEARNED_PRIORS, FlowRecipe, LearnedPriorRecipe
from ..recipes.stages import Stage, read_stages, stored_stages
from ..runtime.errors import InputError, NotFoundError
from ..runtime.metadata import ImageSpec
from . import flow_map
from .archives import DAMAGED, State, digest, read_archive, write_archive
from .checkpoint import BEST, Checkpoint
from .latents import encode, label_values
from .prior_network import PriorNetwork, Progress
from .unfinished import read_unfinished, save_unfinished

FORMAT = 2
PRIOR = "prior.pt"
TRAINING_SUFFIX = "-training.pt"


@dataclass(frozen=True)
class LearnedPrior:
    """A trained prior.

    stages: how the prior was made, in order: first its training, then any distillations and refinements.
    encoder_fingerprint: SHA-256 of the encoder that computed the training latents. label_values: the label of each
    class (k,). step, loss: training step and held-out mean squared error of the best evaluation. origin: for a refined
    prior, the fingerprint of the prior before refinement; otherwise empty.
    """

    stages: tuple[Stage, ...]
    encoder_fingerprint: str
    label_values: tuple[int, ...]
    step: int
    loss: float
    network: PriorNetwork
    origin: str = ""

    @property
    def recipe(self) -> LearnedPriorRecipe:
        """The recipe of the prior's first training."""
        return first_recipe(self.stages)

    @property
    def distillation(self) -> DistillationRecipe | None:
        """The recipe of the last distillation; None for a prior that is not distilled."""
        return last_distillation(self.stages)

    def after(self, recipe: Hyperparameters, network: PriorNetwork, **facts: Any) -> "LearnedPrior":
        """Return a copy of this prior after one more stage of training.

        recipe: recipe of that stage. network: the trained network. facts: new values of other fields, by name.
        """
        stages = (*self.stages, Stage(recipe, torch.get_num_threads()))
        return dataclasses.replace(self, stages=stages, network=network, **facts)

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
    stages = (Stage(recipe, torch.get_num_threads()),)
    return LearnedPrior(
        stages, checkpoint.fingerprint, tuple(values.tolist()), best.step, best.held_out_loss, network=prior
    )


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
    header = {"format": FORMAT, "stages": stored_stages(prior.stages)}
    write_archive(path, {**header, **facts, "network": prior.network.state_dict()})


def read(path: Path, checkpoint: Checkpoint) -> LearnedPrior:
    """Read a learned prior from a file. Nothing in the file is executed, so it may be untrusted.

    Raises NotFoundError when there is no such file; InputError when it is damaged, or when the prior was trained on
    latents of an encoder other than the checkpoint's.
    """
    expected, remedy = "a prior written by `aegen train-prior`", "Run `aegen train-prior`."
    if not path.is_file():
        raise NotFoundError(str(path), found="no such file", expected=expected, remedy=remedy)
    content = read_archive(path, FORMAT, expected)
    try:
        stages, values = read_stages(content["stages"], str(path)), tuple(content["label_values"])
        network = _network(stages, content["network"], len(values))
        facts = {name: content[name] for name in ("encoder_fingerprint", "step", "loss", "origin")}
        prior = LearnedPrior(stages, label_values=values, network=network, **facts)
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise InputError(str(path), found=DAMAGED, expected=expected) from error
    if prior.encoder_fingerprint != checkpoint.fingerprint:
        found, expected = "a prior of another encoder", "one of this run's"
        raise InputError(str(path), found=found, expected=expected, remedy=remedy)
    return prior


def first_recipe(stages: Sequence[Stage]) -> LearnedPriorRecipe:
    """The recipe of a prior's training, which is the first of its stages."""
    return cast(LearnedPriorRecipe, stages[0].recipe)


def last_distillation(stages: Sequence[Stage]) -> DistillationRecipe | None:
    """The recipe of the last distillation among a prior's stages, or None without one."""
    recipes = [stage.recipe for stage in stages if isinstance(stage.recipe, DistillationRecipe)]
    return recipes[-1] if recipes else None


def _network(stages: Sequence[Stage], state_dict: State, num_classes: int) -> PriorNetwork:
    """Rebuild the network of a prior from its tensors. stages: how the prior was made."""
    recipe, distillation = first_recipe(stages), last_distillation(stages)
    if distillation is not None:
        return flow_map.build(distillation, cast(FlowRecipe, recipe), state_dict, num_classes)
    network: PriorNetwork = _module(recipe.stage).build(recipe, state_dict, num_classes)
    return network


def save_training(state: State, recipe: LearnedPriorRecipe, checkpoint: Checkpoint, path: Path) -> None:
    """Write the state of an unfinished training of a prior to a file, atomically."""
    save_unfinished(path, recipe, {"encoder": checkpoint.fingerprint}, state)


def read_training(path: Path, checkpoint: Checkpoint) -> tuple[LearnedPriorRecipe, State]:
    """Read the recipe and the state of an unfinished training of a prior.

    Raises NotFoundError when there is no such file, InputError when it is damaged or belongs to another encoder.
    """
    belongs_to, expected = {"encoder": checkpoint.fingerprint}, "an unfinished training of a prior of this run"
    return read_unfinished(path, LEARNED_PRIORS.values(), belongs_to, expected)


def _module(name: str) -> Any:
    """The module that implements the learned prior `name`, such as flow_prior.py for `flow`."""
    return import_module(f".{name}_prior", __package__)
