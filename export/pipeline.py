"""Export networks as an artifact folder: graphs, parity, priors, manifest, card and preview."""

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
from ..runtime.pixels import unit_pixels
from ..runtime.verification import golden_inputs
from ..train.latents import EncodedLatents, encode
from .calibration import MAX_ROWS, graph_inputs, quantised_prior
from .card import model_card
from .graphs import IR_VERSION, OPSET, macs, onnx_bytes, signature
from .half_precision import stored_as_halves
from .learned_priors import PRIOR, log_likelihood
from .memorisation import nearest_distances
from .parity import golden_images, golden_pairs, onnxruntime_outputs, prove
from .quantised import all_quantised
from .source import Source
from .statistics import fit, likelihood_latents, log_likelihoods
from .versions import versions

PREVIEW_IMAGES = 64
# Only matrices of a learned prior with at least this many weights are quantised to 8 bits. The first matrix, for the
# noise, and the last, for the latents, are smaller. They stay in float32, because they matter for the quality and
# hardly for the speed.
MIN_PRIOR_WEIGHTS = 16_384

Report = Callable[..., None]  # arguments: name of a step and, in long steps, amount done and total amount


@dataclass(frozen=True)
class Graphs:
    """The graphs of an artifact.

    contents: the ONNX files by file name. golden: the arrays of `golden.npz`, which are test inputs of the graphs and
    the outputs expected for them. parity: how close onnxruntime and torch are. quantisation_error: for each graph that
    is quantised to 8 bits, by file name, the root mean square change of its first output.
    """

    contents: dict[str, bytes]
    golden: dict[str, np.ndarray]
    parity: Parity
    quantisation_error: dict[str, float]


@dataclass(frozen=True)
class Latents:
    """The latents of the training images, and of the validation images, which are held out from training."""

    training: EncodedLatents
    held_out: EncodedLatents


def export_source(source: Source, target: Path, report: Report) -> Manifest:
    """Write the artifact folder `target` from networks and images.

    report: called with the name of each step of the export as it begins. All files are written to a temporary folder
    beside `target`, which is verified with the runtime and then renamed to `target`. Raises OutputError if `target`
    exists and may not be replaced, ParityError if onnxruntime and torch differ, ExecutionError or ArtifactError if a
    graph cannot be exported.
    """
    options, dataset = source.options, source.dataset
    _check_target(target, options.overwrite)
    notes = options.notes_text()
    report("graphs and parity")
    graphs = _graphs(source)
    parts = (dataset.train, dataset.validation)
    networks = source.networks
    latents = Latents(*(encode(networks.encoder, part, source.labels, networks.image) for part in parts))
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
    manifest = dataclasses.replace(manifest, commands=source.training.commands(manifest))
    contents = {**graphs.contents, LATENTS: npz_bytes(statistics), GOLDEN: npz_bytes(graphs.golden)}
    with new_folder(target, overwrite=options.overwrite) as folder:
        _write(folder, manifest, contents)
        report("preview and card")
        model = Autoencoder(folder, threads=options.threads)
        quality = {"reconstruction_mse": _reconstruction_mse(model, dataset), **source.training.measured}
        quality |= nearest_distances(model, dataset)
        manifest = dataclasses.replace(manifest, quality=quality)
        contents |= {PREVIEW: _preview(model), CARD: model_card(manifest).encode()}
        manifest = _write(folder, manifest, contents)
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


def _graphs(source: Source) -> Graphs:
    """Export the graphs with float32 or float16 weights, and check that they compute what torch computes."""
    graphs, image, prior = source.networks.graphs, source.networks.image, source.networks.prior
    contents = {graph.file: onnx_bytes(graph) for graph in graphs}
    sampler = () if prior is None or quantised_prior(prior) else (prior.sampler,)
    halved = {FP32: (), FP16: graphs, INT8: sampler}[source.options.precision]
    contents |= {graph.file: stored_as_halves(contents[graph.file]) for graph in halved}
    images = source.dataset.test.images
    parity = prove(graphs, contents, images, image)
    golden = golden_pairs(graphs, golden_images(images), image)
    return Graphs(contents, golden, parity, {})


