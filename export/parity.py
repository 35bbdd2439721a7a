"""Proof that the exported graphs compute what torch computes, and golden pairs so that others can repeat it."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..runtime.artifact import DECODER, ENCODER
from ..runtime.errors import ParityError
from ..runtime.manifest import ImageSpec, Parity
from ..runtime.pixels import picture_shape, to_tensor
from ..runtime.session import Network
from ..runtime.verification import ATOL, RTOL, agree, largest_difference
from ..train.models import EncoderDecoder, Variational

BATCHES = (1, 2, 3, 7, 64)
GOLDEN_PICTURES = 16


def prove(network: EncoderDecoder, graphs: dict[str, bytes], pictures: np.ndarray, image: ImageSpec) -> Parity:
    """Run both graphs and torch on real pictures at every batch size of BATCHES.

    graphs: ONNX files by name. pictures: uint8 (n, H, W[, 3]), taken round and round.
    Raises ParityError, naming graph, batch and difference, beyond |a - b| <= atol + rtol |b|.
    """
    encoder, decoder = _session(ENCODER, graphs), _session(DECODER, graphs)
    worst = {ENCODER: 0.0, DECODER: 0.0}
    for batch in BATCHES:
        images = to_tensor(pictures[np.arange(batch) % len(pictures)], image)
        codes = _in_torch(network.encode, images)
        pairs = [
            (ENCODER, encoder.run("latent", {"image": images}), codes),
            (DECODER, decoder.run("image", {"latent": codes}), _in_torch(network.decode, codes)),
        ]
        if isinstance(network, Variational):
            logvar = _in_torch(network.logvar, images)
            pairs.append((ENCODER, encoder.run("logvar", {"image": images}), logvar))
        for name, found, expected in pairs:
            if not agree(found, expected):
                raise ParityError(
                    f"{name} at batch {batch}",
                    found=f"a difference of {largest_difference(found, expected):.2g} from torch",
                    expected=f"at most {ATOL:g} + {RTOL:g} of torch's value",
                    remedy="Nothing was exported.",
                )
            worst[name] = max(worst[name], largest_difference(found, expected))
    return Parity(rtol=RTOL, atol=ATOL, batches=BATCHES, largest_difference=worst)


def golden_pairs(network: EncoderDecoder, pictures: np.ndarray, image: ImageSpec) -> dict[str, np.ndarray]:
    """Inputs and torch's outputs for them.

    pictures: the first of the test pictures, all black, all white and two of uniform noise, uint8. latent: their codes,
    and of a variational autoencoder logvar; image: what the decoder gives for those codes, in its range. All float32.
    """
    axes = picture_shape(image.shape)
    noise = np.random.default_rng(0).integers(0, 256, (2, *axes), np.uint8)
    black, white = np.zeros((1, *axes), np.uint8), np.full((1, *axes), 255, np.uint8)
    inputs = np.concatenate([pictures[:GOLDEN_PICTURES], black, white, noise])
    images = to_tensor(inputs, image)
    latent = _in_torch(network.encode, images)
    spread = {"logvar": _in_torch(network.logvar, images)} if isinstance(network, Variational) else {}
    return {"pictures": inputs, "latent": latent, **spread, "image": _in_torch(network.decode, latent)}


def _session(name: str, graphs: dict[str, bytes]) -> Network:
    return Network(lambda: graphs[name], name, threads=1)


def _in_torch(function: Callable[[Tensor], Tensor], tensor: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return function(torch.from_numpy(tensor)).numpy()
