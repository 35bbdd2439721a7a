"""A checkpoint and its data -> an artifact folder, complete and proven, or nothing."""

import dataclasses
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from ..runtime import artifact
from ..runtime.arrays import npz_bytes
from ..runtime.artifact import CARD, DECODER, ENCODER, GOLDEN, LATENTS, PREVIEW, file_spec
from ..runtime.autoencoder import Autoencoder
from ..runtime.errors import AegenError, InputError, OutputError, ParityError
from ..runtime.files import new_folder, require_parent, taken
from ..runtime.grid import png_bytes, tile
from ..runtime.manifest import FORMAT, HOTTEST, ImageSpec, Manifest, Tensor
from ..runtime.pixels import unit_pixels
from ..runtime.priors import PRIORS
from ..train.checkpoint import Checkpoint
from ..train.datasets import Dataset
from .card import model_card
from .commands import recorded_commands
from .graphs import IR_VERSION, OPSET, decoder_graph, encoder_graph, signature
from .parity import golden_pairs, prove
from .statistics import encode_all, fit, log_likelihoods

PREVIEW_PICTURES = 64


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
    overwrite: bool = False,
    report: Callable[[str], None] = lambda step: None,
) -> Manifest:
    """Write the artifact `target` from a trained network and the pictures that it was trained on.

    name: the artifact's, by default the folder's. licence: of the data, where it is not known. prior, temperature: what
    `sample` uses when it is not told otherwise, by default the prior that gives held-out codes the highest likelihood,
    as fitted. components: of the Gaussian mixture, by default chosen in the same way. report: called with the name of
    each step as it begins.
    Everything is made in a temporary folder beside `target`, opened again by the runtime, and renamed into place.
    Raises InputError when the data is not what the network was trained on, OutputError when `target` is taken and
    overwrite is off, ParityError when onnxruntime and torch differ.
    """
    if prior is not None and prior not in PRIORS:
        raise InputError("prior", found=repr(prior), expected=f"one of {', '.join(PRIORS)}")
    if not 0 <= temperature <= HOTTEST:
        raise InputError("temperature", found=temperature, expected=f"a number from 0 to {HOTTEST:g}")
    _check_target(target, overwrite)
    _check_same_data(checkpoint, dataset)
    network = checkpoint.network()
    recipe = checkpoint.recipe
    image = ImageSpec(checkpoint.shape, recipe.pixel_range)

    report("graphs")
    graphs = {
        ENCODER: encoder_graph(network, checkpoint.shape),
        DECODER: decoder_graph(network, recipe.latent_dim),
    }
    report("parity")
    parity = prove(network, graphs, dataset.test.images, image)
    golden = golden_pairs(network, dataset.test.images, image)
    codes, held_out = (encode_all(network, part.images, image) for part in (dataset.train, dataset.validation))
    latents = fit(codes, held_out, dataset.train.labels, components=components, report=report)
    likelihoods = log_likelihoods(latents, held_out)
    prior = prior or max(likelihoods, key=lambda name: likelihoods[name])

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
        priors=tuple(PRIORS),
        default_prior=prior,
        default_temperature=temperature,
        log_likelihood=likelihoods,
        labels=tuple(latents["labels"].tolist()) if "labels" in latents else (),
        latents=tuple(Tensor(name, array.dtype.name, array.shape) for name, array in latents.items()),
        golden_pairs=len(golden["pictures"]),
        data=facts,
        recipe=dataclasses.asdict(recipe),
        seed=recipe.seed,
        epoch=checkpoint.epoch,
        commands=recorded_commands(checkpoint, facts.name, title, prior, temperature, components, licence),
        versions=_versions(),
        parity=parity,
        quality={},
        files={},
        sigma=checkpoint.sigma,
    )
    contents = {**graphs, LATENTS: npz_bytes(latents), GOLDEN: npz_bytes(golden)}
    with new_folder(target, overwrite=overwrite) as folder:
        _write(folder, manifest, contents)
        report("preview and card")
        model = Autoencoder(folder)
        manifest = dataclasses.replace(manifest, quality=_quality(model, dataset, checkpoint))
        contents[PREVIEW] = png_bytes(tile(model.sample(PREVIEW_PICTURES, seed=0), scale=2))
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


def _quality(model: Autoencoder, dataset: Dataset, checkpoint: Checkpoint) -> dict[str, float]:
    """Measured on the exported files, on pictures that training never saw."""
    pictures = dataset.test.images
    differences = model.reconstruct(pictures) - unit_pixels(pictures)
    return {
        "reconstruction_mse": float(np.mean(differences.astype(np.float64) ** 2)),
        "validation_loss": checkpoint.validation_loss,
    }


def _check_whole(folder: Path) -> None:
    """Open the finished folder as a user will, and replay its golden pairs."""
    verification = Autoencoder(folder).verify()
    if not verification.passed:
        raise ParityError("golden pairs", found=verification.largest_difference, remedy="Nothing was exported.")


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


def _check_same_data(checkpoint: Checkpoint, dataset: Dataset) -> None:
    if dataset.facts.sha256 != checkpoint.facts.sha256:
        raise InputError(
            f"data {dataset.facts.name!r} is not what the network was trained on",
            found=f"pictures with sha256 {dataset.facts.sha256}",
            expected=f"those of {checkpoint.facts.name!r}, sha256 {checkpoint.facts.sha256}",
            remedy="Pass the training data with --data.",
        )


def _versions() -> dict[str, str]:
    packages = ("aegen", "torch", "onnx", "onnxscript", "onnxruntime", "numpy")
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}
