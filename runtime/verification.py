"""Proof on any machine, without torch, that an artifact still computes what the trained network computed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .arrays import read_declared
from .artifact import DECODER, ENCODER, GOLDEN, PRIOR, Artifact
from .manifest import Manifest, Tensor
from .pixels import image_shape, to_tensor
from .session import Network

# Differences of 1e-6 are usual, for latents have values around 10; these leave room for other processors.
RTOL, ATOL = 1e-4, 1e-5
STEPS = 4 / 255  # of the largest result, in whole numbers: another processor may round a sum the other way

GRAPHS = (ENCODER, DECODER, PRIOR)


@dataclass(frozen=True)
class Verification:
    """What `verify` found. largest_difference: of each graph, from what it must give, in the graph's own units.

    reference: what computed that at export: torch, or onnxruntime for graphs in whole numbers. Allowed is atol + rtol
    of the value, and of graphs in whole numbers a share of the largest value, steps, besides.
    """

    files: int
    pairs: int
    largest_difference: dict[str, float]
    reference: dict[str, str]
    rtol: float
    atol: float
    passed: bool
    steps: float = 0.0


def verify(artifact: Artifact, networks: Mapping[str, Network]) -> Verification:
    """Replay the golden pairs, inputs with the outputs that torch gave, on files whose hashes have been checked.

    networks: by file name. What graphs in whole numbers must give was computed by onnxruntime at export. Raises
    ArtifactError when the pairs do not fit the graphs; a difference beyond tolerance is reported, not raised.
    """
    golden = read_declared(artifact.read(GOLDEN), _golden_tensors(artifact.manifest), str(artifact.path / GOLDEN))
    worst, passed = {}, True
    steps = dict.fromkeys(artifact.manifest.quantisation_error, STEPS)
    for name in filter(artifact.manifest.graphs.__contains__, GRAPHS):
        graph = artifact.manifest.graphs[name]
        given = {tensor.name: golden[golden_name(name, tensor.name)] for tensor in graph.inputs}
        if name == ENCODER:
            given = {"image": to_tensor(golden["images"], artifact.manifest.image)}
        outputs = [tensor.name for tensor in graph.outputs]
        found = networks[name].outputs(outputs, given)
        expected = [golden[golden_name(name, output)] for output in outputs]
        pairs = list(zip(found, expected, strict=True))
        worst[name] = max(largest_difference(*pair) for pair in pairs)
        passed = passed and all(agree(*pair, steps=steps.get(name, 0.0)) for pair in pairs)
    loosest = max(steps.values(), default=0.0)
    reference = {name: "onnxruntime" if name in steps else "torch" for name in worst}
    files, replayed = len(artifact.manifest.files), len(golden["images"])
    return Verification(files, replayed, worst, reference, RTOL, ATOL, passed, loosest)


def _golden_tensors(manifest: Manifest) -> tuple[Tensor, ...]:
    """What `golden.npz` must hold: images, and every tensor of the graphs but the encoder's input."""
    pairs = manifest.golden_pairs
    tensors = {"images": Tensor("images", "uint8", (pairs, *image_shape(manifest.image.shape)))}
    for name in filter(manifest.graphs.__contains__, GRAPHS):
        graph = manifest.graphs[name]
        for tensor in (*graph.inputs, *graph.outputs):
            stored = golden_name(name, tensor.name)
            tensors[stored] = Tensor(stored, tensor.dtype, (pairs, *tensor.shape[1:]))
    return tuple(tensors.values())


def golden_name(graph: str, tensor: str) -> str:
    """What `golden.npz` calls a graph's tensor: `encoder.latent`, `decoder.image`, `prior.noise`."""
    return f"{graph.removesuffix('.onnx')}.{tensor}"


def agree(found: np.ndarray, expected: np.ndarray, *, steps: float = 0) -> bool:
    """|found - expected| <= ATOL + RTOL |expected| everywhere, shapes equal and no NaN.

    steps: share of the largest finite |expected| that is allowed besides.
    """
    if found.shape != expected.shape:
        return False
    atol = ATOL + steps * float(np.abs(expected[np.isfinite(expected)]).max(initial=0))
    return bool(np.allclose(found, expected, rtol=RTOL, atol=atol))


def largest_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Max |found - expected|; infinite where the shapes differ."""
    if found.shape != expected.shape:
        return float("inf")
    return float(np.max(np.abs(found.astype(np.float64) - expected)))
