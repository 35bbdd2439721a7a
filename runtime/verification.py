"""Verification on any machine, without torch, that an artifact computes what the trained network computed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from .arrays import read_declared
from .artifact import DECODER, ENCODER, GOLDEN, Artifact
from .errors import ArtifactError
from .graphs.check import operators_of
from .manifest import ImageSpec, Manifest, Tensor
from .pixels import image_shape, to_tensor
from .session import Network

# Differences around 1e-6 are usual, because latents have values around 10. Other processors may differ more.
RTOL, ATOL = 1e-4, 1e-5
INT8_TOLERANCE = 4 / 255  # tolerance as a fraction of the largest output; processors round 8-bit sums differently


@dataclass(frozen=True)
class Verification:
    """The result of `verify`, which compares outputs with golden outputs: those recorded at export for golden inputs.

    files: number of files whose hashes were checked. pairs: number of golden inputs of each graph.
    largest_difference: by graph file, max |result - golden output| in the units of that output.
    reference: by graph file, the program that computed the golden outputs: "torch", or "onnxruntime" for an int8 graph.
    rtol, atol: a result may differ by atol + rtol |golden output|. passed: whether all results agree.
    int8_tolerance: additional tolerance for int8 graphs, as a fraction of the largest golden output; 0 if none is int8.
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

    networks: the network of each graph, by file name. Raises ArtifactError if the golden arrays do not fit the graphs,
    or if the operators of a graph are not those listed in the manifest. A difference beyond the tolerance raises no
    error: `passed` is then False.
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
    """Raise ArtifactError if the operators of a graph are not those listed in the manifest."""
    found, stated = sorted(operators_of(artifact.read(graph))), list(artifact.manifest.operators[graph])
    if found != stated:
        expected = f"{', '.join(stated)}, as the manifest says"
        raise ArtifactError(f"{artifact.path / graph}: operators", found=", ".join(found), expected=expected)


def verified_graphs(manifest: Manifest) -> tuple[str, ...]:
    """File names of the graphs that the runtime runs and `verify` checks: encoder, decoder and every learned prior."""
    return ENCODER, DECODER, *(prior.graph for prior in manifest.learned_priors.values())


def golden_inputs(
    graph: str, names: Iterable[str], golden: Mapping[str, np.ndarray], image: ImageSpec
) -> dict[str, np.ndarray]:
    """The golden inputs of a graph by tensor name, n rows each.

    graph: the graph's file name. names: names of its inputs. golden: the arrays of `golden.npz`, which holds the images
    of all graphs once, as uint8 (n, H, W[, 3]). image: the image tensors that the graphs take.
    """
    return {
        name: to_tensor(golden["images"], image) if name == "image" else golden[golden_name(graph, name)]
        for name in names
    }


def golden_name(graph: str, tensor: str) -> str:
    """The name in `golden.npz` of a graph's input or output: `encoder.latent`, `decoder.image`, `prior.noise`."""
    return f"{graph.removesuffix('.onnx')}.{tensor}"


def _golden_tensors(manifest: Manifest) -> tuple[Tensor, ...]:
    """The arrays that `golden.npz` must hold: the images, and every other input and output of the graphs."""
    pairs = manifest.golden_pairs
    tensors = [Tensor("images", "uint8", (pairs, *image_shape(manifest.image.shape)))]
    for name in verified_graphs(manifest):
        graph = manifest.graphs[name]
        stored = (*(tensor for tensor in graph.inputs if tensor.name != "image"), *graph.outputs)
        tensors += [Tensor(golden_name(name, one.name), one.dtype, (pairs, *one.shape[1:])) for one in stored]
    return tuple(tensors)


def agree(result: np.ndarray, expected: np.ndarray, *, fraction: float = 0.0) -> bool:
    """Whether two arrays have equal shapes and |result - expected| <= ATOL + RTOL |expected| everywhere.

    A NaN in either array gives False. fraction: additional tolerance, as a fraction of the largest finite |expected|.
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
