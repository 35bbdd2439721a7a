"""Refinement: train the prior and the decoder of a run further, on their own samples. The encoder stays fixed.

During an autoencoder's training, the decoder sees only latents of real images, so it may decode other latents badly.
The decoder averages over details that a latent does not determine, so samples are a little too smooth. Sampling
integrates the flow's velocity in only a few steps, which adds errors that the loss of the flow does not include.
Refinement reduces these errors: it generates samples as sampling does, and trains flow and decoder by moment matching
(moment_matching.py).
"""

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..data.datasets import Dataset
from ..data.images import LabelledImages
from ..recipes.feature_extractor import FeatureExtractorRecipe
from ..recipes.refinement import RefinementRecipe
from ..runtime.errors import InputError
from ..runtime.metadata import ImageSpec
from . import processes
from .archives import State
from .checkpoint import Checkpoint, read
from .feature_extractor import train_feature_extractor
from .feature_moments import LayerFeatures, MomentTarget, feature_moments
from .latents import class_indices, encode, label_values
from .moment_matching import Progress, RealImages, match_moments
from .pixels import scaled, unit_tensor
from .prior_network import PriorNetwork, RefinablePrior
from .priors import LearnedPrior
from .priors import read as read_prior
from .pseudo_labels import pseudo_labelled
from .unfinished import read_unfinished, save_unfinished

TRAINING = "refining.pt"
BATCH = 1000
FEATURES, CHANNELS = 96, 16  # sizes of the classifiers, which are smaller than the feature extractor to train faster


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
    """Refine a run's checkpoint and its flow prior, and return both.

    First, the classifiers for moment matching are trained on the training images. The feature extractor is not used for
    moment matching, because it evaluates the result. Images whose label is too rare to form a class are skipped. If no
    image has a class, each classifier learns clusters of the latents instead of classes.
    note: called with messages for the user before the training of the classifiers. resume, report, keep: see
    `match_moments`.
    On one machine with the same number of threads, the same checkpoint, prior, data and recipe give the same result.
    Raises InputError when `dataset` is not the network's training data, or the prior is not a flow.
    """
    checkpoint.check_same_data(dataset)
    network = _trainable(prior.network, recipe.flow_steps)
    processes.set_up(threads)
    device = processes.device()
    images = _of_known_classes(dataset.train)
    objective, network = checkpoint.objective().to(device), network.to(device)
    real = _real_images(checkpoint, images, len(prior.label_values), device)
    targets = []
    if images.labels is None:
        note("no labels: the classifiers learn clusters of the latents")
    for number in range(1, recipe.classifiers + 1):
        note(f"classifier {number} of {recipe.classifiers} ...")
        targets.append(_moment_target(recipe, number, images, real, threads))
    match_moments(objective, network, recipe, real, targets, resume=resume, report=report, keep=keep)
    state_dict = {name: value.cpu() for name, value in objective.state_dict().items()}
    refined = dataclasses.replace(checkpoint, state_dict=state_dict, training=None, refinement=recipe)
    return refined, prior.after(recipe, network.cpu().eval(), origin=prior.fingerprint)


def save_training(
    state: State, recipe: RefinementRecipe, checkpoint: Checkpoint, prior: LearnedPrior, path: Path
) -> None:
    """Write the state of an unfinished refinement to a file, atomically."""
    save_unfinished(path, recipe, _fingerprints(checkpoint, prior), state)


def read_training(path: Path, checkpoint: Checkpoint, prior: LearnedPrior) -> tuple[RefinementRecipe, State]:
    """Read the recipe and the state of an unfinished refinement of this checkpoint and prior.

    Raises NotFoundError when there is no such file, InputError when it is damaged or belongs to another run or prior.
    """
    expected = "an unfinished refinement of this run"
    return read_unfinished(path, [RefinementRecipe], _fingerprints(checkpoint, prior), expected)


