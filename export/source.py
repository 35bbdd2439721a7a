"""What an artifact is made from: networks in torch, facts about their training, images, and the user's options."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..data.datasets import Dataset
from ..runtime.manifest import Manifest
from ..runtime.metadata import ImageSpec
from ..train.latents import Encoder, label_values
from .graphs import TorchGraph
from .learned_priors import ExportedPrior
from .options import ExportOptions


@dataclass(frozen=True)
class Networks:
    """The networks of an artifact, with their weights as the artifact stores them.

    encoder: encodes images to the latents that priors are fitted to. graphs: the modules that become ONNX files: the
    encoder, the decoder and, with a learned prior, its sampler. image: shape and pixel range of their image tensors.
    prior: the learned prior, or None.
    """

    encoder: Encoder
    graphs: tuple[TorchGraph, ...]
    image: ImageSpec
    prior: ExportedPrior | None = None

    @property
    def latent_dim(self) -> int:
        """Number of latent dimensions, which is the size of the decoder's input."""
        return self.graphs[1].inputs["latent"].shape[1]


@dataclass(frozen=True)
class Training:
    """Facts about the training, for the manifest. The defaults are for networks that aegen did not train.

    kind: "ae", "dae" or "vae". recipe: hyperparameters by name. seed, epoch, sigma: as the manifest records them.
    measured: further values for the manifest's `quality`, by name. refined: whether the learned prior was refined
    together with the decoder, and is therefore the default prior. commands: returns the shell commands that make the
    artifact again; its argument is the manifest, complete but for commands, quality and files.
    """

    kind: str
    recipe: dict[str, Any]
    seed: int = 0
    epoch: int = 0
    sigma: float | None = None
    measured: dict[str, float] = field(default_factory=dict)
    refined: bool = False
    commands: Callable[[Manifest], tuple[str, ...]] = lambda manifest: ()


@dataclass(frozen=True)
class Source:
    """What an artifact is made from. dataset: the images that priors are fitted to and parity is proven with."""

    networks: Networks
    training: Training
    dataset: Dataset
    options: ExportOptions

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """The label value of each class, int64 (c,), in ascending order."""
        return label_values(self.dataset.train.labels)
