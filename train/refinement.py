"""A refined run: its flow and its decoder have gone on learning from what they draw; its encoder is the same.

In training a decoder sees the latents of real images alone, and what a code leaves open it averages. What is drawn
comes out a little too smooth, and a code that lies a little off comes out as no image at all. And a flow is taught
the velocity everywhere, but followed in a few steps.
"""

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..data.datasets import Dataset, LabelledImages
from ..recipes.feature_extractor import FeatureExtractorRecipe
from ..recipes.refinement import RefinementRecipe
from ..runtime.errors import InputError
from ..runtime.manifest import ImageSpec
from ..runtime.pixels import to_tensor
from ..runtime.threads import allowed_threads
from . import processes
from .checkpoint import Checkpoint, read
from .feature_extractor import UNIT, train_feature_extractor
from .latents import encode, label_values, places
from .moment_matching import Progress, State, match_moments
from .perception import Critic, Perception, feature_moments
from .priors import LearnedPrior, read_of_run, state_of
from .priors import read as read_prior

TRAINING = "refining.pt"
BATCH = 1000
NARROW = {"features": 96, "channels": 16}  # a smaller classifier than a feature extractor, and taught less


def refine(
    checkpoint: Checkpoint,
    prior: LearnedPrior,
    dataset: Dataset,
    recipe: RefinementRecipe,
    *,
    threads: int | None = None,
    resume: State | None = None,
    note: Callable[[str], None] = lambda line: None,
    report: Callable[[Progress], None] = lambda progress: None,
    keep: Callable[[State], None] = lambda state: None,
) -> tuple[Checkpoint, LearnedPrior]:
    """A run's checkpoint and prior, refined on what they draw.

    Classifiers of the training images' labels are trained first; a feature extractor, which measures models, has no part in it.
    Images without a label have no part in it either.
    note: called when something begins. resume, report, keep: as of `match_moments`.
    The same checkpoint, prior, data and recipe give the same run on one machine with one number of threads.
    Raises InputError when `dataset` is not what the network was trained on or has no labels, or the checkpoint is
    refined already.
    """
    checkpoint.check_not_refined()
    checkpoint.check_same_data(dataset)
    torch.set_num_threads(threads or allowed_threads())
    device = processes.device()
    image = ImageSpec(checkpoint.shape, checkpoint.recipe.pixel_range)
    labelled = _labelled(dataset.train)
    objective, flow = checkpoint.objective(), copy.deepcopy(prior.flow)
    for parameter in flow.trained():
        parameter.requires_grad_(True)  # the mean of weights, which a prior is, was not trained itself
    latents = encode(objective.network.eval(), labelled, np.arange(len(prior.labels)), image)
    latent, labels = (torch.from_numpy(part).to(device) for part in (latents.latent, latents.labels))

    def images(rows: Tensor, spec: ImageSpec = image) -> Tensor:
        return torch.from_numpy(to_tensor(labelled.images[rows.cpu().numpy()], spec)).to(device)

    unit, batches = ImageSpec(checkpoint.shape, UNIT), torch.split(torch.arange(len(labels)), BATCH)
    critics = []
    for number in range(1, recipe.classifiers + 1):
        note(f"classifier {number} of {recipe.classifiers} ...")
        classifier_epochs = FeatureExtractorRecipe(epochs=recipe.classifier_epochs, seed=recipe.seed + number, **NARROW)
        perception = Perception(train_feature_extractor(classifier_epochs, labelled, labelled[:0], threads=threads)).to(
            device
        )
        real = feature_moments(
            perception,
            ((images(rows, unit), labels[rows]) for rows in batches),
            match_second_moments=recipe.match_second_moments,
        )
        critics.append(Critic(perception, real, recipe.class_loss_weight))
    match_moments(
        objective.to(device),
        flow.to(device),
        recipe,
        latent,
        labels,
        images,
        critics,
        resume=resume,
        report=report,
        keep=keep,
    )
    state_dict = {name: value.cpu() for name, value in objective.state_dict().items()}
    refined = dataclasses.replace(checkpoint, state_dict=state_dict, training=None, refinement=recipe)
    return refined, dataclasses.replace(prior, flow=flow.cpu().eval(), origin=prior.fingerprint)


def read_training(path: Path, checkpoint: Checkpoint, prior: LearnedPrior) -> tuple[RefinementRecipe, State]:
    """The recipe and the state of a refinement of this checkpoint and prior that was cut off.

    Raises NotFoundError when there is none, InputError when it is damaged or of another run or prior.
    """
    expected, remedy = "a refinement of this run that was cut off", "Delete it, and begin anew."
    content = read_of_run(path, checkpoint, RefinementRecipe, expected, remedy)
    if content.get("origin") != prior.fingerprint:
        raise InputError(str(path), found="a refinement of another prior", expected="of this run's", remedy=remedy)
    return content["recipe"], state_of(content, path, expected)


def is_refined(file: Path, prior_file: Path, checkpoint: Checkpoint, prior: LearnedPrior) -> bool:
    """Whether what refining a checkpoint and its prior gives lies in these two files, whole.

    Raises InputError when one of them is damaged or of another run or prior.
    """
    if not (file.is_file() and prior_file.is_file()):
        return False
    found = read(file)
    if read_prior(prior_file, checkpoint).origin != prior.fingerprint:
        raise InputError(str(prior_file), found="one refined from another prior", expected="from this run's")
    return found.refinement is not None and found.fingerprint == checkpoint.fingerprint


def _labelled(images: LabelledImages) -> LabelledImages:
    """Those whose label can be asked for, with its place among the values for a label."""
    values = label_values(images.labels)
    found = places(images.labels, len(images), values)
    known = found < max(len(values), 1)
    return LabelledImages(images.images[known], found[known] if len(values) else None)
