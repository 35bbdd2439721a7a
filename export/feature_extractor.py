"""A trained feature extractor -> its folder, with proof that onnxruntime sees what torch sees."""

import dataclasses
import shlex
from pathlib import Path

import numpy as np
import torch

from ..data.datasets import Dataset
from ..evaluation.feature_extractor import CARD, FACTS, FORMAT, GRAPH, FeatureExtractor, FeatureExtractorRecord
from ..files.atomic import new_folder
from ..recipes.feature_extractor import FeatureExtractorRecipe
from ..runtime.artifact import file_spec
from ..runtime.errors import ParityError
from ..runtime.manifest import ImageSpec
from ..runtime.pixels import to_tensor
from ..runtime.verification import ATOL, agree, largest_difference
from ..train.feature_extractor import UNIT, FeatureNetwork
from .commands import changed_options
from .graphs import EXAMPLES, graph
from .versions import versions

PROVEN = 64  # test images on which onnxruntime is compared with torch


def export_feature_extractor(
    network: FeatureNetwork, recipe: FeatureExtractorRecipe, dataset: Dataset, target: Path
) -> FeatureExtractorRecord:
    """Write the feature extractor's folder `target`, whole or not at all.

    Raises OutputError when `target` is taken, ParityError when onnxruntime and torch differ.
    """
    image, values = ImageSpec(dataset.shape, UNIT), network.label_values
    content = graph(network.eval(), {"image": torch.zeros(EXAMPLES, *dataset.shape)}, "features", "logits")
    facts = FeatureExtractorRecord(
        format=FORMAT,
        name=target.resolve().name,
        image=image,
        features=recipe.features,
        labels=network.labels,
        accuracy=0.0,
        largest_difference=0.0,
        data=dataset.facts,
        recipe=dataclasses.asdict(recipe),
        command=_command(recipe, dataset, target),
        versions=versions(),
        graph=file_spec(content),
        label_values=() if np.array_equal(values, np.arange(len(values))) else tuple(values.tolist()),
    )
    with new_folder(target) as folder:
        (folder / GRAPH).write_bytes(content)
        (folder / FACTS).write_bytes(facts.to_json())
        extractor = FeatureExtractor(folder)
        predicted = extractor.extract(dataset.test.images).predicted
        facts = dataclasses.replace(
            facts,
            accuracy=float(np.mean(predicted == dataset.test.labels)),
            largest_difference=_difference(network, extractor, dataset.test.images[:PROVEN], image),
        )
        (folder / FACTS).write_bytes(facts.to_json())
        (folder / CARD).write_text(_card(facts), encoding="utf-8")
    return facts


def _difference(network: FeatureNetwork, extractor: FeatureExtractor, images: np.ndarray, image: ImageSpec) -> float:
    with torch.inference_mode():
        features, logits = network(torch.from_numpy(to_tensor(images, image)))
    seen = extractor.extract(images)
    pairs = [(seen.features, features.numpy()), (seen.probabilities, torch.softmax(logits, 1).numpy())]
    worst = max(largest_difference(*pair) for pair in pairs)
    if not all(agree(*pair) for pair in pairs):
        raise ParityError(
            "feature extractor", found=f"a difference of {worst:.2g} from torch", expected=f"about {ATOL:g}"
        )
    return worst


def _command(recipe: FeatureExtractorRecipe, dataset: Dataset, target: Path) -> str:
    data = ["--data", dataset.facts.name]
    return shlex.join(["aegen", "train-features", *data, *changed_options(recipe), "-o", target.resolve().name])


def _card(facts: FeatureExtractorRecord) -> str:
    hyperparameters = "\n".join(f"| {hyperparameter} | {value} |" for hyperparameter, value in facts.recipe.items())
    packages = ", ".join(f"{package} {number}" for package, number in facts.versions.items())
    measured = "test" if facts.data.test_images else "validation"
    return f"""# {facts.name}

A classifier of {facts.data.name} whose {facts.features} features images are compared by in `aegen evaluate`. It tells
{100 * facts.accuracy:.2f} % of the {measured} images right. No generator was ever trained on what it says.

| | |
| --- | --- |
| training data | {facts.data.name}: {facts.data.training_images:,} images |
| source of the data | {facts.data.source} |
| licence of the data | {facts.data.licence} |
| sha256 of the network | `{facts.graph.sha256}` |
| largest difference from torch | {facts.largest_difference:.1e}, on the first test images |
| made with | {packages} |

Made by this command; whoever has the data can make it again:

    {facts.command}

| hyperparameter | value |
| --- | --- |
{hyperparameters}

Distances by its features compare models with one another and with real images, and mean nothing beside
distances by other features.
"""
