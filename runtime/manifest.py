"""`manifest.json`: everything an artifact says of itself, as frozen dataclasses."""

import dataclasses
import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

from .errors import ArtifactError, InputError, shortened
from .records import from_json, read_json

FORMAT = 2
INT8 = "int8"  # weights in whole numbers of 8 bits
MAX_TEMPERATURE = 1000.0  # temperature: far beyond any use, and latents stay within float32
MAX_MANIFEST_BYTES = 4_000_000  # bytes; a real one has a few thousand
HASH = re.compile("[0-9a-f]{64}")
MAX_RANGE = 2**16  # of the values of black and white, and how often 1 holds their least difference
VALUES = f"black below white, and both from -{MAX_RANGE:,} to {MAX_RANGE:,}"
MAX_LABELS = 2**16
MAX_NAME = 100  # characters of a file's name
MAX_FILE = 2**31  # bytes; ONNX files hold no more
MAX_PIXELS = 2**24  # values of one image
MAX_LATENT_DIM = 2**16
MAX_VALUES = 2**31  # of one array
MAX_AXES = 16
DTYPES = ("float16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool")


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


def signature_text(graph: Graph) -> str:
    """A graph's inputs and outputs, for errors."""
    sides = (", ".join(f"{one.name} {one.dtype} {one.shape}" for one in side) for side in (graph.inputs, graph.outputs))
    return " to ".join(side for side in sides if side) or "none"


@dataclass(frozen=True)
class ImageSpec:
    """What the networks take and give: channels, height, width, and the values of black and white."""

    shape: tuple[int, int, int]
    range: tuple[float, float]


@dataclass(frozen=True)
class DataSpec:
    """The images that the artifact was trained on.

    training_images and validation_images: how many. sha256: of the bytes of both, in their order, by which
    someone with the data can tell that it is the same. test_images: how many the set keeps apart for measuring; 0 where
    it has none, and validation images are measured instead. shuffled: whether the training images were put in the
    fixed random order before validation was split off; sha256 is of the stored order.
    """

    name: str
    licence: str
    source: str
    training_images: int
    validation_images: int
    labelled: bool
    sha256: str
    test_images: int = 0
    shuffled: bool = False


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
class LearnedPrior:
    """A prior that is a graph from `noise` [batch, k], and `label` [batch] where there are classes, to `latent`.

    graph: its file name. evaluations: of its network for one latent: 1 for a one-step map, more for an integrated flow.
    """

    graph: str
    evaluations: int


