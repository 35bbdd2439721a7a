"""Proof that the exported graphs compute what torch computes, and golden pairs so that others can repeat it."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..runtime.artifact import DECODER, ENCODER, PRIOR
from ..runtime.errors import ParityError
from ..runtime.manifest import ImageSpec, Parity
from ..runtime.noise import Noise
from ..runtime.pixels import to_tensor
from ..runtime.session import Network
from ..runtime.verification import ATOL, RTOL, agree, golden_name, largest_difference
from ..train.networks import EncoderDecoder, Variational
from .graphs import signature
from .unrolled import UnrolledFlow

BATCHES = (1, 2, 3, 7, 64)
GOLDEN_IMAGES = 16
OUTPUTS = {ENCODER: ("latent", "logvar"), DECODER: ("image",), PRIOR: ("latent",)}


def prove(
    network: EncoderDecoder,
    prior: UnrolledFlow | None,
    graphs: dict[str, bytes],
    images: np.ndarray,
    image: ImageSpec,
) -> Parity:
    """Run every graph and torch on real images at every batch size of BATCHES.

    prior: what `prior.onnx` was made from, where there is one. graphs: ONNX files by name. images: uint8
    (n, H, W[, 3]), taken round and round.
    Raises ParityError, naming graph, batch and difference, beyond |a - b| <= atol + rtol |b|.
    """
    networks = {name: _network(name, content, image) for name, content in graphs.items()}
    worst = dict.fromkeys(graphs, 0.0)
    for batch in BATCHES:
        golden = golden_pairs(network, prior, images[np.arange(batch) % len(images)], image)
        inputs = _inputs(golden, image)
        for name, graph in networks.items():
            for output, found in _outputs(name, graph, golden, inputs[name]).items():
                expected = golden[output]
                if not agree(found, expected):
                    raise ParityError(
                        f"{name} at batch {batch}",
                        found=f"a difference of {largest_difference(found, expected):.2g} from torch",
                        expected=f"at most {ATOL:g} + {RTOL:g} of torch's value",
                        remedy="Nothing was exported.",
                    )
                worst[name] = max(worst[name], largest_difference(found, expected))
    return Parity(rtol=RTOL, atol=ATOL, batches=BATCHES, largest_difference=worst)


def _network(name: str, content: bytes, image: ImageSpec) -> Network:
    return Network(lambda: content, name, signature(content), image.range)


def golden_pairs(
    network: EncoderDecoder, prior: UnrolledFlow | None, images: np.ndarray, image: ImageSpec
) -> dict[str, np.ndarray]:
    """Inputs and torch's outputs for them, by the names that `verification` gives them.

    images: uint8. latent: their latents, and of a variational autoencoder logvar; image: what the decoder gives for
    those latents, in its range. noise, label and drawn: what goes into the prior and comes out. float32 but the labels.
    """
    tensors = to_tensor(images, image)
    golden = {"images": images, "latent": _in_torch(network.encode, tensors)}
    if isinstance(network, Variational):
        golden["logvar"] = _in_torch(network.logvar, tensors)
    golden["image"] = _in_torch(network.decode, golden["latent"])
    if prior is not None:
        golden["noise"] = Noise(0).normals(*golden["latent"].shape)
        if prior.flow.labels:
            golden["label"] = np.arange(len(images)) % prior.flow.labels
        label = (golden["label"],) if prior.flow.labels else ()
        golden["drawn"] = _in_torch(prior, golden["noise"], *label)
    return golden


def answers(golden: dict[str, np.ndarray], graphs: dict[str, bytes], image: ImageSpec) -> dict[str, np.ndarray]:
    """Golden pairs with what other graphs than torch's give for their images, and for the latents of those.

    graphs: ONNX files of encoder and decoder. For graphs in whole numbers, which torch has not computed.
    """
    replayed = dict(golden)
    for name in (ENCODER, DECODER):
        network = _network(name, graphs[name], image)
        replayed |= _outputs(name, network, replayed, _inputs(replayed, image)[name])
    return replayed


def golden_images(images: np.ndarray) -> np.ndarray:
    """The first of the test images, all black, all white and two of uniform noise; uint8."""
    axes = images.shape[1:]
    noise = np.random.default_rng(0).integers(0, 256, (2, *axes), np.uint8)
    black, white = np.zeros((1, *axes), np.uint8), np.full((1, *axes), 255, np.uint8)
    return np.concatenate([images[:GOLDEN_IMAGES], black, white, noise])


def _outputs(
    name: str, network: Network, golden: dict[str, np.ndarray], given: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """What a graph gives, of all that there are golden pairs of and by their names."""
    outputs = [output for output in OUTPUTS[name] if golden_name(name, output) in golden]
    found = network.outputs(outputs, given)
    return {golden_name(name, output): value for output, value in zip(outputs, found, strict=True)}


def _inputs(golden: dict[str, np.ndarray], image: ImageSpec) -> dict[str, dict[str, np.ndarray]]:
    """What each graph is given."""
    return {
        ENCODER: {"image": to_tensor(golden["images"], image)},
        DECODER: {"latent": golden["latent"]},
        PRIOR: {name: golden[name] for name in ("noise", "label") if name in golden},
    }


def _in_torch(function: Callable[..., Tensor], *arrays: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return function(*map(torch.from_numpy, arrays)).numpy()
