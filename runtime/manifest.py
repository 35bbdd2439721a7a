"""`manifest.json`: everything an artifact says of itself, as frozen dataclasses."""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from .errors import ArtifactError, InputError
from .records import from_json

FORMAT = 1
INT8 = "int8"  # weights in whole numbers of 8 bits
HOTTEST = 1000.0  # temperature: far beyond any use, and codes stay within float32
LARGEST_MANIFEST = 4_000_000  # bytes; a real one has a few thousand


@dataclass(frozen=True)
class Tensor:
    """One tensor of a graph or one array of `latents.npz`. An axis is a size, or a name where it is free."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Graph:
    """The signature of one ONNX file."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class ImageSpec:
    """What the networks take and give: channels, height, width, and the values of black and white."""

    shape: tuple[int, int, int]
    range: tuple[float, float]


@dataclass(frozen=True)
class DataSpec:
    """The pictures that the artifact was trained on.

    training_pictures and validation_pictures: how many. sha256: of the bytes of both, in their order, by which
    someone with the data can tell that it is the same.
    """

    name: str
    licence: str
    source: str
    training_pictures: int
    validation_pictures: int
    labelled: bool
    sha256: str


@dataclass(frozen=True)
class Parity:
    """torch against onnxruntime at export: tolerances, batch sizes tried, largest difference of each graph."""

    rtol: float
    atol: float
    batches: tuple[int, ...]
    largest_difference: dict[str, float]


@dataclass(frozen=True)
class FileSpec:
    """Size and SHA-256 of one file of the artifact."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """An artifact's facts. `graphs` and `files` are keyed by file name, `quality` by the name of the measure.

    epoch: the epoch of the training run whose weights these are. log_likelihood: of each prior, nats of a held-out
    code. labels: of the classes that can be asked for. sigma: standard deviation of p(x|z) in the range of `image`,
    where the loss was Gaussian. weights: the precision that they are stored in; of INT8, graphs compute in it too, and
    quantisation_error is the root mean square of what that changes on held-out pictures, keyed by file name like
    multiply_adds, those of one picture or code. notes: Markdown that ends its card.
    """

    format: int
    name: str
    kind: str
    image: ImageSpec
    latent_dim: int
    graphs: dict[str, Graph]
    opset: int
    ir_version: int
    priors: tuple[str, ...]
    default_prior: str
    default_temperature: float
    log_likelihood: dict[str, float]
    labels: tuple[int, ...]
    latents: tuple[Tensor, ...]
    golden_pairs: int
    data: DataSpec
    recipe: dict[str, Any]
    seed: int
    epoch: int
    commands: tuple[str, ...]
    versions: dict[str, str]
    parity: Parity
    quality: dict[str, float]
    files: dict[str, FileSpec]
    sigma: float | None = None
    weights: str = "fp32"
    notes: str = ""
    multiply_adds: dict[str, int] = field(default_factory=dict)
    quantisation_error: dict[str, float] = field(default_factory=dict)

    @property
    def total_bytes(self) -> int:
        """Size of the artifact's files, the manifest itself left out."""
        return sum(entry.bytes for entry in self.files.values())

    @property
    def precision(self) -> str:
        """How the weights are stored, and what computing in 8 bits changes."""
        errors = [f"{file.removesuffix('.onnx')} {error:.2g}" for file, error in self.quantisation_error.items()]
        changes = f"; root mean square of what that changes on held-out pictures: {', '.join(errors)}"
        return self.weights + (changes if errors else "")

    @classmethod
    def parse(cls, text: bytes, where: str) -> "Manifest":
        """A manifest from the bytes of its file. Raises ArtifactError when it is damaged, inconsistent or too new."""
        try:
            raw = json.loads(text)
            found = raw.get("format") if isinstance(raw, dict) else None
            if isinstance(found, int) and found > FORMAT:
                remedy = "A newer aegen wrote it: pip install --upgrade aegen"
                raise ArtifactError(where, found=f"artifact format {found}", expected=f"format {FORMAT}", remedy=remedy)
            manifest = from_json(cls, raw, where)
        except ArtifactError:
            raise
        except InputError as error:
            raise ArtifactError(str(error)) from error
        except ValueError as error:
            raise ArtifactError(f"{where} is no readable JSON: {error}") from error
        manifest._check(where)
        return manifest

    def to_json(self) -> bytes:
        """The manifest as the bytes of its file."""
        return (json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n").encode()

    def _check(self, where: str) -> None:
        channels, height, width = self.image.shape
        low, high = self.image.range
        rules = [
            (self.format == FORMAT, "format", self.format, FORMAT),
            (channels in (1, 3) and height > 0 and width > 0, "image.shape", self.image.shape, "1 or 3 channels"),
            (self.golden_pairs > 0, "golden_pairs", self.golden_pairs, "at least 1"),
            (low < high, "image.range", self.image.range, "black below white"),
            (self.latent_dim > 0, "latent_dim", self.latent_dim, "at least 1"),
            (
                0 <= self.default_temperature <= HOTTEST,
                "default_temperature",
                self.default_temperature,
                f"from 0 to {HOTTEST:g}",
            ),
            (self.sigma is None or self.sigma > 0, "sigma", self.sigma, "above 0"),
            (self.default_prior in self.priors, "default_prior", self.default_prior, f"one of {list(self.priors)}"),
            (
                all("/" not in name and "\\" not in name for name in self.files),
                "files",
                list(self.files),
                "plain names",
            ),
        ]
        for holds, key, found, expected in rules:
            if not holds:
                raise ArtifactError(f"{where}: {key}", found=found, expected=expected)
