"""Frozen dataclasses that represent `manifest.json`, the file with all metadata of an artifact."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from .errors import shortened
from .metadata import FileSpec, Metadata, Rule, file_rules

FP32, FP16, INT8 = "fp32", "fp16", "int8"  # possible precisions of the stored weights
DTYPES = ("float16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool")

MAX_TEMPERATURE = 1000.0  # limit far above any useful value; latents do not overflow float32 below it
MAX_LATENT_DIM = 2**16
MAX_LABELS = 2**16
MAX_NAME_LENGTH = 100  # limit on the characters of a file name or a class name
MAX_ARRAY_VALUES = 2**31
MAX_ARRAY_AXES = 16


class Tensor(NamedTuple):
    """Name, dtype and shape of an input or output of a graph, or of an array in `latents.npz`.

    shape: for each axis its size, or a name such as "batch" if it may have any size.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]


class Graph(NamedTuple):
    """The inputs and outputs of one ONNX file."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def signature_text(graph: Graph) -> str:
    """A graph's inputs and outputs as text for error messages."""
    sides = (", ".join(f"{one.name} {one.dtype} {one.shape}" for one in side) for side in (graph.inputs, graph.outputs))
    return " to ".join(side for side in sides if side) or "none"


class Parity(NamedTuple):
    """The result of comparing the outputs of torch and onnxruntime at export.

    rtol, atol: the relative and the absolute tolerance. batches: the batch sizes that were compared.
    largest_difference: the largest absolute difference between outputs, by graph file name.
    """

    rtol: float
    atol: float
    batches: tuple[int, ...]
    largest_difference: dict[str, float]


class LearnedPrior(NamedTuple):
    """A prior stored as a graph, which maps noise to latents.

    The graph's inputs are `noise` [batch, k] and, if the manifest has labels, `label` [batch]; its output is `latent`
    [batch, d]. graph: the graph's file name. evaluations: how often the prior's network is evaluated for one latent; 1
    for a one-step map, more for a flow that is integrated in several steps.
    """

    graph: str
    evaluations: int


@dataclass(frozen=True)
class Manifest(Metadata):
    """The metadata of an artifact.

    epoch: the training epoch after which the weights were saved. commands: the commands that made the artifact, empty
    if aegen did not train the networks; then seed and epoch are 0, and recipe holds what their maker stated. labels:
    the label values, by class index; empty without classes. class_names: the names of the classes, by class index; may
    be empty. log_likelihood: by prior name, the mean log density of held-out latents in nats; learned priors without a
    density are left out. learned_priors: by prior name; all other priors are closed-form. graphs, operators, macs and
    quantisation_error have graph file names as keys. operators: the sorted names of the graph's ONNX operators. macs:
    the graph's multiply-accumulates for one image or latent. precision: how weights are stored, "fp32", "fp16" or
    "int8"; an int8 graph also computes in 8 bits, and its quantisation_error is the root mean square change of its
    output on held-out images. sigma: for a Gaussian loss, the learned standard deviation of p(x|z) in the range of
    `image`. quality: measured values, by metric name. files: size and hash, by file name. notes: Markdown text for the
    end of the model card.
    """

    FORMAT = 2
    SUBJECT, EXPECTED = "artifact", "an artifact"
    COMMAND = "aegen export"

    kind: str
    latent_dim: int
    graphs: dict[str, Graph]
    operators: dict[str, tuple[str, ...]]
    opset: int
    ir_version: int
    priors: tuple[str, ...]
    learned_priors: dict[str, LearnedPrior]
    default_prior: str
    default_temperature: float
    log_likelihood: dict[str, float]
    labels: tuple[int, ...]
    class_names: tuple[str, ...]
    latents: tuple[Tensor, ...]
    golden_pairs: int
    seed: int
    epoch: int
    commands: tuple[str, ...]
    precision: str
    macs: dict[str, int]
    parity: Parity
    quality: dict[str, float]
    files: dict[str, FileSpec]
    sigma: float | None = None
    quantisation_error: dict[str, float] = field(default_factory=dict)
    notes: str = ""

    @property
    def total_bytes(self) -> int:
        """Total size in bytes of the artifact's files, except the manifest."""
        return sum(entry.bytes for entry in self.files.values())

    @property
    def is_trained_by_aegen(self) -> bool:
        """Whether commands of aegen trained the networks, and not another program."""
        return bool(self.commands)

    @property
    def precision_text(self) -> str:
        """Text with the precision of the weights and, for 8-bit graphs, the quantisation error of their outputs."""
        errors = [f"{file.removesuffix('.onnx')} {error:.2g}" for file, error in self.quantisation_error.items()]
        changes = f"; root mean square change of the outputs on held-out images: {', '.join(errors)}"
        return self.precision + (changes if errors else "")

    def rules(self) -> Iterator[Rule]:
        """Yield the rules that the manifest's values must satisfy."""
        yield from super().rules()
        for subject in (_latent_rules, _prior_rules, _class_rules, _graph_rules, _file_rules, _tensor_rules):
            yield from subject(self)


