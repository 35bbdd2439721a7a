"""Proof on any machine, without torch, that an artifact still computes what the trained network computed."""

from dataclasses import dataclass

import numpy as np

from .arrays import read_declared
from .artifact import DECODER, ENCODER, GOLDEN, Artifact
from .manifest import Manifest, Tensor
from .pixels import picture_shape, to_tensor
from .session import Network

# Differences of 1e-6 are usual, for codes have values around 10; these leave room for other processors.
RTOL, ATOL = 1e-4, 1e-5


@dataclass(frozen=True)
class Verification:
    """What `verify` found. largest_difference: of each graph, max |onnxruntime - torch|, in the graph's own units."""

    files: int
    pairs: int
    largest_difference: dict[str, float]
    rtol: float
    atol: float
    passed: bool


def verify(artifact: Artifact, encoder: Network, decoder: Network) -> Verification:
    """Replay the golden pairs, inputs with the outputs that torch gave, on files whose hashes have been checked.

    Raises ArtifactError when the pairs do not fit the graphs; a difference beyond tolerance is reported, not raised.
    """
    where = str(artifact.path / GOLDEN)
    golden = read_declared(artifact.read(GOLDEN), _golden_tensors(artifact.manifest), where)
    encoded = [tensor.name for tensor in artifact.manifest.graphs[ENCODER].outputs]
    codes = encoder.outputs(encoded, {"image": to_tensor(golden["pictures"], artifact.manifest.image)})
    image = decoder.run("image", {"latent": golden["latent"]})
    pairs = [(ENCODER, found, golden[name]) for name, found in zip(encoded, codes, strict=True)]
    pairs.append((DECODER, image, golden["image"]))
    worst = {ENCODER: 0.0, DECODER: 0.0}
    for graph, found, expected in pairs:
        worst[graph] = max(worst[graph], largest_difference(found, expected))
    return Verification(
        files=len(artifact.manifest.files),
        pairs=len(golden["pictures"]),
        largest_difference=worst,
        rtol=RTOL,
        atol=ATOL,
        passed=all(agree(found, expected) for _, found, expected in pairs),
    )


def _golden_tensors(manifest: Manifest) -> tuple[Tensor, ...]:
    pairs = manifest.golden_pairs
    codes = (Tensor(one.name, "float32", (pairs, manifest.latent_dim)) for one in manifest.graphs[ENCODER].outputs)
    return (
        Tensor("pictures", "uint8", (pairs, *picture_shape(manifest.image.shape))),
        *codes,
        Tensor("image", "float32", (pairs, *manifest.image.shape)),
    )


def agree(found: np.ndarray, expected: np.ndarray) -> bool:
    """|found - expected| <= ATOL + RTOL |expected| everywhere, shapes equal and no NaN."""
    return found.shape == expected.shape and bool(np.allclose(found, expected, rtol=RTOL, atol=ATOL))


def largest_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Max |found - expected|; infinite where the shapes differ."""
    if found.shape != expected.shape:
        return float("inf")
    return float(np.max(np.abs(found.astype(np.float64) - expected)))
