"""Verifies, on any machine and without torch, that an artifact's graphs compute what the trained networks computed.

At export, the trained networks ran on a few golden inputs. These inputs and their outputs are stored in `golden.npz`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from .arrays import read_declared
from .artifact import GOLDEN, Artifact, verified_graphs
from .errors import ArtifactError
from .graphs.check import operators_of
from .manifest import Manifest, Tensor
from .metadata import ImageSpec
from .pixels import image_shape, to_tensor
from .session import Network

# Relative and absolute tolerance. Differences around 1e-6 are usual, because float32 latents have values around 10;
# other processors may differ more.
RTOL, ATOL = 1e-4, 1e-5
# Additional tolerance for int8 graphs, as a fraction of the largest golden output: processors round 8-bit sums
# differently.
INT8_TOLERANCE = 4 / 255


@dataclass(frozen=True)
class Verification:
    """The result of `verify`, which runs each graph on golden inputs and compares with the golden outputs.

    files: number of files whose hashes were checked. pairs: number of golden inputs (and golden outputs) of each graph.
    largest_difference: for each graph, by its file name, max |result - golden output|, in the units of that output.
    reference: for each graph, by its file name, the program that computed the golden outputs: "torch", or
    "onnxruntime" for an int8 graph. rtol, atol: a result may differ by at most atol + rtol |golden output|.
    int8_tolerance: additional tolerance for int8 graphs, as a fraction of the largest golden output; 0 if no graph is
    int8. passed: whether the results of all graphs are within the tolerance.
    """

    files: int
    pairs: int
    largest_difference: dict[str, float]
    reference: dict[str, str]
    rtol: float
    atol: float
    passed: bool
    int8_tolerance: float = 0.0


def verify(artifact: Artifact, networks: Mapping[str, Network]) -> Verification:
    """Run every graph on its golden inputs and compare the results with its golden outputs.

    networks: the network that runs each graph, by the graph's file name. Raises ArtifactError if the shapes or dtypes
    of the golden arrays do not fit the graphs, or if the operators of a graph are not those listed in the manifest. A
    difference beyond the tolerance raises no error: `passed` is then False.
    """
    manifest = artifact.manifest
    for name in verified_graphs(manifest):
        _check_operators(artifact, name)
    golden = read_declared(artifact.read(GOLDEN), _golden_tensors(manifest), str(artifact.path / GOLDEN))
    worst, reference, passed = {}, {}, True
    for name in verified_graphs(manifest):
        graph = manifest.graphs[name]
        int8 = name in manifest.quantisation_error
        outputs = [tensor.name for tensor in graph.outputs]
        inputs = golden_inputs(name, [tensor.name for tensor in graph.inputs], golden, manifest.image)
        results = networks[name].outputs(outputs, inputs)
        pairs = [(result, golden[golden_name(name, output)]) for result, output in zip(results, outputs, strict=True)]
        worst[name] = max(largest_difference(*pair) for pair in pairs)
        reference[name] = "onnxruntime" if int8 else "torch"
        passed = passed and all(agree(*pair, fraction=INT8_TOLERANCE if int8 else 0.0) for pair in pairs)
    tolerance = INT8_TOLERANCE if manifest.quantisation_error else 0.0
    return Verification(
        len(manifest.files), len(golden["images"]), worst, reference, RTOL, ATOL, passed, int8_tolerance=tolerance
    )


def _check_operators(artifact: Artifact, graph: str) -> None:
    """Raise ArtifactError if a graph's operators are not those listed in the manifest. graph: its file name."""
    found, stated = sorted(operators_of(artifact.read(graph))), list(artifact.manifest.operators[graph])
    if found != stated:
        expected = f"{', '.join(stated)}, as the manifest says"
        raise ArtifactError(f"{artifact.path / graph}: operators", found=", ".join(found), expected=expected)


def golden_inputs(
    graph: str, names: Iterable[str], golden: Mapping[str, np.ndarray], image: ImageSpec
) -> dict[str, np.ndarray]:
    """The golden inputs of a graph: for each of its input tensors, by name, an array of n rows.

    graph: the graph's file name. names: names of its inputs. golden: the arrays of `golden.npz`; its array `images`,
    uint8 (n, H, W[, 3]), is the input of every graph that takes images. image: the manifest's description of the image
    tensors that the graphs take.
    """
    return {
        name: to_tensor(golden["images"], image) if name == "image" else golden[golden_name(graph, name)]
        for name in names
    }


def golden_name(graph: str, tensor: str) -> str:
    """The name of a graph's input or output in `golden.npz`, such as `encoder.latent`. graph: its file name."""
    return f"{graph.removesuffix('.onnx')}.{tensor}"


def _golden_tensors(manifest: Manifest) -> tuple[Tensor, ...]:
    """Names, dtypes and shapes of the arrays that `golden.npz` must hold.

    They are the input images, all other inputs of the verified graphs, and all outputs of these graphs.
    """
    pairs = manifest.golden_pairs
    tensors = [Tensor("images", "uint8", (pairs, *image_shape(manifest.image.shape)))]
    for name in verified_graphs(manifest):
        graph = manifest.graphs[name]
        stored = (*(tensor for tensor in graph.inputs if tensor.name != "image"), *graph.outputs)
        tensors += [Tensor(golden_name(name, one.name), one.dtype, (pairs, *one.shape[1:])) for one in stored]
    return tuple(tensors)


def agree(result: np.ndarray, expected: np.ndarray, *, fraction: float = 0.0) -> bool:
    """Return whether two arrays have equal shapes and |result - expected| <= ATOL + RTOL |expected| everywhere.

    If either array holds a NaN, the result is False. fraction: additional tolerance, as a fraction of the largest
    finite |expected|.
    """
    if result.shape != expected.shape:
        return False
    atol = ATOL + fraction * float(np.abs(expected[np.isfinite(expected)]).max(initial=0))
    return bool(np.allclose(result, expected, rtol=RTOL, atol=atol))


def largest_difference(result: np.ndarray, expected: np.ndarray) -> float:
    """Max |result - expected| of two arrays; infinity if their shapes differ."""
    if result.shape != expected.shape:
        return float("inf")
    return float(np.max(np.abs(result.astype(np.float64) - expected)))
