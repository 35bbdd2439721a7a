"""The feature extractor: a classifier on onnxruntime, by whose features images are compared.

A folder with `features.json`, the facts; `features.onnx`, `image` float32 [batch, C, H, W] in [0, 1] -> `features` [batch, f]
and `logits` [batch, k]; and a card. No generator is ever trained on what it says.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..runtime.artifact import SHIPPED, verified
from ..runtime.errors import ArtifactError, InputError, NotFoundError
from ..runtime.manifest import DataSpec, FileSpec, Graph, ImageSpec, Tensor
from ..runtime.pixels import FLOAT, as_batch, to_tensor
from ..runtime.records import from_json, read_json
from ..runtime.session import Network
from ..runtime.threads import chosen_threads
from ..runtime.workers import Workers

FACTS, GRAPH, CARD = "features.json", "features.onnx", "README.md"
FORMAT = 1
BATCH = 100  # images in one onnxruntime call: the widest activations of more leave the cache
PREFIX = "features-"


@dataclass(frozen=True)
class FeatureExtractorRecord:
    """What a feature extractor says of itself. accuracy: fraction of the test images whose label it tells right.

    labels: how many classes it knows. label_values: of each the label of its images, in order; without any 0, 1, ...
    """

    format: int
    name: str
    image: ImageSpec
    features: int
    labels: int
    accuracy: float
    largest_difference: float
    data: DataSpec
    recipe: dict[str, Any]
    command: str
    versions: dict[str, str]
    graph: FileSpec
    label_values: tuple[int, ...] = ()

    def to_json(self) -> bytes:
        """The facts as the bytes of their file."""
        return (json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n").encode()


@dataclass(frozen=True)
class Extracted:
    """What a feature extractor sees in n images.

    features: float32 (n, f). probabilities: float32 (n, k), of each class. told: int64 (n,), the likeliest label.
    """

    features: np.ndarray
    probabilities: np.ndarray
    predicted: np.ndarray


class FeatureExtractor:
    """A feature extractor, opened from its folder. Raises NotFoundError or ArtifactError when it is missing or damaged."""

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        file = path / FACTS
        if not file.is_file():
            raise NotFoundError(
                str(path), found=f"no {FACTS}", expected="a feature extractor", remedy="`aegen train-features`"
            )
        try:
            self.facts = from_json(FeatureExtractorRecord, read_json(file.read_bytes(), str(file)), str(file))
        except InputError as error:
            raise error.recast(ArtifactError) from error
        if self.facts.format != FORMAT:
            raise ArtifactError(
                str(file), found=f"feature extractor format {self.facts.format}", expected=f"format {FORMAT}"
            )
        self._label_values = np.array(self.facts.label_values, np.int64)
        if len(self._label_values) not in (0, self.facts.labels):
            found = f"{len(self._label_values)} values"
            raise ArtifactError(f"{file}: label_values", found=found, expected=f"{self.facts.labels}, or none")
        graph = verified(path / GRAPH, self.facts.graph)
        self._network = Network(lambda: graph, str(path / GRAPH), self._signature())
        self._workers = Workers(chosen_threads(threads), BATCH)

    def extract(self, images: ArrayLike) -> Extracted:
        """Features and label probabilities of images (n, H, W[, 3]), uint8 or float in [0, 1].

        Raises ShapeError when the images are not of the size that this feature extractor knows.
        """
        batch, _ = as_batch(images, self.facts.image.shape)
        axes = (self.facts.features + self.facts.labels,)
        both = self._workers.gathered(self._extract_batch, batch, axes, FLOAT, work=0)
        features, logits = np.split(both, [self.facts.features], axis=1)
        likely = np.exp(logits - logits.max(1, keepdims=True))
        predicted = likely.argmax(1)
        predicted = self._label_values[predicted] if len(self._label_values) else predicted
        return Extracted(features, likely / likely.sum(1, keepdims=True), predicted)

    def _extract_batch(self, images: np.ndarray) -> np.ndarray:
        image = to_tensor(images, self.facts.image)
        return np.concatenate(self._network.outputs(("features", "logits"), {"image": image}), 1)

    def _signature(self) -> Graph:
        """What the network takes and gives, by what the feature extractor says of itself."""
        image = Tensor("image", "float32", ("batch", *self.facts.image.shape))
        features = Tensor("features", "float32", ("batch", self.facts.features))
        return Graph((image,), (features, Tensor("logits", "float32", ("batch", self.facts.labels))))


def find_feature_extractor(extractor: str | Path | None, data: str) -> Path:
    """The folder of a feature extractor given as a shipped name or a path; None is `features-` and the name of the data set."""
    name = PREFIX + data if extractor is None else extractor
    shipped = SHIPPED / name
    if isinstance(name, str) and (shipped / FACTS).is_file():
        return shipped
    if not Path(name).is_dir():
        names = ", ".join(sorted(folder.parent.name for folder in SHIPPED.glob(f"*/{FACTS}")))
        remedy = "`aegen train-features` makes one."
        raise NotFoundError(
            f"feature extractor {str(name)!r}", found="no such name or folder", expected=names, remedy=remedy
        )
    return Path(name)
