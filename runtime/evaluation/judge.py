"""The judge: a classifier on onnxruntime, by whose features pictures are compared.

A folder with `judge.json`, the facts; `judge.onnx`, `image` float32 [batch, C, H, W] in [0, 1] -> `features` [batch, f]
and `logits` [batch, k]; and a card. No generator is ever trained on what it says.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..artifact import SHIPPED, verified
from ..errors import ArtifactError, InputError, NotFoundError
from ..manifest import DataSpec, FileSpec, ImageSpec
from ..pixels import FLOAT, as_batch, to_tensor
from ..records import from_json
from ..session import Network, chosen_threads
from ..workers import Workers

FACTS, GRAPH, CARD = "judge.json", "judge.onnx", "README.md"
FORMAT = 1
BATCH = 100  # pictures in one onnxruntime call: the widest activations of more leave the cache
PREFIX = "judge-"


@dataclass(frozen=True)
class JudgeFacts:
    """What a judge says of itself. accuracy: share of the test pictures whose label it tells right."""

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

    def to_json(self) -> bytes:
        """The facts as the bytes of their file."""
        return (json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n").encode()


@dataclass(frozen=True)
class Seen:
    """What a judge sees in n pictures. features: float32 (n, f). probabilities: float32 (n, k), of each label."""

    features: np.ndarray
    probabilities: np.ndarray


class Judge:
    """A judge, opened from its folder. Raises NotFoundError or ArtifactError when it is missing or damaged."""

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        file = path / FACTS
        if not file.is_file():
            raise NotFoundError(str(path), found=f"no {FACTS}", expected="a judge", remedy="`aegen train-judge`")
        try:
            self.facts = from_json(JudgeFacts, json.loads(file.read_bytes()), str(file))
        except (InputError, ValueError) as error:
            raise ArtifactError(f"{file} is damaged: {error}") from error
        if self.facts.format != FORMAT:
            raise ArtifactError(str(file), found=f"judge format {self.facts.format}", expected=f"format {FORMAT}")
        graph = verified(path / GRAPH, self.facts.graph)
        self._network = Network(lambda: graph, str(path / GRAPH))
        self._workers = Workers(chosen_threads(threads), BATCH)

    def look(self, pictures: ArrayLike) -> Seen:
        """Features and label probabilities of pictures (n, H, W[, 3]), uint8 or float in [0, 1].

        Raises ShapeError when the pictures are not of the size that this judge knows.
        """
        batch, _ = as_batch(pictures, self.facts.image.shape)
        axes = (self.facts.features + self.facts.labels,)
        both = self._workers.gathered(self._look_at_batch, batch, axes, FLOAT, work=0)
        features, logits = np.split(both, [self.facts.features], axis=1)
        likely = np.exp(logits - logits.max(1, keepdims=True))
        return Seen(features, likely / likely.sum(1, keepdims=True))

    def _look_at_batch(self, pictures: np.ndarray) -> np.ndarray:
        image = to_tensor(pictures, self.facts.image)
        both = self._network.outputs(("features", "logits"), {"image": image})
        found, expected = tuple(one.shape[1] for one in both), (self.facts.features, self.facts.labels)
        if found != expected:
            raise ArtifactError(f"judge {self.facts.name}: features and labels", found=found, expected=expected)
        return np.concatenate(both, 1)


def find_judge(judge: str | Path | None, data: str) -> Path:
    """The folder of a judge given as a shipped name or a path; None is `judge-` and the name of the data set."""
    name = PREFIX + data if judge is None else judge
    shipped = SHIPPED / name
    if isinstance(name, str) and (shipped / FACTS).is_file():
        return shipped
    if not Path(name).is_dir():
        names = ", ".join(sorted(folder.parent.name for folder in SHIPPED.glob(f"*/{FACTS}")))
        remedy = "`aegen train-judge` makes one."
        raise NotFoundError(f"judge {str(name)!r}", found="no such name or folder", expected=names, remedy=remedy)
    return Path(name)
