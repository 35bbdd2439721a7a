"""Inputs of an artifact's graphs that quantisation to 8 bits needs: to choose scales, and to measure the errors."""

from collections.abc import Mapping

import numpy as np

from ..data.images import LabelledImages
from ..runtime.artifact import DECODER, ENCODER
from ..runtime.metadata import ImageSpec
from ..runtime.noise import Noise
from ..runtime.pixels import to_tensor
from ..train.latents import EncodedLatents
from .graphs import TorchGraph
from .learned_priors import ExportedPrior

MAX_ROWS = 5000  # maximum number of images, latents or noise vectors for one graph

Inputs = Mapping[str, np.ndarray]  # the inputs of a graph, arrays (n, ...) by name


def quantised_prior(prior: ExportedPrior | None) -> TorchGraph | None:
    """The graph of a learned prior that is quantised to 8 bits with precision int8; None if there is none.

    A prior is quantised only if it evaluates its network once. With several evaluations, the errors of the first would
    grow in the later ones.
    """
    return prior.sampler if prior is not None and prior.evaluations == 1 else None


def graph_inputs(
    images: LabelledImages, encoded: EncodedLatents, image: ImageSpec, prior: TorchGraph | None, start: int
) -> dict[str, Inputs]:
    """Inputs of encoder, decoder and prior, by file name.

    images, encoded: images and their latents. image: shape and pixel range of the encoder's input. prior: the graph of
    a learned prior, or None without one; it gets noise of seed 0, and the classes of the images. start: index of the
    first noise vector.
    """
    inputs: dict[str, Inputs] = {
        ENCODER: {"image": to_tensor(images.images[:MAX_ROWS], image)},
        DECODER: {"latent": encoded.latent[:MAX_ROWS]},
    }
    if prior is not None:
        classes = encoded.of_known_classes(prior.num_classes).class_indices[:MAX_ROWS]
        noise = Noise(0).normals(start, len(classes), prior.inputs["noise"].shape[1])
        inputs[prior.file] = {"noise": noise, **({"label": classes} if "label" in prior.inputs else {})}
    return inputs
