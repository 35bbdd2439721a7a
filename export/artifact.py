"""Export a checkpoint and its data as an artifact folder."""

import dataclasses
from pathlib import Path

from ..data.datasets import Dataset
from ..runtime.manifest import FP16, FP32, Manifest
from ..runtime.metadata import ImageSpec
from ..train.checkpoint import Checkpoint
from ..train.latents import label_values
from ..train.priors import LearnedPrior
from .commands import recorded_commands
from .graphs import decoder, encoder
from .half_precision import rounded
from .learned_priors import ExportedPrior, exported_prior
from .options import ExportOptions
from .pipeline import Report, export_source
from .source import Networks, Source, Training
from .statistics import no_report


def export(
    checkpoint: Checkpoint,
    dataset: Dataset,
    target: Path,
    *,
    learned: LearnedPrior | None = None,
    options: ExportOptions | None = None,
    report: Report = no_report,
) -> Manifest:
    """Write the artifact folder `target` from a trained network and the images that it was trained on.

    learned: a prior trained on the network's latents. report: called with the name of each step of the export as it
    begins. All files are written to a temporary folder beside `target`, which is verified with the runtime and then
    renamed to `target`. Raises InputError for unusable options or if the data is not what the network was trained on,
    OutputError if `target` exists and may not be replaced, ParityError if onnxruntime and torch differ.
    """
    options = options or ExportOptions()
    options.check(checkpoint.recipe.network, learned)
    checkpoint.check_same_data(dataset)
    networks = _networks(checkpoint, dataset, learned, options)
    training = _training(checkpoint, networks.prior, options)
    return export_source(Source(networks, training, dataset, options), target, report)


def _networks(
    checkpoint: Checkpoint, dataset: Dataset, learned: LearnedPrior | None, options: ExportOptions
) -> Networks:
    """The networks of a checkpoint, with weights rounded to float16 where the precision requires it."""
    network, prior = checkpoint.network(), None
    if learned is not None:
        labels = tuple(label_values(dataset.train.labels).tolist())
        halves = options.precision != FP32
        prior = exported_prior(learned, checkpoint, labels, options.evaluations, halves=halves)
    if options.precision == FP16:
        network = rounded(network)
    sampler = () if prior is None else (prior.sampler,)
    graphs = (encoder(network, checkpoint.shape), decoder(network, checkpoint.recipe.latent_dim), *sampler)
    return Networks(network, graphs, ImageSpec(checkpoint.shape, checkpoint.recipe.pixel_range), prior)


def _training(checkpoint: Checkpoint, prior: ExportedPrior | None, options: ExportOptions) -> Training:
    """Facts about a checkpoint's training, for the manifest. prior: the learned prior, or None without one."""
    recipe = checkpoint.recipe

    def commands(manifest: Manifest) -> tuple[str, ...]:
        learned, evaluations = (None, None) if prior is None else (prior.learned, prior.evaluations)
        settings = options.recorded(manifest.default_prior, evaluations)
        return recorded_commands(checkpoint, learned, manifest.data.name, manifest.name, settings)

    return Training(
        kind=recipe.kind,
        recipe=dataclasses.asdict(recipe),
        seed=recipe.seed,
        epoch=checkpoint.epoch,
        sigma=checkpoint.sigma,
        measured={"validation_loss": checkpoint.validation_loss},
        refined=checkpoint.refinement is not None,
        commands=commands,
    )
