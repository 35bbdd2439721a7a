"""Proof on any machine, without torch, that an artifact still computes what the trained network computed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .arrays import read_declared
from .artifact import DECODER, ENCODER, GOLDEN, Artifact
from .manifest import Manifest, Tensor
from .pixels import image_shape, to_tensor
from .session import Network

# Differences of 1e-6 are usual, because latents have values around 10. The rest is room for other processors.
RTOL, ATOL = 1e-4, 1e-5
INT8_TOLERANCE = 4 / 255  # fraction of the largest value: another processor may round an 8-bit sum the other way


@dataclass(frozen=True)
class Verification:
    """The result of `verify`.

    files: number of files whose hashes were checked. pairs: number of golden pairs.
    largest_difference: by graph, max |result - golden output| in the units of that output.
    reference: by graph, the program that computed the golden outputs: "torch", or "onnxruntime" for an int8 graph.
    rtol, atol: a result may differ by atol + rtol |golden output|.
    int8_tolerance: fraction of the largest golden output that an int8 graph may differ by in addition; else 0.
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
    """Run every graph on its golden inputs and compare with its golden outputs.

    networks: by graph file name. Raises ArtifactError when the golden pairs do not fit the graphs. A difference beyond
    the tolerance is not raised: `passed` is then False.
    """
    manifest = artifact.manifest
    golden = read_declared(artifact.read(GOLDEN), _golden_tensors(manifest), str(artifact.path / GOLDEN))
    worst, reference, passed = {}, {}, True
    for name in verified_graphs(manifest):
        graph = manifest.graphs[name]
        int8 = name in manifest.quantisation_error
        outputs = [tensor.name for tensor in graph.outputs]
        results = networks[name].outputs(outputs, golden_inputs(manifest, name, golden))
        pairs = [(result, golden[golden_name(name, output)]) for result, output in zip(results, outputs, strict=True)]
        worst[name] = max(largest_difference(*pair) for pair in pairs)
        reference[name] = "onnxruntime" if int8 else "torch"
        passed = passed and all(agree(*pair, fraction=INT8_TOLERANCE if int8 else 0.0) for pair in pairs)
    tolerance = INT8_TOLERANCE if manifest.quantisation_error else 0.0
    return Verification(
        len(manifest.files), len(golden["images"]), worst, reference, RTOL, ATOL, passed, int8_tolerance=tolerance
    )


def verified_graphs(manifest: Manifest) -> tuple[str, ...]:
    """File names of the graphs that have golden pairs: encoder, decoder and every learned prior."""
    return ENCODER, DECODER, *(prior.graph for prior in manifest.learned_priors.values())


def golden_inputs(manifest: Manifest, graph: str, golden: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The golden inputs of a graph by tensor name, n rows each. Images are stored once, as uint8 (n, H, W[, 3])."""
    inputs = {}
    for tensor in manifest.graphs[graph].inputs:
        if tensor.name == "image":
            inputs[tensor.name] = to_tensor(golden["images"], manifest.image)
        else:
            inputs[tensor.name] = golden[golden_name(graph, tensor.name)]
    return inputs


def golden_name(graph: str, tensor: str) -> str:
    """The key of a graph's tensor in `golden.npz`: `encoder.latent`, `decoder.image`, `prior.noise`."""
    return f"{graph.removesuffix('.onnx')}.{tensor}"


def _golden_tensors(manifest: Manifest) -> tuple[Tensor, ...]:
    """The arrays that `golden.npz` must hold: the images, and every other tensor of the graphs."""
    pairs = manifest.golden_pairs
    tensors = [Tensor("images", "uint8", (pairs, *image_shape(manifest.image.shape)))]
    for name in verified_graphs(manifest):
        graph = manifest.graphs[name]
        stored = (*(tensor for tensor in graph.inputs if tensor.name != "image"), *graph.outputs)
        tensors += [Tensor(golden_name(name, one.name), one.dtype, (pairs, *one.shape[1:])) for one in stored]
    return tuple(tensors)


def agree(result: np.ndarray, expected: np.ndarray, *, fraction: float = 0.0) -> bool:
    """Whether |result - expected| <= ATOL + RTOL |expected| everywhere, with equal shapes and no NaN.

    result, expected: arrays of one shape. fraction: of the largest finite |expected|, allowed in addition.
    """
    if result.shape != expected.shape:
        return False
    atol = ATOL + fraction * float(np.abs(expected[np.isfinite(expected)]).max(initial=0))
    return bool(np.allclose(result, expected, rtol=RTOL, atol=atol))


def largest_difference(result: np.ndarray, expected: np.ndarray) -> float:
    """Max |result - expected| of two arrays; infinite where their shapes differ."""
    if result.shape != expected.shape:
        return float("inf")
    return float(np.max(np.abs(result.astype(np.float64) - expected)))
