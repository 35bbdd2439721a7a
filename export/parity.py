"""Proof that exported graphs compute what torch computes, and golden pairs so that others can repeat the proof."""

from collections.abc import Sequence

import numpy as np
import torch

from ..runtime.artifact import ENCODER
from ..runtime.errors import ParityError
from ..runtime.manifest import ImageSpec, Parity
from ..runtime.noise import Noise
from ..runtime.pixels import to_tensor
from ..runtime.session import Network
from ..runtime.verification import ATOL, RTOL, agree, golden_name, largest_difference
from .graphs import TorchGraph, signature

BATCHES = (1, 2, 3, 7, 64)
GOLDEN_IMAGES = 16

Arrays = dict[str, np.ndarray]


def prove(graphs: Sequence[TorchGraph], contents: dict[str, bytes], images: np.ndarray, image: ImageSpec) -> Parity:
    """Compare every graph in onnxruntime with its torch module on real images, at every batch size of BATCHES.

    graphs: encoder first. contents: their ONNX files by name. images: uint8 (n, H, W[, 3]), repeated as needed.
    Raises ParityError, naming graph, batch and difference, beyond |result - torch| <= ATOL + RTOL |torch|.
    """
    networks = {file: network(file, content, image) for file, content in contents.items()}
    worst = dict.fromkeys(contents, 0.0)
    for batch in BATCHES:
        golden = golden_pairs(graphs, images[np.arange(batch) % len(images)], image)
        for graph in graphs:
            results = networks[graph.file].outputs(graph.outputs, inputs_of(graph, golden, image))
            for output, result in zip(graph.outputs, results, strict=True):
                expected = golden[golden_name(graph.file, output)]
                difference = largest_difference(result, expected)
                if not agree(result, expected):
                    raise ParityError(
                        f"{graph.file} at batch {batch}",
                        found=f"a difference of {difference:.2g} from torch",
                        expected=f"at most {ATOL:g} + {RTOL:g} of torch's value",
                        remedy="Nothing was exported.",
                    )
                worst[graph.file] = max(worst[graph.file], difference)
    return Parity(rtol=RTOL, atol=ATOL, batches=BATCHES, largest_difference=worst)


def golden_pairs(graphs: Sequence[TorchGraph], images: np.ndarray, image: ImageSpec) -> Arrays:
    """Inputs and torch's outputs for them, as `golden.npz` holds them: keys of `golden_name`, n rows each.

    graphs: encoder first. images: uint8 (n, H, W[, 3]), stored as `images`. The decoder's inputs are the latents that
    the encoder gives. A learned prior takes the first n rows of the noise of seed 0, and every class in turn.
    """
    golden = {"images": images}
    n = len(images)
    for graph in graphs:
        for name, example in graph.inputs.items():
            stored = golden_name(graph.file, name)
            if name == "latent":
                golden[stored] = golden[golden_name(ENCODER, name)]
            elif name == "noise":
                golden[stored] = Noise(0).normals(0, n, example.shape[1])
            elif name == "label":
                golden[stored] = np.arange(n) % graph.num_classes
        golden |= torch_outputs(graph, inputs_of(graph, golden, image))
    return golden


def golden_images(images: np.ndarray) -> np.ndarray:
    """The first GOLDEN_IMAGES of the test images, a black and a white one and two of uniform noise.

    images: uint8 (n, H, W[, 3]), like the result.
    """
    shape = images.shape[1:]
    noise = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    black, white = np.zeros((1, *shape), np.uint8), np.full((1, *shape), 255, np.uint8)
    return np.concatenate([images[:GOLDEN_IMAGES], black, white, noise])


def inputs_of(graph: TorchGraph, golden: Arrays, image: ImageSpec) -> Arrays:
    """The golden inputs of a graph by tensor name, n rows each. Images are stored once for all graphs."""
    return {
        name: to_tensor(golden["images"], image) if name == "image" else golden[golden_name(graph.file, name)]
        for name in graph.inputs
    }


def torch_outputs(graph: TorchGraph, inputs: Arrays) -> Arrays:
    """What the torch module gives for inputs of n rows, by golden name, float32 with n rows each."""
    with torch.inference_mode():
        results = graph.module(*(torch.from_numpy(inputs[name]) for name in graph.inputs))
    outputs = results if isinstance(results, tuple) else (results,)
    return {golden_name(graph.file, name): one.numpy() for name, one in zip(graph.outputs, outputs, strict=True)}


def onnxruntime_outputs(graph: TorchGraph, content: bytes, inputs: Arrays, image: ImageSpec) -> Arrays:
    """What onnxruntime gives for inputs of n rows, by golden name: the golden outputs of a graph in 8 bits.

    content: the ONNX file, which torch did not compute.
    """
    results = network(graph.file, content, image).outputs(graph.outputs, inputs)
    return {golden_name(graph.file, name): one for name, one in zip(graph.outputs, results, strict=True)}


def network(file: str, content: bytes, image: ImageSpec) -> Network:
    """An ONNX file in the runtime, which checks its results."""
    return Network(lambda: content, file, signature(content), image.range)
