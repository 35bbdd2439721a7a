"""A checkpoint and its data -> an artifact folder, complete and proven, or nothing."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..data.datasets import Dataset
from ..files.atomic import new_folder, require_parent, taken
from ..files.sources import read_text
from ..images.grid import png_bytes, tile
from ..runtime import artifact
from ..runtime.arrays import npz_bytes
from ..runtime.artifact import CARD, DECODER, ENCODER, GOLDEN, LATENTS, PREVIEW, PRIOR, file_spec
from ..runtime.autoencoder import Autoencoder
from ..runtime.errors import AegenError, InputError, OutputError, ParityError
from ..runtime.manifest import FORMAT, INT8, MAX_TEMPERATURE, ImageSpec, Manifest, Tensor
from ..runtime.pixels import to_tensor, unit_pixels
from ..runtime.priors import FLOW, PRIORS
from ..train.checkpoint import Checkpoint
from ..train.latents import EncodedLatents, encode, label_values
from ..train.priors import LearnedPrior
from .card import model_card
from .commands import recorded_commands
from .graphs import IR_VERSION, OPSET, costs, decoder_graph, encoder_graph, prior_graph, signature
from .half_precision import HALF, SINGLE, rounded, stored_as_halves
from .parity import answers, golden_images, golden_pairs, prove
from .quantised import all_quantised
from .statistics import fit, flow_log_likelihood, log_likelihoods, measured
from .unrolled import UnrolledFlow
from .versions import versions

PREVIEW_IMAGES = 64
FLOW_STEPS = 8
PRECISIONS = (SINGLE, HALF, INT8)
CALIBRATION = 5000  # training images that ranges are taken from


def export(
    checkpoint: Checkpoint,
    dataset: Dataset,
    target: Path,
    *,
    name: str | None = None,
    licence: str | None = None,
    prior: str | None = None,
    temperature: float = 1.0,
    components: int | None = None,
    learned: LearnedPrior | None = None,
    flow_steps: int | None = None,
    precision: str = SINGLE,
    notes: Path | None = None,
    overwrite: bool = False,
    report: Callable[[str], None] = lambda step: None,
) -> Manifest:
    """Write the artifact `target` from a trained network and the images that it was trained on.

    name: the artifact's, by default the folder's. licence: of the data, where it is not known. prior, temperature: what
    `sample` uses when it is not told otherwise, by default the prior that gives held-out latents the highest likelihood,
    as fitted, and the flow of a refined run. components: of the Gaussian mixture, by default the likeliest number.
    learned: a flow trained on the network's latents, followed in flow_steps evaluations, by default as many as the run
    was refined for, or FLOW_STEPS. precision: how weights are stored, one of PRECISIONS; with fp16 all else is made with the
    weights as they are stored, with int8 with those that were trained, and a learned prior's are halves. notes: a
    Markdown file for the card to end with. report: called with the name of each step as it begins.
    Everything is made in a temporary folder beside `target`, opened again by the runtime, and renamed into place.
    Raises InputError when the data is not what the network was trained on, OutputError when `target` is taken and
    overwrite is off, ParityError when onnxruntime and torch differ.
    """
    _check_choices(prior, learned, precision, temperature, checkpoint.recipe.network)
    _check_target(target, overwrite)
    remarks = "" if notes is None else read_text(notes)
    checkpoint.check_same_data(dataset)
    network, recipe = checkpoint.network(), checkpoint.recipe
    values = label_values(dataset.train.labels)
    flow = None if learned is None else _unrolled(learned, flow_steps, checkpoint, values)
    if precision == HALF:
        network = rounded(network)
    if precision != SINGLE and flow is not None:
        flow = rounded(flow)
    image = ImageSpec(checkpoint.shape, recipe.pixel_range)

    report("graphs")
    graphs = {ENCODER: encoder_graph(network, checkpoint.shape), DECODER: decoder_graph(network, recipe.latent_dim)}
    graphs |= {} if flow is None else {PRIOR: prior_graph(flow)}
    halved = {SINGLE: (), HALF: tuple(graphs), INT8: (PRIOR,)}[precision]
    graphs = {file: stored_as_halves(graph) if file in halved else graph for file, graph in graphs.items()}
    report("parity")
    parity = prove(network, flow, graphs, dataset.test.images, image)
    golden = golden_pairs(network, flow, golden_images(dataset.test.images), image)
    latents, held_out = (encode(network, part, values, image) for part in (dataset.train, dataset.validation))
    errors: dict[str, float] = {}
    if precision == INT8:
        report("8 bits")
        images = (to_tensor(part.images, image) for part in (dataset.train[:CALIBRATION], dataset.validation))
        seen, kept = ({ENCODER: a, DECODER: b} for a, b in zip(images, (latents.latent, held_out.latent), strict=True))
        graphs, errors = all_quantised(graphs, seen, kept)
        golden = answers(golden, graphs, image)
    statistics = fit(latents.latent, held_out.latent, dataset.train.labels, components=components, report=report)
    likelihoods = _likelihoods(statistics, held_out, len(values), flow)
    likeliest = max(likelihoods, key=lambda name: likelihoods[name])
    prior = prior or (FLOW if checkpoint.refinement and flow else likeliest)
    settings = _settings(prior, temperature, components, flow, precision, notes, licence)
    title = name or target.resolve().name
    facts = dataclasses.replace(dataset.facts, licence=licence or dataset.facts.licence)
    manifest = Manifest(
        format=FORMAT,
        name=title,
        kind=recipe.kind,
        image=image,
        latent_dim=recipe.latent_dim,
        graphs={file: signature(graph) for file, graph in graphs.items()},
        opset=OPSET,
        ir_version=IR_VERSION,
        priors=tuple(likelihoods),
        default_prior=prior,
        default_temperature=temperature,
        log_likelihood=likelihoods,
        labels=tuple(values.tolist()),
        latents=tuple(Tensor(name, array.dtype.name, array.shape) for name, array in statistics.items()),
        golden_pairs=len(golden["images"]),
        data=facts,
        recipe=dataclasses.asdict(recipe),
        seed=recipe.seed,
        epoch=checkpoint.epoch,
        commands=recorded_commands(checkpoint, learned, facts.name, title, settings),
        versions=versions(),
        parity=parity,
        quality={},
        files={},
        sigma=checkpoint.sigma,
        precision=precision,
        notes=remarks,
        macs=costs(network, flow, checkpoint.shape, recipe.latent_dim),
        quantisation_error=errors,
        class_names=tuple(dataset.class_names[value] for value in values) if dataset.class_names else (),
    )
    contents = {**graphs, LATENTS: npz_bytes(statistics), GOLDEN: npz_bytes(golden)}
    with new_folder(target, overwrite=overwrite) as folder:
        _write(folder, manifest, contents)
        report("preview and card")
        model = Autoencoder(folder)
        manifest = dataclasses.replace(manifest, quality=_quality(model, dataset, checkpoint))
        contents[PREVIEW] = png_bytes(tile(model.sample(PREVIEW_IMAGES, seed=0), scale=2))
        contents[CARD] = model_card(manifest).encode()
        manifest = _write(folder, manifest, contents)
        _check_whole(folder)
    return manifest


def _write(folder: Path, manifest: Manifest, contents: dict[str, bytes]) -> Manifest:
    """Write the files, and the manifest with their hashes; the manifest as written is returned."""
    for file, content in contents.items():
        (folder / file).write_bytes(content)
    complete = dataclasses.replace(manifest, files={file: file_spec(content) for file, content in contents.items()})
    (folder / artifact.MANIFEST).write_bytes(complete.to_json())
    return complete


def _likelihoods(
    latents: dict[str, np.ndarray], held_out: EncodedLatents, classes: int, flow: UnrolledFlow | None
) -> dict[str, float]:
    """The mean log density of the same held-out latents under every prior, in nats."""
    compared = measured(held_out, classes)
    likelihoods = log_likelihoods(latents, compared.latent)
    if flow is not None:
        shares = latents.get("class_fractions", np.empty(0))
        likelihoods[FLOW] = flow_log_likelihood(flow.flow, compared.latent, compared.labels, shares)
    return likelihoods


def _quality(model: Autoencoder, dataset: Dataset, checkpoint: Checkpoint) -> dict[str, float]:
    """Measured on the exported files, on test images; where there are none, on those that chose the best epoch."""
    images = dataset.test.images
    differences = model.reconstruct(images) - unit_pixels(images)
    return {
        "reconstruction_mse": float(np.mean(differences.astype(np.float64) ** 2)),
        "validation_loss": checkpoint.validation_loss,
    }


def _check_whole(folder: Path) -> None:
    """Open the finished folder as a user will, and replay its golden pairs."""
    verification = Autoencoder(folder).verify()
    if not verification.passed:
        raise ParityError("golden pairs", found=verification.largest_difference, remedy="Nothing was exported.")


def _unrolled(learned: LearnedPrior, steps: int | None, checkpoint: Checkpoint, values: np.ndarray) -> UnrolledFlow:
    """A learned prior, followed in steps evaluations, by default as many as the run was refined for."""
    if learned.labels != tuple(values.tolist()):
        found, remedy = f"one trained with labels {learned.labels}", "Run `aegen train-prior` again."
        raise InputError("prior", found=found, expected=f"labels {tuple(values.tolist())}", remedy=remedy)
    usual = checkpoint.refinement.flow_steps if checkpoint.refinement else FLOW_STEPS
    return UnrolledFlow(learned.flow, steps or usual)


def _settings(
    prior: str,
    temperature: float,
    components: int | None,
    flow: UnrolledFlow | None,
    precision: str,
    notes: Path | None,
    licence: str | None,
) -> dict[str, str]:
    """The options of the command that exports the same again."""
    given: dict[str, object] = {
        "--prior": prior,
        "--temperature": f"{temperature:g}",
        "--components": components,
        "--flow-steps": None if flow is None else flow.steps,
        "--precision": None if precision == SINGLE else precision,
        "--notes": None if notes is None else notes.name,
        "--licence": licence,
    }
    return {option: str(value) for option, value in given.items() if value is not None}


def _check_choices(
    prior: str | None, learned: LearnedPrior | None, precision: str, temperature: float, network: str
) -> None:
    known = (*PRIORS, FLOW) if learned else tuple(PRIORS)
    if prior is not None and prior not in known:
        remedy = "" if learned else "`aegen train-prior` makes a flow."
        raise InputError("prior", found=repr(prior), expected=f"one of {', '.join(known)}", remedy=remedy)
    if precision not in PRECISIONS:
        raise InputError("precision", found=repr(precision), expected=f"one of {', '.join(PRECISIONS)}")
    if precision == INT8 and network != "mlp":
        remedy = "fp16: in 8 bits convolutions would be slower."
        raise InputError("precision int8", found=f"network {network}", expected="network mlp", remedy=remedy)
    if not 0 <= temperature <= MAX_TEMPERATURE:
        raise InputError("temperature", found=temperature, expected=f"a number from 0 to {MAX_TEMPERATURE:g}")


def _check_target(target: Path, overwrite: bool) -> None:
    """Refuse before the work, not after it."""
    require_parent(target)
    if taken(target) and not overwrite:
        remedy = "Choose another name, or --overwrite."
        raise OutputError(str(target), found="something there already", expected="a free name", remedy=remedy)
    if taken(target) and not _is_nothing_but_an_artifact(target):
        found, remedy = "something else than an artifact", "Choose another name."
        raise OutputError(str(target), found=found, expected="an artifact to overwrite", remedy=remedy)


def _is_nothing_but_an_artifact(target: Path) -> bool:
    """Whether a folder may be replaced: its manifest is aegen's, and lists everything that lies beside it."""
    try:
        manifest = artifact.read_manifest(target)
    except AegenError:
        return False
    return {file.name for file in target.iterdir()} <= {artifact.MANIFEST, *manifest.files}
