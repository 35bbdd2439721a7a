"""Rewrite a folder of format 1 as one of format 2: the same trained tensors in today's files.

python -m aegen.export.rewrite OLD_FOLDER NEW_FOLDER DATA

OLD_FOLDER holds an artifact or a feature extractor; DATA is the set that it was trained on. The trained tensors are
loaded into torch and exported by the exporter's own code. The new ONNX files are compared with the old ones: the same
initializers, and the same bits of all results in onnxruntime. Where half-precision weights are subnormal they become 0,
and the results are those of the old file with these weights set to 0.
"""

import dataclasses
import hashlib
import io
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, numpy_helper
from torch import nn

from ..data.datasets import Dataset, load
from ..evaluation.feature_extractor import CARD as EXTRACTOR_CARD
from ..evaluation.feature_extractor import FORMAT as EXTRACTOR_FORMAT
from ..evaluation.feature_extractor import GRAPH, RECORD, FeatureExtractor, FeatureExtractorRecord
from ..files.atomic import new_folder
from ..files.sources import read_text
from ..recipes.learned_priors import FlowRecipe
from ..recipes.training import SHIPPED, Recipe, recipe_from
from ..runtime.arrays import npz_bytes
from ..runtime.artifact import CARD, DECODER, ENCODER, GOLDEN, LATENTS, PREVIEW, file_spec
from ..runtime.autoencoder import Autoencoder
from ..runtime.graphs.check import operators_of
from ..runtime.manifest import FORMAT, FP16, FP32, ImageSpec, LearnedPrior, Manifest, Tensor
from ..runtime.pixels import unit_pixels
from ..runtime.records import from_json
from ..runtime.session import open_session
from ..runtime.verification import golden_inputs, golden_name
from ..train.flow import Flow, UnrolledFlow
from ..train.latents import encode, label_values
from ..train.networks import build
from .artifact import preview, write_artifact
from .card import model_card
from .feature_extractor import feature_extractor_card
from .graphs import EXAMPLE_ROWS, TorchGraph, decoder, encoder, macs, onnx_bytes, signature
from .half_precision import SMALLEST_NORMAL, fold_norms, stored_as_halves
from .learned_priors import PRIOR
from .parity import golden_pairs, prove
from .statistics import TINY, likelihood_latents, log_likelihoods
from .versions import versions

OPTIONS = {  # of format 1's commands, and today's
    "--anchor": "--flow-loss-weight",
    "--average": "--ema-decay",
    "--doubt": "--class-loss-weight",
    "--lessons": "--classifier-epochs",
    "--memory": "--moment-ema-decay",
    "--squares": "--match-second-moments",
    "--weight": "--moment-loss-weight",
    "--weights": "--precision",
    "judge-mnist": "features-mnist",
    "train-judge": "train-features",
}
STATISTICS = {"kde_codes": "kde_latents", "label_shares": "class_fractions"}
EXTRACTOR_RECIPE = {"turn": "max_rotation", "zoom": "max_zoom", "shift": "max_translation"}
TENSORS = (  # of a flow's graph in format 1, and of today's module
    (r"^flow\.enter\.", "network.input_proj."),
    (r"^flow\.leave\.", "network.output_proj."),
    (r"^flow\.blocks\.(\d+)\.change\.", r"network.blocks.\1.mlp."),
    (r"^flow\.mean$", "network.mean"),
)

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Old:
    """A folder of format 1. files: their bytes, whose hashes have been checked. facts: of its manifest."""

    facts: dict[str, Any]
    files: dict[str, bytes]

    @property
    def recipe(self) -> Recipe:
        """The recipe that it was trained with."""
        return recipe_from(self.facts["recipe"], "recipe")

    def arrays(self, file: str) -> Arrays:
        """The arrays of an `.npz`."""
        return dict(np.load(io.BytesIO(self.files[file])))


def main(old_folder: Path, new_folder_path: Path, data: str) -> None:
    """Rewrite a folder; what it holds decides how."""
    dataset = load(data)
    if (old_folder / "judge.json").is_file():
        rewrite_extractor(old_folder, new_folder_path, dataset)
    else:
        rewrite_artifact(old_folder, new_folder_path, dataset)