def _latent_rules(manifest: Manifest) -> Iterator[Rule]:
    """Yield the rules that the manifest's values about latents must satisfy."""
    latent_dim, sigma = manifest.latent_dim, manifest.sigma
    yield 0 < latent_dim <= MAX_LATENT_DIM, "latent_dim", latent_dim, f"from 1 to {MAX_LATENT_DIM:,}"
    yield sigma is None or sigma > 0, "sigma", sigma, "above 0"


def _prior_rules(manifest: Manifest) -> Iterator[Rule]:
    """Yield the rules that the manifest's values about priors must satisfy."""
    priors, closed_form = set(manifest.priors), set(manifest.priors) - set(manifest.learned_priors)
    likelihoods, temperature = set(manifest.log_likelihood), manifest.default_temperature
    yield len(priors) == len(manifest.priors), "priors", manifest.priors, "each once"
    yield manifest.default_prior in priors, "default_prior", manifest.default_prior, "one of the priors"
    expected = f"one for each closed-form prior: {shortened(sorted(closed_form))}"
    yield closed_form <= likelihoods <= priors, "log_likelihood", sorted(likelihoods), expected
    yield 0 <= temperature <= MAX_TEMPERATURE, "default_temperature", temperature, f"from 0 to {MAX_TEMPERATURE:g}"
    for name, prior in manifest.learned_priors.items():
        key = f"learned_priors: {name}"
        yield name in priors, key, "a prior that is not listed", f"one of {shortened(sorted(priors))}"
        yield prior.graph in manifest.graphs, key, f"graph {prior.graph}", "one of the graphs"
        yield prior.evaluations >= 1, key, f"{prior.evaluations} evaluations", "at least 1"


def _class_rules(manifest: Manifest) -> Iterator[Rule]:
    """Yield the rules that the manifest's labels and class names must satisfy."""
    labels, names = manifest.labels, manifest.class_names
    yield len(labels) <= MAX_LABELS, "labels", len(labels), f"at most {MAX_LABELS:,}"
    yield len(set(labels)) == len(labels), "labels", labels, "each once"
    yield len(names) in (0, len(labels)), "class_names", len(names), "one for each label"
    yield len(set(names)) == len(names), "class_names", names, "each once"
    yield all(map(_is_printable, names)), "class_names", names, "printable names"


def _graph_rules(manifest: Manifest) -> Iterator[Rule]:
    """Yield the rules that the manifest's values about graphs and their golden (recorded) outputs must satisfy."""
    graphs, operators = sorted(manifest.graphs), manifest.operators
    yield sorted(operators) == graphs, "operators", sorted(operators), f"those of each graph: {shortened(graphs)}"
    for graph, names in operators.items():
        yield tuple(sorted(set(names))) == names, f"operators: {graph}", names, "sorted names, each once"
    yield all(count >= 0 for count in manifest.macs.values()), "macs", "numbers below 0", "from 0"
    yield manifest.golden_pairs > 0, "golden_pairs", manifest.golden_pairs, "at least 1"
    yield bool(manifest.parity.largest_difference), "parity.largest_difference", "nothing", "one of each graph"


def _file_rules(manifest: Manifest) -> Iterator[Rule]:
    """Yield the rules that the manifest's file names, sizes and hashes must satisfy."""
    names = [*manifest.files, *manifest.graphs]
    yield all(map(_is_plain_name, names)), "files", names, f"plain names of at most {MAX_NAME_LENGTH} characters"
    yield from file_rules("files", manifest.files.values())


def _tensor_rules(manifest: Manifest) -> Iterator[Rule]:
    """Yield the rules that the tensors of graphs and the arrays of `latents.npz` must satisfy."""
    for array in manifest.latents:
        yield all(isinstance(axis, int) for axis in array.shape), f"{array.name}: shape", array.shape, "integers"
    in_graphs = [one for graph in manifest.graphs.values() for one in (*graph.inputs, *graph.outputs)]
    for tensor in (*manifest.latents, *in_graphs):
        sizes = [axis for axis in tensor.shape if isinstance(axis, int)]
        yield tensor.dtype in DTYPES, f"{tensor.name}: dtype", tensor.dtype, f"one of {DTYPES}"
        small = min(sizes, default=0) >= 0 and math.prod(sizes) <= MAX_ARRAY_VALUES
        expected = f"at most {MAX_ARRAY_AXES} axes and {MAX_ARRAY_VALUES:,} values"
        yield small and len(tensor.shape) <= MAX_ARRAY_AXES, f"{tensor.name}: shape", tensor.shape, expected


def _is_printable(name: str) -> bool:
    """Whether a name has 1 to MAX_NAME_LENGTH characters, all of them printable."""
    return 0 < len(name) <= MAX_NAME_LENGTH and name.isprintable()


def _is_plain_name(name: str) -> bool:
    """Whether a name is, on every operating system, the name of a file directly in the artifact's folder."""
    return _is_printable(name) and not set(name) & set('/\\:*?"<>|') and name not in (".", "..")
