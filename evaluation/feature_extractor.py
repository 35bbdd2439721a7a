"""The feature extractor: a classifier, run by onnxruntime, whose features measure how similar images are.

It is a folder with `features.json` (metadata), `features.onnx` (`image` float32 [batch, C, H, W] in [0, 1] ->
`features` [batch, f] and `logits` [batch, k]) and a model card. It is never used to train a generative model.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ..runtime.artifact import SHIPPED, verified
from ..runtime.errors import NotFoundError
from ..runtime.manifest import MAX_LABELS, Graph, Tensor
from ..runtime.metadata import DataSpec, FileSpec, Metadata, Rule, file_rules
from ..runtime.pixels import FLOAT, as_batch, to_tensor
from ..runtime.session import Network
from ..runtime.threads import chosen_threads
from ..runtime.workers import Workers
from .progress import Progress, no_progress

RECORD, GRAPH, CARD = "features.json", "features.onnx", "README.md"
BATCH_SIZE = 100  # images per onnxruntime call, so few that their activations fit into the CPU cache
PART_IMAGES = 40 * BATCH_SIZE  # number of images between two calls of `progress`
PREFIX = "features-"


@dataclass(frozen=True)
class FeatureExtractorRecord(Metadata):
    """The content of `features.json`.

    features: number of features f. num_classes: number of classes k. accuracy: fraction of test images that are
    classified correctly. largest_difference: largest difference between outputs of torch and of onnxruntime at export.
    label_values: the label of each class; if empty, the labels are 0 to k - 1.
    """

    FORMAT = 1
    SUBJECT, EXPECTED = "feature extractor", "a feature extractor"
    COMMAND = "aegen train-features"

    features: int
    num_classes: int
    accuracy: float
    largest_difference: float
    command: str
    graph: FileSpec
    label_values: tuple[int, ...] = ()

    def rules(self) -> Iterator[Rule]:
        """Yield the rules that the record's values must satisfy."""
        yield from super().rules()
        yield from file_rules("graph", [self.graph])
        counts = {"features": self.features, "num_classes": self.num_classes}
        for key, count in counts.items():
            yield 0 < count <= MAX_LABELS, key, count, f"from 1 to {MAX_LABELS:,}"
        labels, expected = len(self.label_values), f"{self.num_classes}, or none"
        yield labels in (0, self.num_classes), "label_values", f"{labels} values", expected


@dataclass(frozen=True)
class ExtractedFeatures:
    """Features and class predictions of n images.

    features: float32 (n, f). probabilities: probability of each class, float32 (n, k). predicted_labels: label of the
    most probable class, int64 (n,).
    """

    features: np.ndarray
    probabilities: np.ndarray
    predicted_labels: np.ndarray


class FeatureExtractor:
    """A feature extractor, loaded from its folder.

    threads: number of threads for onnxruntime, by default AEGEN_THREADS or the number of CPUs that this process may
    use.
    Raises NotFoundError when there is no feature extractor at `path`, ArtifactError when it is damaged.
    """

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        self.record = FeatureExtractorRecord.read(path / RECORD)
        self._label_values = np.array(self.record.label_values or range(self.record.num_classes), np.int64)
        graph = verified(path / GRAPH, self.record.graph)
        self._network = Network(lambda: graph, str(path / GRAPH), self._signature())
        self._workers = Workers(chosen_threads(threads), BATCH_SIZE)

    def extract(self, images: ArrayLike, progress: Progress = no_progress) -> ExtractedFeatures:
        """Extract features and class probabilities of images (n, H, W[, 3]), uint8 or float in [0, 1].

        progress: called after each part of the images. Raises ShapeError when the images have another size than the
        images that the feature extractor was trained on.
        """
        batch, _ = as_batch(images, self.record.image.shape)
        row_shape = (self.record.features + self.record.num_classes,)
        outputs = np.empty((len(batch), *row_shape), FLOAT)
        for start in range(0, len(batch), PART_IMAGES):
            part = batch[start : start + PART_IMAGES]
            rows = slice(start, start + len(part))
            outputs[rows] = self._workers.gathered(self._extract_batch, part, row_shape, FLOAT, macs=0)
            progress("features", rows.stop, len(batch))
        features, logits = np.split(outputs, [self.record.features], axis=1)
        exponentials = np.exp(logits - logits.max(1, keepdims=True))
        predicted_labels = self._label_values[exponentials.argmax(1)]
        return ExtractedFeatures(features, exponentials / exponentials.sum(1, keepdims=True), predicted_labels)

    def _extract_batch(self, images: np.ndarray, outputs: np.ndarray) -> None:
        """Write features and logits of images (n, H, W[, 3]) side by side to `outputs`, float32 (n, f + k)."""
        image = to_tensor(images, self.record.image)
        np.concatenate(self._network.outputs(("features", "logits"), {"image": image}), 1, out=outputs)

    def _signature(self) -> Graph:
        """Names, types and shapes that the network's inputs and outputs must have according to `features.json`."""
        image = Tensor("image", "float32", ("batch", *self.record.image.shape))
        features = Tensor("features", "float32", ("batch", self.record.features))
        return Graph((image,), (features, Tensor("logits", "float32", ("batch", self.record.num_classes))))


def find_feature_extractor(extractor: str | Path | None, data: str) -> Path:
    """Find the folder of a feature extractor.

    extractor: the name of a feature extractor that ships with aegen, or the path of a folder. None selects the name
    `features-DATA`, where DATA is the value of `data`. data: the name of a data set. Raises NotFoundError when there is
    no such folder.
    """
    name = PREFIX + data if extractor is None else extractor
    shipped = SHIPPED / name
    if isinstance(name, str) and (shipped / RECORD).is_file():
        return shipped
    if not Path(name).is_dir():
        names = ", ".join(sorted(folder.parent.name for folder in SHIPPED.glob(f"*/{RECORD}")))
        remedy = "`aegen train-features` makes one."
        subject = f"feature extractor {str(name)!r}"
        raise NotFoundError(subject, found="no such name or folder", expected=names, remedy=remedy)
    return Path(name)


def ships_for(data: DataSpec) -> bool:
    """Whether a feature extractor that was trained on these images ships with aegen."""
    folder = SHIPPED / f"{PREFIX}{data.name}"
    return (folder / RECORD).is_file() and FeatureExtractorRecord.read(folder / RECORD).data.sha256 == data.sha256
