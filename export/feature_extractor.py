"""Export of a trained feature extractor, with a check that onnxruntime computes what torch computes."""

import dataclasses
import shlex
from pathlib import Path

import numpy as np
import torch

from ..data.datasets import Dataset
from ..evaluation.feature_extractor import CARD, GRAPH, RECORD, FeatureExtractor, FeatureExtractorRecord
from ..files.atomic import new_folder
from ..recipes.feature_extractor import FeatureExtractorRecipe
from ..runtime.artifact import file_spec
from ..runtime.metadata import ImageSpec
from ..runtime.pixels import to_tensor
from ..train.feature_extractor import UNIT, FeatureNetwork
from .commands import changed_options
from .graphs import EXAMPLE_ROWS, TorchGraph, onnx_bytes
from .parity import small_difference
from .versions import versions

COMPARED_IMAGES = 64  # number of test images on which onnxruntime is compared with torch


def export_feature_extractor(
    network: FeatureNetwork, recipe: FeatureExtractorRecipe, dataset: Dataset, target: Path
) -> FeatureExtractorRecord:
    """Export a trained feature extractor to the folder `target`, which is written completely or not at all.

    dataset: the labelled images that the network was trained on. Raises OutputError if `target` exists and is not an
    empty folder, ParityError if onnxruntime and torch differ.
    """
    image, labels = ImageSpec(dataset.shape, UNIT), network.label_values
    inputs = {"image": torch.zeros(EXAMPLE_ROWS, *dataset.shape)}
    content = onnx_bytes(TorchGraph(GRAPH, network.eval(), inputs, ("features", "logits")))
    record = FeatureExtractorRecord(
        format=FeatureExtractorRecord.FORMAT,
        name=target.resolve().name,
        image=image,
        features=recipe.features,
        num_classes=network.num_classes,
        accuracy=0.0,
        largest_difference=0.0,
        data=dataset.facts,
        recipe=dataclasses.asdict(recipe),
        command=_command(recipe, dataset, target),
        versions=versions(),
        graph=file_spec(content),
        label_values=() if np.array_equal(labels, np.arange(len(labels))) else tuple(labels.tolist()),
    )
    with new_folder(target) as folder:
        (folder / GRAPH).write_bytes(content)
        (folder / RECORD).write_bytes(record.to_json())
        extractor = FeatureExtractor(folder)
        predicted_labels = extractor.extract(dataset.test.images).predicted_labels
        record = dataclasses.replace(
            record,
            accuracy=float(np.mean(predicted_labels == dataset.test.labels)),
            largest_difference=_difference(network, extractor, dataset.test.images[:COMPARED_IMAGES], image),
        )
        (folder / RECORD).write_bytes(record.to_json())
        (folder / CARD).write_text(feature_extractor_card(record), encoding="utf-8")
    return record


def _difference(network: FeatureNetwork, extractor: FeatureExtractor, images: np.ndarray, image: ImageSpec) -> float:
    """Largest absolute difference between torch and onnxruntime, over all features and class probabilities.

    images: uint8 (n, H, W[, 3]). image: shape and pixel range of the network's input. Raises ParityError if a
    difference exceeds the tolerance.
    """
    with torch.inference_mode():
        features, logits = network(torch.from_numpy(to_tensor(images, image)))
    extracted = extractor.extract(images)
    probabilities = torch.softmax(logits, 1).numpy()
    return max(
        small_difference(extracted.features, features.numpy(), f"{GRAPH}: features"),
        small_difference(extracted.probabilities, probabilities, f"{GRAPH}: class probabilities"),
    )


def _command(recipe: FeatureExtractorRecipe, dataset: Dataset, target: Path) -> str:
    data = ["--data", dataset.facts.name, *dataset.reading.words]
    return shlex.join(["aegen", "train-features", *data, *changed_options(recipe), "-o", target.resolve().name])


def feature_extractor_card(record: FeatureExtractorRecord) -> str:
    """The content of README.md in a feature extractor's folder."""
    hyperparameters = "\n".join(f"| {name} | {value} |" for name, value in record.recipe.items())
    packages = ", ".join(f"{package} {version}" for package, version in record.versions.items())
    measured = "test" if record.data.test_images else "validation"
    return f"""# {record.name}

A classifier of {record.data.name} whose {record.features} features images are compared by in `aegen evaluate`. Its
accuracy on the {measured} images is {100 * record.accuracy:.2f} %. No generator was ever trained with it.

| | |
| --- | --- |
| training data | {record.data.name}: {record.data.training_images:,} images |
| source of the data | {record.data.source} |
| licence of the data | {record.data.licence} |
| sha256 of the network | `{record.graph.sha256}` |
| largest difference from torch | {record.largest_difference:.1e}, on the first test images |
| made with | {packages} |

Made by this command; with the same data it makes it again:

    {record.command}

| hyperparameter | value |
| --- | --- |
{hyperparameters}

Distances by these features compare models with one another and with real images. They cannot be compared with
distances by other features.
"""