def is_refined(file: Path, prior_file: Path, checkpoint: Checkpoint, prior: LearnedPrior) -> bool:
    """Whether the files `file` (checkpoint) and `prior_file` hold the refined versions of `checkpoint` and `prior`.

    False if a file is missing. Raises InputError when one is damaged or belongs to another run or prior.
    """
    if not (file.is_file() and prior_file.is_file()):
        return False
    refined = read(file)
    if read_prior(prior_file, checkpoint).origin != prior.fingerprint:
        raise InputError(str(prior_file), found="one refined from another prior", expected="from this run's")
    return refined.refinement is not None and refined.fingerprint == checkpoint.fingerprint


def _fingerprints(checkpoint: Checkpoint, prior: LearnedPrior) -> dict[str, str]:
    """Return the fingerprints of the encoder and of the prior that a refinement starts from."""
    return {"encoder": checkpoint.fingerprint, "prior": prior.fingerprint}


def _of_known_classes(images: LabelledImages) -> LabelledImages:
    """Return the images whose label is frequent enough to form a class. Their labels are replaced by class indices."""
    values = label_values(images.labels)
    classes = class_indices(images.labels, len(images), values)
    known = classes < max(len(values), 1)
    return LabelledImages(images[known].images, classes[known] if len(values) else None)


def _trainable(network: PriorNetwork, evaluations: int) -> RefinablePrior:
    """Return a copy of a prior's network with trainable parameters. The network's own parameters may be frozen.

    evaluations: how often the network will be evaluated for one latent. Raises InputError when refinement cannot train
    the network, or when the network cannot be evaluated so often.
    """
    if not isinstance(network, RefinablePrior):
        raise InputError("prior", found=type(network).__name__, expected="a flow, which refinement can train")
    network.unrolled(evaluations)
    network = copy.deepcopy(network)
    for parameter in network.trained_parameters():
        parameter.requires_grad_(True)
    return network


def _real_images(
    checkpoint: Checkpoint, labelled: LabelledImages, num_classes: int, device: torch.device
) -> RealImages:
    """Return images with their latents and class indices, on a device. The labels of `labelled` are class indices."""
    pixel_range = checkpoint.recipe.pixel_range
    image = ImageSpec(checkpoint.shape, pixel_range)
    encoded = encode(checkpoint.network(), labelled, np.arange(num_classes), image)
    latents, classes = (torch.from_numpy(part).to(device) for part in (encoded.latent, encoded.class_indices))
    return RealImages(latents, classes, lambda rows: scaled(_unit_images(labelled, rows), pixel_range))


def _moment_target(
    recipe: RefinementRecipe, number: int, images: LabelledImages, real: RealImages, threads: int | None
) -> MomentTarget:
    """Train a classifier for a refinement, and measure the moments of the real images.

    number: number of the classifier, from 1. It is added to the recipe's seed, so that each classifier has its own
    seed. images: n images with class indices as labels, or without labels. real: the same images, with their latents.
    """
    seed, classes = recipe.seed + number, real.class_indices
    labelled = images
    if images.labels is None:
        labelled = pseudo_labelled(images, real.latents.cpu().numpy(), recipe.clusters, seed)
    training = FeatureExtractorRecipe(features=FEATURES, channels=CHANNELS, epochs=recipe.classifier_epochs, seed=seed)
    classifier = train_feature_extractor(training, labelled, labelled[:0], threads=threads)
    features = LayerFeatures(classifier, classes_known=images.labels is not None).to(classes.device)
    batches = torch.split(torch.arange(len(classes)), BATCH)
    moments = feature_moments(
        features,
        ((_unit_images(images, rows.to(classes.device)), classes[rows]) for rows in batches),
        match_second_moments=recipe.match_second_moments,
    )
    return MomentTarget(features, moments, recipe.class_loss_weight)


def _unit_images(labelled: LabelledImages, rows: Tensor) -> Tensor:
    """The images at the indices `rows`, int64 (m,), as float32 (m, C, H, W) in [0, 1] on the device of `rows`."""
    return unit_tensor(labelled.images[rows.cpu().numpy()], rows.device)