def rewrite_artifact(old_folder: Path, target: Path, dataset: Dataset) -> None:
    """Write the artifact `target` from an artifact of format 1."""
    old = _read(old_folder)
    image = ImageSpec(tuple(old.facts["image"]["shape"]), tuple(old.facts["image"]["range"]))
    graphs = _torch_graphs(old)
    contents, changed = _contents(old, graphs)
    golden = golden_pairs(graphs, old.arrays(GOLDEN)["pictures"], image)
    golden |= _kept_pairs(old, [graph for graph in graphs if not changed[graph.file]])
    for graph in graphs:
        _compare_results(
            graph, old.files[graph.file], contents[graph.file], golden_inputs(graph.file, graph.inputs, golden, image)
        )
    statistics = _statistics(old)
    facts = _facts(old, dataset, graphs, contents, statistics)
    facts |= {
        "name": target.resolve().name,
        "image": image,
        "golden_pairs": len(golden["images"]),
        "parity": prove(graphs, contents, dataset.test.images, image),
        "log_likelihood": _likelihoods(old, dataset, graphs, statistics, image),
    }
    manifest = Manifest(**facts)
    files = {**contents, LATENTS: npz_bytes(statistics), GOLDEN: npz_bytes(golden)}
    with new_folder(target) as folder:
        write_artifact(folder, manifest, files)
        model = Autoencoder(folder)
        differences = model.reconstruct(dataset.test.images) - unit_pixels(dataset.test.images)
        mse = float(np.mean(differences.astype(np.float64) ** 2))
        _report(f"  reconstruction_mse {old.facts['quality']['reconstruction_mse']:.9f} -> {mse:.9f}")
        manifest = dataclasses.replace(manifest, quality={**old.facts["quality"], "reconstruction_mse": mse})
        files |= {PREVIEW: preview(model), CARD: model_card(manifest).encode()}
        write_artifact(folder, manifest, files)
        verification = Autoencoder(folder).verify()
    _report(f"  verified: {verification.passed}, {verification.largest_difference}")


def _read(folder: Path) -> Old:
    """The folder of an artifact of format 1."""
    facts = json.loads((folder / "manifest.json").read_bytes())
    if facts["format"] != 1 or facts.get("weights", FP32) not in (FP32, FP16):
        sys.exit(f"{folder}: not an artifact of format 1 in fp32 or fp16")
    files = {name: (folder / name).read_bytes() for name in facts["files"]}
    for name, spec in facts["files"].items():
        if hashlib.sha256(files[name]).hexdigest() != spec["sha256"]:
            sys.exit(f"{folder / name}: damaged")
    return Old(facts, files)


def _torch_graphs(old: Old) -> tuple[TorchGraph, ...]:
    """The graphs as torch modules with the old tensors, subnormal halves being 0."""
    recipe, shape = old.recipe, tuple(old.facts["image"]["shape"])
    network = build(recipe, shape).eval()
    fold_norms(network)
    tensors = _tensors(old.files[ENCODER])[0] | _tensors(old.files[DECODER])[0]
    names = {name for name in tensors if name.startswith("network.")}
    _load(network, {name.removeprefix("network."): tensors[name] for name in names}, partial=False)
    graphs = (encoder(network, shape), decoder(network, recipe.latent_dim))
    return graphs if PRIOR not in old.files else (*graphs, _sampler(old))


def _sampler(old: Old) -> TorchGraph:
    """The flow prior."""
    tensors = _tensors(old.files[PRIOR])[0]
    renamed = {}
    for name, array in tensors.items():
        renamed[_tensor_name(name)] = array
    factor = renamed.pop("permute").T
    renamed["network.factor"] = factor
    weights = {name: array for name, array in renamed.items() if name.startswith(("network.", "tables."))}
    width, d = weights["network.input_proj.weight"].shape
    blocks = len({name for name in weights if re.fullmatch(r"network\.blocks\.\d+\.mlp\.0\.weight", name)})
    num_classes = len(old.facts["labels"])
    evaluations = sum(name.startswith("tables.") for name in weights) // (3 * blocks)
    flow = Flow(torch.zeros(d), torch.eye(d), num_classes, FlowRecipe(width=width, blocks=blocks))
    module = UnrolledFlow(flow, evaluations)
    _load(module, weights, partial=True)  # the embedding is in the tables
    inputs = {"noise": torch.zeros(EXAMPLE_ROWS, d), "label": torch.zeros(EXAMPLE_ROWS, dtype=torch.int64)}
    return TorchGraph(PRIOR, module.eval(), inputs, ("latent",), num_classes=num_classes)


def _tensor_name(name: str) -> str:
    for pattern, replacement in TENSORS:
        name = re.sub(pattern, replacement, name)
    return name


def _tensors(content: bytes) -> tuple[Arrays, int]:
    """The initializers of an ONNX file in float32, by the name of the widened tensor, and how many halves became 0."""
    arrays, subnormal = {}, 0
    for weight in onnx.load_from_string(content).graph.initializer:
        array = numpy_helper.to_array(weight)
        if array.dtype == np.float16:
            small = (np.abs(array) < SMALLEST_NORMAL) & (array != 0)
            subnormal += int(small.sum())
            array = np.where(small, np.float16(0), array).astype(np.float32)
        arrays[weight.name.removesuffix(".half")] = array
    return arrays, subnormal


