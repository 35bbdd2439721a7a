"""Export of a learned prior as a graph. All kinds of learned priors, which `train` defines, share this module."""

from dataclasses import dataclass

import numpy as np
import torch

from ..runtime import manifest
from ..runtime.errors import InputError
from ..train.checkpoint import Checkpoint
from ..train.latents import EncodedLatents
from ..train.prior_network import PriorNetwork
from ..train.priors import LearnedPrior
from .graphs import EXAMPLE_ROWS, TorchGraph
from .half_precision import rounded

PRIOR = "prior.onnx"  # name of the ONNX file of a learned prior


@dataclass(frozen=True)
class ExportedPrior:
    """A learned prior that evaluates its network a fixed number of times to sample one latent.

    evaluations: how often the network is evaluated for one latent. network: the prior's network, with its weights as
    the artifact stores them. sampler: the graph that maps `noise` float32 [batch, d], and a class index `label` int64
    [batch] if there are classes, to `latent` float32 [batch, d].
    """

    learned: LearnedPrior
    evaluations: int
    network: PriorNetwork
    sampler: TorchGraph

    @property
    def record(self) -> manifest.LearnedPrior:
        """The manifest's entry for this prior."""
        return manifest.LearnedPrior(self.sampler.file, self.evaluations)


def exported_prior(
    learned: LearnedPrior, checkpoint: Checkpoint, labels: tuple[int, ...], evaluations: int | None, *, halves: bool
) -> ExportedPrior:
    """Make the graph of a learned prior.

    labels: the artifact's label values, by class index. evaluations: how often the network is evaluated for one latent;
    None means the number that `aegen refine` was run with, or the network's default if the run was not refined.
    halves: whether large weights are rounded to float16. Raises InputError if the prior was trained with other labels.
    """
    if learned.label_values != labels:
        found, remedy = f"one trained with labels {learned.label_values}", "Run `aegen train-prior` again."
        raise InputError("prior", found=found, expected=f"labels {labels}", remedy=remedy)
    default = checkpoint.refinement.flow_steps if checkpoint.refinement else learned.network.default_evaluations
    module = learned.network.unrolled(evaluations or default)
    module = rounded(module) if halves else module
    inputs = {"noise": torch.zeros(EXAMPLE_ROWS, learned.network.latent_dim)}
    if labels:
        inputs["label"] = torch.zeros(EXAMPLE_ROWS, dtype=torch.int64)
    sampler = TorchGraph(PRIOR, module, inputs, ("latent",), num_classes=len(labels))
    return ExportedPrior(learned, module.evaluations, module.network, sampler)


def log_likelihood(prior: ExportedPrior, held_out: EncodedLatents, class_fractions: np.ndarray) -> float | None:
    """Mean log density in nats of held-out latents under a learned prior, or None if the prior has no density.

    class_fractions: the fraction of images in each class (c,), or empty without classes. With classes, the density is
    p(z) = sum_y fraction(y) p(z|y), but only the term of the latent's own class is computed, because the other terms
    are small. The result is therefore a lower bound.
    """
    latents, classes = torch.from_numpy(held_out.latent), torch.from_numpy(held_out.class_indices)
    with torch.no_grad():  # with inference_mode, torch before 2.12 would compute every Jacobian as 0
        densities = prior.network.log_density(latents, classes)
    if densities is None:
        return None
    class_nats = float(np.log(class_fractions[held_out.class_indices]).mean()) if len(class_fractions) else 0.0
    return float(densities.mean()) + class_nats