def _in_8_bits(graphs: Graphs, source: Source, latents: Latents) -> Graphs:
    """Quantise encoder, decoder and, if it evaluates its network once, the learned prior to 8 bits.

    Their golden outputs are computed again by onnxruntime, because torch cannot run the quantised graphs.
    """
    prior, data, image = quantised_prior(source.networks.prior), source.dataset, source.networks.image
    calibration = graph_inputs(data.train, latents.training, image, prior, 0)
    held_out = graph_inputs(data.validation, latents.held_out, image, prior, MAX_ROWS)
    contents, errors = all_quantised(graphs.contents, calibration, held_out, {PRIOR: MIN_PRIOR_WEIGHTS})
    golden = dict(graphs.golden)
    for graph in source.networks.graphs:
        if graph.file in calibration:
            inputs = golden_inputs(graph.file, graph.inputs, golden, image)
            golden |= onnxruntime_outputs(graph, contents[graph.file], inputs, image)
    return dataclasses.replace(graphs, contents=contents, golden=golden, quantisation_error=errors)


def _likelihoods(source: Source, statistics: dict[str, np.ndarray], held_out: EncodedLatents) -> dict[str, float]:
    """Mean log density in nats of held-out latents under each prior that has a density, by name of the prior.

    The latents are the same for all priors, so that the values can be compared.
    """
    compared = likelihood_latents(held_out, len(source.labels))
    likelihoods = log_likelihoods(statistics, compared.latent)
    prior = source.networks.prior
    if prior is not None:
        learned = log_likelihood(prior, compared, statistics.get("class_fractions", np.empty(0)))
        likelihoods |= {} if learned is None else {prior.learned.name: learned}
    return likelihoods


def _manifest(
    source: Source, graphs: Graphs, statistics: dict[str, np.ndarray], likelihoods: dict[str, float]
) -> Manifest:
    """The manifest with empty fields for name, notes, commands, quality and files, which are filled in later."""
    networks, training, options = source.networks, source.training, source.options
    data, names, prior = source.dataset.facts, source.dataset.class_names, networks.prior
    learned = {} if prior is None else {prior.learned.name: prior.record}
    likeliest = max(likelihoods, key=lambda name: likelihoods[name])
    refined = next(iter(learned), None) if training.refined else None
    return Manifest(
        format=Manifest.FORMAT,
        name="",
        kind=training.kind,
        image=networks.image,
        latent_dim=networks.latent_dim,
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
        recipe=training.recipe,
        seed=training.seed,
        epoch=training.epoch,
        commands=(),
        versions=versions(),
        precision=options.precision,
        macs={graph.file: macs(graph) for graph in networks.graphs},
        parity=graphs.parity,
        quality={},
        files={},
        sigma=training.sigma,
        quantisation_error=graphs.quantisation_error,
    )


def _write(folder: Path, manifest: Manifest, contents: dict[str, bytes]) -> Manifest:
    """Write the files to the folder, and the manifest with their sizes and hashes. Returns this manifest.

    contents: the content of each file, by file name.
    """
    for file, content in contents.items():
        (folder / file).write_bytes(content)
    complete = dataclasses.replace(manifest, files={file: file_spec(content) for file, content in contents.items()})
    (folder / artifact.MANIFEST).write_bytes(complete.to_json())
    return complete


def _preview(model: Autoencoder) -> bytes:
    """A PNG file with a grid of images sampled with seed 0."""
    return image_bytes(tile(model.sample(PREVIEW_IMAGES, seed=0), scale=2))


def _reconstruction_mse(model: Autoencoder, dataset: Dataset) -> float:
    """The mean squared error per pixel of the exported model's reconstructions of test images.

    If the data has no test images, it is measured on the validation images.
    """
    images = dataset.test.images
    differences = model.reconstruct(images) - unit_pixels(images)
    return float(np.mean(differences.astype(np.float64) ** 2))


def _check_complete(folder: Path) -> None:
    """Verify the finished folder with the runtime. Raises ParityError if a graph does not give its golden outputs."""
    verification = Autoencoder(folder).verify()
    if not verification.passed:
        raise ParityError("golden pairs", found=verification.largest_difference, remedy="Nothing was exported.")
