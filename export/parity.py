"""Comparison of exported graphs with torch, and golden pairs to repeat the comparison without torch.

A golden pair is an input of a graph and the output expected for it; `golden.npz` stores them.
"""

from collections.abc import Sequence

import numpy as np
import torch

from ..runtime.artifact import ENCODER
from ..runtime.errors import ParityError
from ..runtime.manifest import Parity
from ..runtime.metadata import ImageSpec
from ..runtime.noise import Noise
from ..runtime.session import Network
from ..runtime.verification import ATOL, RTOL, agree, golden_inputs, golden_name, largest_difference
from .graphs import TorchGraph, signature

BATCHES = (1, 2, 3, 7, 64)
GOLDEN_IMAGES = 16

Arrays = dict[str, np.ndarray]


def prove(graphs: Sequence[TorchGraph], contents: dict[str, bytes], images: np.ndarray, image: ImageSpec) -> Parity:
    """Check that each graph computes in onnxruntime what its torch module computes, at every batch size of BATCHES.

    graphs: the graphs, with the encoder first. contents: their ONNX files, by file name. images: real images, uint8
    (n, H, W[, 3]), repeated if a batch needs more than n. image: shape and pixel range of the graphs' image tensors.
    Raises ParityError, which names graph, batch size and difference, unless all values from onnxruntime and torch
    satisfy |onnxruntime - torch| <= ATOL + RTOL |torch|.
    """
    networks = {file: network(file, content, image) for file, content in contents.items()}
    worst = dict.fromkeys(contents, 0.0)
    for batch in BATCHES:
        golden = golden_pairs(graphs, images[np.arange(batch) % len(images)], image)
        for graph in graphs:
            inputs = golden_inputs(graph.file, graph.inputs, golden, image)
            results = networks[graph.file].outputs(graph.outputs, inputs)
            for output, result in zip(graph.outputs, results, strict=True):
                expected = golden[golden_name(graph.file, output)]
                difference = small_difference(result, expected, f"{graph.file} at batch {batch}")
                worst[graph.file] = max(worst[graph.file], difference)
    return Parity(rtol=RTOL, atol=ATOL, batches=BATCHES, largest_difference=worst)


def small_difference(result: np.ndarray, expected: np.ndarray, where: str) -> float:
    """The largest absolute difference between an output of onnxruntime and that of torch.

    where: what was compared, for the error message. Raises ParityError if the difference exceeds the tolerance.
    """
    difference = largest_difference(result, expected)
    if not agree(result, expected):
        found, limit = f"a difference of {difference:.2g} from torch", f"at most {ATOL:g} + {RTOL:g} of torch's value"
        raise ParityError(where, found=found, expected=limit, remedy="Nothing was exported.")
    return difference


def golden_pairs(graphs: Sequence[TorchGraph], images: np.ndarray, image: ImageSpec) -> Arrays:
    """Inputs of the graphs, and the outputs that torch computes for them, n rows each, by their names in `golden.npz`.

    graphs: the graphs, with the encoder first. images: the encoder's inputs, uint8 (n, H, W[, 3]), stored as `images`.
    The decoder's inputs are the latents that the encoder computes. A learned prior's inputs are the noise of seed 0 at
    indices 0 to n - 1, and the class indices 0, 1, 2 and so on, which start again from 0 after the last class.
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
        golden |= torch_outputs(graph, golden_inputs(graph.file, graph.inputs, golden, image))
    return golden


def golden_images(images: np.ndarray) -> np.ndarray:
    """The first GOLDEN_IMAGES test images, one black image, one white image and two images of uniform noise.

    images: the test images, uint8 (n, H, W[, 3]). The result has the same dtype and image shape.
    """
    shape = images.shape[1:]
    noise = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    black, white = np.zeros((1, *shape), np.uint8), np.full((1, *shape), 255, np.uint8)
    return np.concatenate([images[:GOLDEN_IMAGES], black, white, noise])


def torch_outputs(graph: TorchGraph, inputs: Arrays) -> Arrays:
    """Run a torch module. Returns its outputs, by their names in `golden.npz`.

    inputs: arrays by name of the module's input. Inputs and outputs have n rows each.
    """
    with torch.inference_mode():
        results = graph.module(*(torch.from_numpy(inputs[name]) for name in graph.inputs))
    outputs = results if isinstance(results, tuple) else (results,)
    return {golden_name(graph.file, name): one.numpy() for name, one in zip(graph.outputs, outputs, strict=True)}


def onnxruntime_outputs(graph: TorchGraph, content: bytes, inputs: Arrays, image: ImageSpec) -> Arrays:
    """Run an ONNX file in onnxruntime. Returns its outputs, by their names in `golden.npz`.

    Used for the golden outputs of an int8 graph, which torch cannot run. content: the ONNX file. inputs: arrays by name
    of the graph's input. Inputs and outputs have n rows each.
    """
    results = network(graph.file, content, image).outputs(graph.outputs, inputs)
    return {golden_name(graph.file, name): one for name, one in zip(graph.outputs, results, strict=True)}


def network(file: str, content: bytes, image: ImageSpec) -> Network:
    """Wrap an ONNX file as a Network of the runtime, which runs it in onnxruntime and checks its outputs."""
    return Network(lambda: content, file, signature(content), image.range)
