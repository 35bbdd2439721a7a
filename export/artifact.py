"""Export a checkpoint and its data as an artifact folder. The folder is written only if it passes all checks."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..data.datasets import Dataset
from ..files.atomic import new_folder, require_parent
from ..files.temporary import exists_nonempty
from ..images.encoding import image_bytes
from ..images.grid import tile
from ..runtime import artifact
from ..runtime.arrays import npz_bytes
from ..runtime.artifact import CARD, GOLDEN, LATENTS, PREVIEW, file_spec
from ..runtime.autoencoder import Autoencoder
from ..runtime.errors import AegenError, OutputError, ParityError
from ..runtime.graphs.check import operators_of
from ..runtime.manifest import FP16, FP32, INT8, Manifest, Parity, Tensor
from ..runtime.metadata import ImageSpec
from ..runtime.pixels import unit_pixels
from ..runtime.verification import golden_inputs
from ..train.checkpoint import Checkpoint
from ..train.latents import EncodedLatents, encode, label_values
from ..train.networks import EncoderDecoder
from ..train.priors import LearnedPrior
from .calibration import MAX_ROWS, graph_inputs, quantised_prior
from .card import model_card
from .commands import recorded_commands
from .graphs import IR_VERSION, OPSET, TorchGraph, decoder, encoder, macs, onnx_bytes, signature
from .half_precision import rounded, stored_as_halves
from .learned_priors import PRIOR, ExportedPrior, exported_prior, log_likelihood
from .options import ExportOptions
from .parity import golden_images, golden_pairs, onnxruntime_outputs, prove
from .quantised import all_quantised
from .statistics import fit, likelihood_latents, log_likelihoods
from .versions import versions

PREVIEW_IMAGES = 64
# Only matrices of a learned prior with at least this many weights get 8 bits. Those for the noise and for the latents
# are smaller. They stay in float32, because they matter for the quality and hardly for the speed.
MIN_PRIOR_WEIGHTS = 16_384

Report = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """What an artifact is made from.

    network: the trained network, which encodes the latents; for precision fp16 its weights are rounded to float16.
    prior: the learned prior, or None without one. image: shape and pixel range of the network's image tensors.
    """

    checkpoint: Checkpoint
    dataset: Dataset
    options: ExportOptions
    network: EncoderDecoder
    prior: ExportedPrior | None
    image: ImageSpec
    labels: np.ndarray  # the label value of each class, int64 (c,)


@dataclass(frozen=True)
class Graphs:
    """The graphs of an artifact.

    torch: the torch modules that the graphs were exported from. contents: the ONNX files by file name. golden: the
    arrays of `golden.npz`, which are test inputs of the graphs and the outputs expected for them. parity: how close
    onnxruntime and torch are. quantisation_error: for each graph that is quantised to 8 bits, by file name, the root
    mean square change of its first output.
    """

    torch: tuple[TorchGraph, ...]
    contents: dict[str, bytes]
    golden: dict[str, np.ndarray]
    parity: Parity
    quantisation_error: dict[str, float]


@dataclass(frozen=True)
class Latents:
    """The latents of the training images, and of the validation images, which are held out from training."""

    training: EncodedLatents
    held_out: EncodedLatents


def export(
    checkpoint: Checkpoint,
    dataset: Dataset,
    target: Path,
    *,
    learned: LearnedPrior | None = None,
    options: ExportOptions | None = None,
    report: Report = lambda step: None,
) -> Manifest:
    """Write the artifact folder `target` from a trained network and the images that it was trained on.

    learned: a prior trained on the network's latents. report: called with the name of each step of the export as it
    begins. All files are written to a temporary folder beside `target`, which is verified with the runtime and then
    renamed to `target`. Raises InputError for unusable options or if the data is not what the network was trained on,
    OutputError if `target` exists and may not be replaced, ParityError if onnxruntime and torch differ.
    """
    options = options or ExportOptions()
    options.check(checkpoint.recipe.network, learned)
    _check_target(target, options.overwrite)
    notes = options.notes_text()
    checkpoint.check_same_data(dataset)
    source = _source(checkpoint, dataset, learned, options)
    report("graphs and parity")
    graphs = _graphs(source)
    parts = (dataset.train, dataset.validation)
    latents = Latents(*(encode(source.network, part, source.labels, source.image) for part in parts))
    if options.precision == INT8:
        report("8 bits")
        graphs = _in_8_bits(graphs, source, latents)
    statistics = fit(
        latents.training.latent,
        latents.held_out.latent,
        dataset.train.labels,
        components=options.components,
        report=report,
    )
    manifest = _manifest(source, graphs, statistics, _likelihoods(source, statistics, latents.held_out))
    manifest = dataclasses.replace(manifest, name=options.name or target.resolve().name, notes=notes)
    manifest = dataclasses.replace(manifest, commands=_commands(source, manifest))
    contents = {**graphs.contents, LATENTS: npz_bytes(statistics), GOLDEN: npz_bytes(graphs.golden)}
    with new_folder(target, overwrite=options.overwrite) as folder:
        write_artifact(folder, manifest, contents)
        report("preview and card")
        model = Autoencoder(folder)
        manifest = dataclasses.replace(manifest, quality=_quality(model, dataset, checkpoint))
        contents |= {PREVIEW: preview(model), CARD: model_card(manifest).encode()}
        manifest = write_artifact(folder, manifest, contents)
        _check_complete(folder)
    return manifest


def _check_target(target: Path, overwrite: bool) -> None:
    """Raise an error, before any work is done, if the target may not be written.

    Raises OutputError if `target` exists and may not be replaced, NotFoundError if its parent folder is missing.
    """
    require_parent(target)
    if exists_nonempty(target) and not overwrite:
        expected, remedy = "a free name", "Choose another name, or allow that the artifact is overwritten."
        raise OutputError(str(target), found="something there already", expected=expected, remedy=remedy)
    if exists_nonempty(target) and not _holds_only_an_artifact(target):
        found, remedy = "something else than an artifact", "Choose another name."
        raise OutputError(str(target), found=found, expected="an artifact to overwrite", remedy=remedy)


def _holds_only_an_artifact(target: Path) -> bool:
    """Whether a folder has an artifact's manifest and no files but those that the manifest lists.

    Only such a folder may be overwritten, so that no other files of the user are lost.
    """
    try:
        manifest = artifact.read_manifest(target)
    except AegenError:
        return False
    return {file.name for file in target.iterdir()} <= {artifact.MANIFEST, *manifest.files}


def _source(checkpoint: Checkpoint, dataset: Dataset, learned: LearnedPrior | None, options: ExportOptions) -> Source:
    """Collect what the artifact is made from, with weights rounded to float16 where the precision requires it."""
    labels = label_values(dataset.train.labels)
    network, prior = checkpoint.network(), None
    if learned is not None:
        halves = options.precision != FP32
        prior = exported_prior(learned, checkpoint, tuple(labels.tolist()), options.evaluations, halves=halves)
    if options.precision == FP16:
        network = rounded(network)
    image = ImageSpec(checkpoint.shape, checkpoint.recipe.pixel_range)
    return Source(checkpoint, dataset, options, network, prior, image, labels)


def _graphs(source: Source) -> Graphs:
    """Export the graphs with float32 or float16 weights, and check that they compute what torch computes."""
    sampler = () if source.prior is None else (source.prior.sampler,)
    latent_dim = source.checkpoint.recipe.latent_dim
    graphs = (encoder(source.network, source.checkpoint.shape), decoder(source.network, latent_dim), *sampler)
    contents = {graph.file: onnx_bytes(graph) for graph in graphs}
    halved = {FP32: (), FP16: graphs, INT8: () if quantised_prior(source.prior) else sampler}[source.options.precision]
    contents |= {graph.file: stored_as_halves(contents[graph.file]) for graph in halved}
    images = source.dataset.test.images
    parity = prove(graphs, contents, images, source.image)
    golden = golden_pairs(graphs, golden_images(images), source.image)
    return Graphs(graphs, contents, golden, parity, {})


def _in_8_bits(graphs: Graphs, source: Source, latents: Latents) -> Graphs:
    """Quantise encoder, decoder and, if it evaluates its network once, the learned prior to 8 bits.

    Their golden outputs are computed again by onnxruntime, because torch cannot run the quantised graphs.
    """
    prior, data = quantised_prior(source.prior), source.dataset
    calibration = graph_inputs(data.train, latents.training, source.image, prior, 0)
    held_out = graph_inputs(data.validation, latents.held_out, source.image, prior, MAX_ROWS)
    contents, errors = all_quantised(graphs.contents, calibration, held_out, {PRIOR: MIN_PRIOR_WEIGHTS})
    golden = dict(graphs.golden)
    for graph in graphs.torch:
        if graph.file in calibration:
            inputs = golden_inputs(graph.file, graph.inputs, golden, source.image)
            golden |= onnxruntime_outputs(graph, contents[graph.file], inputs, source.image)
    return dataclasses.replace(graphs, contents=contents, golden=golden, quantisation_error=errors)


def _likelihoods(source: Source, statistics: dict[str, np.ndarray], held_out: EncodedLatents) -> dict[str, float]:
    """Mean log density in nats of held-out latents under each prior that has a density, by name of the prior.

    The latents are the same for all priors, so that the values can be compared.
    """
    compared = likelihood_latents(held_out, len(source.labels))
    likelihoods = log_likelihoods(statistics, compared.latent)
    if source.prior is not None:
        learned = log_likelihood(source.prior, compared, statistics.get("class_fractions", np.empty(0)))
        likelihoods |= {} if learned is None else {source.prior.learned.name: learned}
    return likelihoods


def _manifest(
    source: Source, graphs: Graphs, statistics: dict[str, np.ndarray], likelihoods: dict[str, float]
) -> Manifest:
    """The manifest, except that name, notes, commands, quality and files are empty: they are filled in later."""
    checkpoint, options, data = source.checkpoint, source.options, source.dataset.facts
    recipe, names = checkpoint.recipe, source.dataset.class_names
    learned = {} if source.prior is None else {source.prior.learned.name: source.prior.record}
    likeliest = max(likelihoods, key=lambda name: likelihoods[name])
    refined = next(iter(learned), None) if checkpoint.refinement else None
    return Manifest(
        format=Manifest.FORMAT,
        name="",
        kind=recipe.kind,
        image=source.image,
        latent_dim=recipe.latent_dim,
        graphs={file: signature(content) for file, content in graphs.contents.items()},
        operators={file: tuple(sorted(operators_of(content))) for file, content in graphs.contents.items()},
        opset=OPSET,
        ir_version=IR_VERSION,
        priors=(*(name for name in likelihoods if name not in learned), *learned),
        learned_priors=learned,
        default_prior=options.prior or refined or likeliest,
        default_temperature=options.temperature,
        log_likelihood=likelihoods,
        labels=tuple(source.labels.tolist()),
        class_names=tuple(names[label] for label in source.labels) if names else (),
        latents=tuple(Tensor(name, array.dtype.name, array.shape) for name, array in statistics.items()),
        golden_pairs=len(graphs.golden["images"]),
        data=dataclasses.replace(data, licence=options.licence or data.licence),
        recipe=dataclasses.asdict(recipe),
        seed=recipe.seed,
        epoch=checkpoint.epoch,
        commands=(),
        versions=versions(),
        precision=options.precision,
        macs={graph.file: macs(graph) for graph in graphs.torch},
        parity=graphs.parity,
        quality={},
        files={},
        sigma=checkpoint.sigma,
        quantisation_error=graphs.quantisation_error,
    )


def _commands(source: Source, manifest: Manifest) -> tuple[str, ...]:
    """The shell commands that make the artifact again."""
    learned, evaluations = (None, None) if source.prior is None else (source.prior.learned, source.prior.evaluations)
    settings = source.options.recorded(manifest.default_prior, evaluations)
    return recorded_commands(source.checkpoint, learned, manifest.data.name, manifest.name, settings)


def write_artifact(folder: Path, manifest: Manifest, contents: dict[str, bytes]) -> Manifest:
    """Write the files to the folder, and the manifest with their sizes and hashes. Returns this manifest.

    contents: the content of each file, by file name.
    """
    for file, content in contents.items():
        (folder / file).write_bytes(content)
    complete = dataclasses.replace(manifest, files={file: file_spec(content) for file, content in contents.items()})
    (folder / artifact.MANIFEST).write_bytes(complete.to_json())
    return complete


def preview(model: Autoencoder) -> bytes:
    """A PNG file with a grid of images sampled with seed 0."""
    return image_bytes(tile(model.sample(PREVIEW_IMAGES, seed=0), scale=2))


def _quality(model: Autoencoder, dataset: Dataset, checkpoint: Checkpoint) -> dict[str, float]:
    """The reconstruction error of the exported model on test images, and the checkpoint's validation loss.

    If the data has no test images, the reconstruction error is measured on the validation images.
    """
    images = dataset.test.images
    differences = model.reconstruct(images) - unit_pixels(images)
    return {
        "reconstruction_mse": float(np.mean(differences.astype(np.float64) ** 2)),
        "validation_loss": checkpoint.validation_loss,
    }


def _check_complete(folder: Path) -> None:
    """Verify the finished folder with the runtime. Raises ParityError if a graph does not give its golden outputs."""
    verification = Autoencoder(folder).verify()
    if not verification.passed:
        raise ParityError("golden pairs", found=verification.largest_difference, remedy="Nothing was exported.")