def _load(module: nn.Module, arrays: Arrays, *, partial: bool) -> None:
    """Set the parameters of a module; all of them, unless partial."""
    state = module.state_dict()
    if not set(arrays) <= set(state) or (not partial and set(arrays) != set(state)):
        sys.exit(f"other tensors: {sorted(set(arrays) ^ set(state))}")
    for name, array in arrays.items():
        if state[name].shape != array.shape:
            sys.exit(f"{name}: shape {array.shape}, expected {tuple(state[name].shape)}")
        state[name].copy_(torch.from_numpy(array.copy()))


def _contents(old: Old, graphs: tuple[TorchGraph, ...]) -> tuple[dict[str, bytes], dict[str, int]]:
    """The new ONNX files by name, whose initializers were compared, and the number of weights that became 0."""
    contents, changed = {}, {}
    for graph in graphs:
        content = onnx_bytes(graph)
        contents[graph.file] = stored_as_halves(content) if old.facts.get("weights", FP32) == FP16 else content
        before, changed[graph.file] = (
            _initializers(old.files[graph.file], zeroed=True),
            _tensors(old.files[graph.file])[1],
        )
        after = _initializers(contents[graph.file], zeroed=False)
        if before != after:
            sys.exit(f"{graph.file}: other initializers: {before - after} and {after - before}")
        values = sum(int(np.prod(shape)) * count for (_, shape, _), count in before.items())
        _report(f"  {graph.file}: {values:,} values compared, {changed[graph.file]:,} subnormal halves became 0")
    return contents, changed


def _initializers(content: bytes, *, zeroed: bool) -> Counter[tuple[str, tuple[int, ...], bytes]]:
    """dtype, shape and hash of every initializer but the shapes of Reshape. zeroed: with subnormal halves as 0."""
    found: Counter[tuple[str, tuple[int, ...], bytes]] = Counter()
    for weight in onnx.load_from_string(content).graph.initializer:
        array = numpy_helper.to_array(weight)
        if array.dtype == np.float16 and zeroed:
            array = np.where(np.abs(array) < SMALLEST_NORMAL, np.float16(0), array)
        if array.dtype != np.int64:
            found[array.dtype.name, array.shape, hashlib.sha256(array.tobytes()).digest()] += 1
    return found


def _compare_results(graph: TorchGraph, before: bytes, after: bytes, inputs: Arrays) -> None:
    """Exit if an ONNX file of format 1, its subnormal halves being 0, and the new one do not give the same bits."""
    model = onnx.load_from_string(before)
    for weight in model.graph.initializer:
        if weight.data_type == TensorProto.FLOAT16:
            array = numpy_helper.to_array(weight)
            zeroed = np.where(np.abs(array) < SMALLEST_NORMAL, np.float16(0), array)
            weight.CopyFrom(numpy_helper.from_array(zeroed, weight.name))
    sessions = [open_session(content, graph.file) for content in (model.SerializeToString(), after)]
    for batch in (1, 2, 7, len(next(iter(inputs.values())))):
        rows = {name: array[:batch] for name, array in inputs.items()}
        results = [session.run(list(graph.outputs), rows) for session in sessions]
        if not all(np.array_equal(*pair) for pair in zip(*results, strict=True)):
            sys.exit(f"{graph.file} at batch {batch}: other bits")
    operators = [sorted(operators_of(content)) for content in (before, after)]
    _report(f"  {graph.file}: the same bits; {len(before):,} -> {len(after):,} bytes; {operators[0]} -> {operators[1]}")


def _kept_pairs(old: Old, graphs: list[TorchGraph]) -> Arrays:
    """The golden pairs of graphs whose weights did not change, as torch computed them at the first export."""
    arrays = old.arrays(GOLDEN)
    names = {"image": "image", "latent": "latent", "logvar": "logvar", "noise": "noise", "label": "label"}
    kept = {}
    for graph in graphs:
        for name in (*graph.inputs, *graph.outputs):
            if graph.file == ENCODER and name == "image":
                continue
            before = "drawn" if graph.file == PRIOR and name == "latent" else names[name]
            kept[golden_name(graph.file, name)] = arrays[before]
    return kept


def _statistics(old: Old) -> Arrays:
    """The arrays of `latents.npz`, the kept latents relative to mean and scale."""
    arrays = {STATISTICS.get(name, name): array for name, array in old.arrays(LATENTS).items()}
    if "kde_mean" not in arrays:
        mean, std = arrays["mean"], arrays["std"]
        scale = np.where(std > TINY, std, np.float32(1))
        relative = ((arrays["kde_latents"].astype(np.float32) - mean) / scale).astype(np.float16)
        arrays |= {"kde_latents": relative, "kde_mean": mean, "kde_scale": scale}
    return arrays


