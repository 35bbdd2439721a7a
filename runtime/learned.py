"""A learned prior: a graph from noise, and a class where there are classes, to latents."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .distributions import BaseNoise, choose
from .errors import ArtifactError, InputError
from .interpolation import path
from .manifest import Graph
from .noise import Noise
from .session import Network

ClassIndices = Callable[[Noise, int, int], np.ndarray]  # (stream, start, n) -> class indices, int64 (n,)


@dataclass(frozen=True)
class GraphPrior:
    """A prior that is a graph: `noise` [batch, k], and `label` [batch] where there are classes, to `latent` [batch, d].

    name: for errors. class_indices: chooses the class of each place; None where the graph has no `label`. The latents
    of a place agree to float rounding at any batch size.
    """

    name: str
    network: Network
    noise_dim: int
    latent_dim: int
    class_indices: ClassIndices | None

    def noise(self, stream: Noise, start: int, n: int) -> BaseNoise:
        """Normals (n, k) and, where there are classes, class indices (n,)."""
        normals = stream.normals(start, n, self.noise_dim)
        return (normals,) if self.class_indices is None else (normals, self.class_indices(stream, start, n))

    def latents(self, noise: BaseNoise, temperature: float) -> np.ndarray:
        """Latents, float32 (n, d). temperature: factor of the noise."""
        normals, *classes = noise
        labels = {"label": classes[0]} if classes else {}
        return self.network.run("latent", {"noise": np.float32(temperature) * normals, **labels})

    def walk(self, stream: Noise, index: int, steps: int, temperature: float) -> np.ndarray:
        """The latents of one path between two samples of the same class, float32 (steps, d).

        index: which path of the seed. Its ends have the normals of the places 2 * index and 2 * index + 1, and the
        class of the place `index`. In between, the normals follow the arc from end to end. Normals on the arc are as
        likely as those at the ends, so every latent of the path is one that could have been sampled.
        """
        first, last = stream.normals(2 * index, 2, self.noise_dim)
        noise: BaseNoise = (path("slerp", first, last, steps),)
        if self.class_indices is not None:
            noise = *noise, np.repeat(self.class_indices(stream, index, 1), steps)
        return self.latents(noise, temperature)

    def log_prob(self, latents: np.ndarray) -> np.ndarray:
        """Raises InputError: the graph gives latents and no densities. latents: (n, d)."""
        remedy = "`log_likelihood` of the manifest holds the mean log density that was measured at export."
        found = f"prior {self.name!r}, a graph without a density"
        raise InputError("log_prob", found=found, expected="a closed-form prior", remedy=remedy)


def noise_dim(graph: Graph, where: str) -> int:
    """The size k of the input `noise` of a graph. where: its file, for errors. Raises ArtifactError without a size."""
    for tensor in graph.inputs:
        if tensor.name == "noise" and isinstance(tensor.shape[-1], int):
            return tensor.shape[-1]
    raise ArtifactError(where, found="no input `noise` of a fixed size", expected="noise [batch, k] with a number k")


def takes_classes(graph: Graph) -> bool:
    """Whether a graph has an input `label`."""
    return any(tensor.name == "label" for tensor in graph.inputs)


def by_fractions(fractions: np.ndarray) -> ClassIndices:
    """Classes as frequent as fractions (c,) say, nearly exactly so in every block of places."""
    cumulative = np.cumsum(fractions, dtype=np.float64)
    return lambda stream, start, n: choose(cumulative, stream.strata(start, n))


def always(class_index: int) -> ClassIndices:
    """The same class at every place."""
    return lambda stream, start, n: np.full(n, class_index, np.int64)


def by_position(classes: np.ndarray, first: int) -> ClassIndices:
    """A class for each place. classes: int64 (n,) of the places first to first + n."""
    return lambda stream, start, n: classes[start - first : start - first + n]
