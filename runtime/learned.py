"""A learned prior: a graph that maps noise, and a class index if the model has classes, to latents."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .distributions import BaseNoise, choose
from .errors import InputError
from .interpolation import path
from .noise import Noise
from .session import Network

# A function of (stream, start, n) that returns the class indices, int64 (n,), of the samples start to start + n - 1.
ClassIndices = Callable[[Noise, int, int], np.ndarray]


class GraphPrior(NamedTuple):
    """A learned prior, stored as an ONNX graph.

    The graph maps `noise` [batch, k], and `label` [batch] if there are classes, to `latent` [batch, d]. A seed defines
    an endless sequence of latents. Up to float rounding, the latents do not depend on the batch size.
    name: the prior's name, for error messages. noise_dim, latent_dim: k and d. class_indices: the function that chooses
    the class of each sample; None if the graph has no input `label`.
    """

    name: str
    network: Network
    noise_dim: int
    latent_dim: int
    class_indices: ClassIndices | None

    def noise(self, stream: Noise, start: int, n: int) -> BaseNoise:
        """The noise of the samples at the indices start to start + n - 1 of a seed's sequence.

        Returns standard normals (n, k) and, if there are classes, class indices (n,).
        """
        normals = stream.normals(start, n, self.noise_dim)
        return (normals,) if self.class_indices is None else (normals, self.class_indices(stream, start, n))

    def latents(self, noise: BaseNoise, temperature: float) -> np.ndarray:
        """Map noise to latents, float32 (n, d). temperature: the factor by which the normals are multiplied."""
        normals, *classes = noise
        labels = {"label": classes[0]} if classes else {}
        scaled = normals if temperature == 1 else np.float32(temperature) * normals
        return self.network.run("latent", {"noise": scaled, **labels})

    def walk(self, stream: Noise, index: int, steps: int, temperature: float) -> np.ndarray:
        """The latents of one path between two samples of the same class, float32 (steps, d).

        index: the number of the path, from 0. The path starts at the normals with the index 2 * index of the seed's
        sequence and ends at those with the index 2 * index + 1. All latents of the path have the class that is chosen
        for the sample at `index`. Between the ends the normals follow an arc. On the arc their length is about the same
        as at the ends, and so is their density. Every latent of the path is therefore as plausible as a sample.
        """
        first, last = stream.normals(2 * index, 2, self.noise_dim)
        noise: BaseNoise = (path("slerp", first, last, steps),)
        if self.class_indices is not None:
            noise = *noise, np.repeat(self.class_indices(stream, index, 1), steps)
        return self.latents(noise, temperature)

    def log_prob(self, latents: np.ndarray) -> np.ndarray:
        """Always raises InputError, because the graph computes latents but no densities. latents: (n, d)."""
        remedy = "`log_likelihood` of the manifest holds the mean log density that was measured at export."
        found = f"prior {self.name!r}, a graph without a density"
        raise InputError("log_prob", found=found, expected="a closed-form prior", remedy=remedy)


def by_fractions(fractions: np.ndarray) -> ClassIndices:
    """A function that chooses a class at random for each sample; `fractions` (c,) gives each class's probability.

    Classes are chosen by the stratified numbers of `Noise.strata`. In each block of BLOCK samples, the class
    frequencies therefore match `fractions` almost exactly.
    """
    cumulative = np.cumsum(fractions, dtype=np.float64)
    return lambda stream, start, n: choose(cumulative, stream.strata(start, n))


def always(class_index: int) -> ClassIndices:
    """A function that gives every sample the class with this index."""
    return lambda stream, start, n: np.full(n, class_index, np.int64)


def by_position(classes: np.ndarray, first: int) -> ClassIndices:
    """A function that takes the class of each sample from an array.

    classes: int64 (n,), the class indices of the samples at the indices first to first + n - 1.
    """
    return lambda stream, start, n: classes[start - first : start - first + n]