def _likelihoods(
    old: Old, dataset: Dataset, graphs: tuple[TorchGraph, ...], statistics: Arrays, image: ImageSpec
) -> dict[str, float]:
    """Closed-form priors are measured anew. A learned prior keeps its number: its embedding is not in the graph."""
    labels = label_values(dataset.train.labels)
    network: Any = graphs[0].module.network
    held_out = encode(network, dataset.validation, labels, image)
    likelihoods = log_likelihoods(statistics, likelihood_latents(held_out, len(labels)).latent)
    before = old.facts["log_likelihood"]
    _report(
        "  log_likelihood", {name: (round(before[name], 4), round(value, 4)) for name, value in likelihoods.items()}
    )
    return {name: likelihoods.get(name, value) for name, value in before.items()}


def _facts(
    old: Old, dataset: Dataset, graphs: tuple[TorchGraph, ...], contents: dict[str, bytes], statistics: Arrays
) -> dict[str, Any]:
    """The facts of the new manifest that follow from the old one and the files."""
    before, names = old.facts, dataset.class_names
    if dataset.facts.sha256 != before["data"]["sha256"]:
        sys.exit("other data than it was trained on")
    learned = {}
    if PRIOR in contents:
        evaluations = sum(node.op_type == "Gather" for node in onnx.load_from_string(contents[PRIOR]).graph.node) // 3
        flow: Any = graphs[2].module.network
        learned = {"flow": LearnedPrior(PRIOR, evaluations // len(flow.blocks))}
    kept = (
        "kind",
        "latent_dim",
        "opset",
        "ir_version",
        "default_prior",
        "default_temperature",
        "seed",
        "epoch",
        "sigma",
    )
    return {name: before[name] for name in kept} | {
        "format": FORMAT,
        "sigma": before.get("sigma"),
        "graphs": {file: signature(content) for file, content in contents.items()},
        "operators": {file: tuple(sorted(operators_of(content))) for file, content in contents.items()},
        "priors": tuple(before["priors"]),
        "learned_priors": learned,
        "labels": tuple(before["labels"]),
        "class_names": tuple(names[label] for label in before["labels"]) if names else (),
        "latents": tuple(Tensor(name, array.dtype.name, array.shape) for name, array in statistics.items()),
        "data": dataset.facts,
        "recipe": dataclasses.asdict(old.recipe),
        "commands": tuple(_command(command) for command in before["commands"]),
        "versions": versions(),
        "precision": before.get("weights", FP32),
        "macs": {graph.file: macs(graph) for graph in graphs},
        "quality": before["quality"],
        "files": {},
        "notes": read_text(SHIPPED / "mnist.md") if before.get("notes") else "",
    }


def _report(*parts: object) -> None:
    sys.stdout.write(" ".join(map(str, parts)) + "\n")


def _command(command: str) -> str:
    words = [OPTIONS.get(word, word) for word in command.split()]
    if words[:2] == ["aegen", "export"]:
        words = ["--evaluations" if word == "--flow-steps" else word for word in words]
    return " ".join(words)


def rewrite_extractor(old_folder: Path, target: Path, dataset: Dataset) -> None:
    """Write the feature extractor `target` from one of format 1. Its graph stays as it is."""
    before = json.loads((old_folder / "judge.json").read_bytes())
    content = (old_folder / "judge.onnx").read_bytes()
    if hashlib.sha256(content).hexdigest() != before["graph"]["sha256"]:
        sys.exit(f"{old_folder}: damaged")
    facts = {key: value for key, value in before.items() if key != "labels"} | {
        "format": EXTRACTOR_FORMAT,
        "name": target.resolve().name,
        "num_classes": before["labels"],
        "data": dataclasses.asdict(dataset.facts),
        "recipe": {EXTRACTOR_RECIPE.get(key, key): value for key, value in before["recipe"].items()},
        "command": _command(before["command"]),
        "graph": dataclasses.asdict(file_spec(content)),
    }
    record = from_json(FeatureExtractorRecord, facts, RECORD)
    with new_folder(target) as folder:
        (folder / GRAPH).write_bytes(content)
        (folder / RECORD).write_bytes(record.to_json())
        predicted_labels = FeatureExtractor(folder).extract(dataset.test.images).predicted_labels
        accuracy = float(np.mean(predicted_labels == dataset.test.labels))
        _report(f"  accuracy {record.accuracy} -> {accuracy}")
        record = dataclasses.replace(record, accuracy=accuracy)
        (folder / RECORD).write_bytes(record.to_json())
        (folder / EXTRACTOR_CARD).write_text(feature_extractor_card(record), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