@dataclass(frozen=True)
class Manifest:
    """An artifact's facts. `graphs` and `files` are keyed by file name, `quality` by the name of the measure.

    epoch: the epoch of the training run whose weights these are. log_likelihood: of each prior, nats of a held-out
    code. labels: of the classes that can be asked for; class_names: their names, as many, or none. sigma: standard
    deviation of p(x|z) in the range of `image`, where the loss was Gaussian. precision: that the weights are
    stored in; of INT8, graphs compute in it too, and quantisation_error is the root mean square of what that changes on
    held-out images, keyed by file name like macs, those of one image or code. notes: Markdown that ends its
    card.
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
    precision: str = "fp32"
    notes: str = ""
    macs: dict[str, int] = field(default_factory=dict)
    quantisation_error: dict[str, float] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    learned_priors: dict[str, LearnedPrior] = field(default_factory=dict)
    operators: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def total_bytes(self) -> int:
        """Size of the artifact's files, the manifest itself left out."""
        return sum(entry.bytes for entry in self.files.values())

    @property
    def precision_text(self) -> str:
        """How the weights are stored, and what computing in 8 bits changes."""
        errors = [f"{file.removesuffix('.onnx')} {error:.2g}" for file, error in self.quantisation_error.items()]
        changes = f"; root mean square of what that changes on held-out images: {', '.join(errors)}"
        return self.precision + (changes if errors else "")

    @classmethod
    def parse(cls, text: bytes, where: str) -> "Manifest":
        """A manifest from the bytes of its file. Raises ArtifactError when it is damaged, inconsistent or too new."""
        try:
            raw = read_json(text, where)
            found = raw.get("format") if isinstance(raw, dict) else None
            if type(found) is int and found > FORMAT:
                remedy = "A newer aegen wrote it: pip install --upgrade aegen"
                raise ArtifactError(where, found=f"artifact format {found}", expected=f"format {FORMAT}", remedy=remedy)
            manifest = from_json(cls, raw, where)
        except InputError as error:
            raise error.recast(ArtifactError) from error
        manifest._check(where)
        return manifest

    def to_json(self) -> bytes:
        """The manifest as the bytes of its file."""
        return (json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n").encode()

    def _check(self, where: str) -> None:
        for holds, key, found, expected in self._rules():
            if not holds:
                raise ArtifactError(f"{where}: {key}", found=found, expected=expected)
        named = [one for graph in self.graphs.values() for one in (*graph.inputs, *graph.outputs)]
        for tensor in self.latents:
            if not all(isinstance(axis, int) for axis in tensor.shape):
                raise ArtifactError(f"{where}: {tensor.name}: shape", found=tensor.shape, expected="whole numbers")
        for tensor in (*self.latents, *named):
            sizes = [axis for axis in tensor.shape if isinstance(axis, int)]
            if tensor.dtype not in DTYPES:
                raise ArtifactError(f"{where}: {tensor.name}: dtype", found=tensor.dtype, expected=f"one of {DTYPES}")
            if min(sizes, default=0) < 0 or math.prod(sizes) > MAX_VALUES or len(tensor.shape) > MAX_AXES:
                expected = f"at most {MAX_AXES} axes and {MAX_VALUES:,} values"
                raise ArtifactError(f"{where}: {tensor.name}: shape", found=tensor.shape, expected=expected)

    def _rules(self) -> list[tuple[bool, str, object, object]]:
        """What must hold of the values together: whether it does, the key, what was found, what is expected."""
        channels, height, width = self.image.shape
        low, high = self.image.range
        names = [*self.files, *self.graphs]
        pixels = f"1 or 3 channels, and at most {MAX_PIXELS:,} values"
        fits = channels in (1, 3) and height > 0 and width > 0 and channels * height * width <= MAX_PIXELS
        temperature = self.default_temperature
        likelihoods, priors = set(self.log_likelihood), set(self.priors)
        return [
            (self.format == FORMAT, "format", self.format, FORMAT),
            (fits, "image.shape", self.image.shape, pixels),
            (self.golden_pairs > 0, "golden_pairs", self.golden_pairs, "at least 1"),
            (-MAX_RANGE <= low <= high - 1 / MAX_RANGE <= MAX_RANGE, "image.range", self.image.range, VALUES),
            (0 < self.latent_dim <= MAX_LATENT_DIM, "latent_dim", self.latent_dim, f"from 1 to {MAX_LATENT_DIM:,}"),
            (0 <= temperature <= MAX_TEMPERATURE, "default_temperature", temperature, f"from 0 to {MAX_TEMPERATURE:g}"),
            (self.sigma is None or self.sigma > 0, "sigma", self.sigma, "above 0"),
            (self.default_prior in self.priors, "default_prior", self.default_prior, "one of the priors"),
            (
                likelihoods == priors,
                "log_likelihood",
                sorted(likelihoods),
                f"one for each prior: {shortened(sorted(priors))}",
            ),
            (len(priors) == len(self.priors), "priors", list(self.priors), "each once"),
            (len(self.labels) <= MAX_LABELS, "labels", len(self.labels), f"at most {MAX_LABELS:,}"),
            (len(set(self.labels)) == len(self.labels), "labels", list(self.labels), "each once"),
            (
                len(self.class_names) in (0, len(self.labels)),
                "class_names",
                len(self.class_names),
                "one for each label",
            ),
            (len(set(self.class_names)) == len(self.class_names), "class_names", list(self.class_names), "each once"),
            (all(map(_is_printable, self.class_names)), "class_names", list(self.class_names), "printable names"),
            (bool(self.parity.largest_difference), "parity.largest_difference", "nothing", "one of each graph"),
            (all(map(_is_plain_name, names)), "files", names, f"plain names of at most {MAX_NAME} characters"),
            (
                all(0 <= spec.bytes <= MAX_FILE for spec in self.files.values()),
                "files",
                "other sizes",
                "0 to 2 GiB each",
            ),
            (
                all(HASH.fullmatch(spec.sha256) for spec in self.files.values()),
                "files",
                "other hashes",
                "64 hex digits",
            ),
            (all(count >= 0 for count in self.macs.values()), "macs", "numbers below 0", "from 0"),
        ]


def _is_printable(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME and name.isprintable()


def _is_plain_name(name: str) -> bool:
    """Whether a file's name is one of this folder on every system."""
    return (
        0 < len(name) <= MAX_NAME
        and name.isprintable()
        and not set(name) & set('/\\:*?"<>|')
        and name not in (".", "..")
    )
