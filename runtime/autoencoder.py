"""The class Autoencoder: an artifact's networks and priors behind a few methods."""

import collections
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .arguments import Label, as_latents, checked_count, checked_steps
from .artifact import DECODER, ENCODER, Artifact, find
from .errors import InputError, ShapeError
from .interpolation import checked_method, path
from .manifest import Manifest
from .pixels import FLOAT, as_batch, empty_images, image_dtype, image_shape, to_images, to_tensor
from .prior_set import PriorSet
from .sampling import Sampler, SampleRequest
from .session import Network
from .threads import chosen_threads
from .verification import Verification, verify
from .workers import Workers


def load(
    model: str | Path | None = None, *, threads: int | None = None, batch_size: int | None = None
) -> "Autoencoder":
    """Open a model: the name of a shipped one, the path of an artifact folder, or None for the shipped default.

    threads: threads that work for one call, the calling one among them; by default AEGEN_THREADS, or the cores that
    this process may use. batch_size: images that one thread handles at a time, by default what suits the model.
    Raises NotFoundError when there is no such model, ArtifactError when it is damaged.
    """
    return Autoencoder(find(model), threads=threads, batch_size=batch_size)


class Autoencoder:
    """An exported autoencoder on onnxruntime.

    Images are (n, H, W) grey or (n, H, W, 3) colour, uint8 or float in [0, 1]; one image, without n, gives one
    result. Latents are float32 (n, d). Every file is checked against its hash on opening; a network is loaded when a
    method first needs it, so sampling never loads the encoder. A model holds no state between calls: threads may share
    it, a forked process may use it, and it is pickled as its path.
    """

    def __init__(self, path: str | Path, *, threads: int | None = None, batch_size: int | None = None) -> None:
        self._artifact = Artifact.open(Path(path).absolute())
        self._settings = (self._artifact.path, threads, batch_size)
        self._workers = Workers(chosen_threads(threads), batch_size)
        learned = [prior.graph for prior in self.manifest.learned_priors.values()]
        self._networks = {file: _network(self._artifact, file) for file in (ENCODER, DECODER, *learned)}
        self._priors = PriorSet(self._artifact, self._networks)
        self._sampler = Sampler(self.manifest, self._priors, self._workers)

    def __repr__(self) -> str:
        facts = self.manifest
        return (
            f"<Autoencoder {facts.name}: {facts.kind}, {self.image_shape} images, {facts.latent_dim} latent dimensions>"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, self._settings

    @property
    def manifest(self) -> Manifest:
        """Everything that the artifact says of itself."""
        return self._artifact.manifest

    @property
    def name(self) -> str:
        """The artifact's name."""
        return self.manifest.name

    @property
    def latent_dim(self) -> int:
        """Number of latent dimensions d."""
        return self.manifest.latent_dim

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of one image: (H, W) grey or (H, W, 3) colour."""
        return image_shape(self.manifest.image.shape)

    @property
    def priors(self) -> tuple[str, ...]:
        """Names of the priors, the distributions that latents can be drawn from."""
        return self.manifest.priors

    def sample(
        self,
        n: int,
        *,
        seed: int | None = None,
        start: int = 0,
        prior: str | None = None,
        label: Label | None = None,
        temperature: float | None = None,
        batch_size: int | None = None,
        dtype: DTypeLike = np.float32,
    ) -> np.ndarray:
        """N new images: latents drawn from a prior, then decoded.

        seed: an integer from 0 to 2^64 - 1 stands for one endless row of images, which is the same every time; None
        stands for a random row. start: the first place in the row, so `sample(64, seed=0)[16:]` is
        `sample(48, seed=0, start=16)`. prior: one of `priors`, by default the artifact's. label: a label value or class
        name, for images of this class alone, or a list with one for each of the n images. temperature: factor of the
        standard deviation of the latents around their mean, 1 as fitted; at 0 all latents are the mean, in a mixture or
        a kernel density the mean of the chosen component. By default the artifact's.
        Returns (n, H, W) or (n, H, W, 3), float32 in [0, 1] or uint8. Raises InputError for a bad argument.
        """
        images = empty_images(checked_count("n", n), self.image_shape, dtype)

        def fill(latents: np.ndarray, part: slice) -> None:
            images[part] = self._decode_batch(latents, images.dtype)

        request = SampleRequest(n, seed, start, prior, label, temperature, batch_size)
        parts = self._sampler.run(request, fill, [self._networks[DECODER]], self._macs(DECODER))
        collections.deque(parts, maxlen=0)
        return images

    def iter_sample(
        self,
        n: int,
        *,
        seed: int | None = None,
        start: int = 0,
        prior: str | None = None,
        label: Label | None = None,
        temperature: float | None = None,
        batch_size: int | None = None,
        dtype: DTypeLike = np.float32,
    ) -> Iterator[np.ndarray]:
        """The images of `sample`, a batch (m, H, W[, 3]) at a time, in memory that does not grow with n."""
        checked_dtype = image_dtype(dtype)

        def decode(latents: np.ndarray, part: slice) -> np.ndarray:
            return self._decode_batch(latents, checked_dtype)

        request = SampleRequest(n, seed, start, prior, label, temperature, batch_size)
        return self._sampler.run(request, decode, [self._networks[DECODER]], self._macs(DECODER))

    def sample_latents(
        self,
        n: int,
        *,
        seed: int | None = None,
        start: int = 0,
        prior: str | None = None,
        label: Label | None = None,
        temperature: float | None = None,
    ) -> np.ndarray:
        """The latents that `sample` decodes, float32 (n, d).

        A seed gives the same latents, bit for bit, at any start, n, batch size and number of threads; a learned prior
        gives the same to float rounding.
        """
        latents = np.empty((checked_count("n", n), self.latent_dim), np.float32)

        def fill(sampled: np.ndarray, part: slice) -> None:
            latents[part] = sampled

        request = SampleRequest(n, seed, start, prior, label, temperature, None)
        collections.deque(self._sampler.run(request, fill, (), self._macs(DECODER)), maxlen=0)
        return latents

    def log_prob(self, latents: ArrayLike, *, prior: str | None = None, label: int | str | None = None) -> np.ndarray:
        """Log density of latents (n, d) or (d,) under a prior at temperature 1, in nats: float64 (n,) or a number.

        Raises InputError for a learned prior, whose graph gives no density.
        """
        batch, single = as_latents(latents, self.latent_dim)
        chosen = self._priors.prior(self._priors.name(prior), self._priors.class_index(label))
        with np.errstate(all="ignore"):  # latents far from every image have density 0, and its logarithm is -inf
            densities = chosen.log_prob(batch)
        return densities[0] if single else densities

    def encode(self, images: ArrayLike, *, batch_size: int | None = None) -> np.ndarray:
        """Latents of images; of a VAE the mean of q(z|x).

        Returns float32 (n, d), or (d,) for one image. Raises ShapeError or InputError for images that do not fit.
        """
        batch, single = as_batch(images, self.manifest.image.shape)
        macs = self._macs(ENCODER)
        latents = self._workers.gathered(self._encode_batch, batch, (self.latent_dim,), FLOAT, macs, batch_size)
        return latents[0] if single else latents

    def posterior(self, images: ArrayLike, *, batch_size: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Mean and log variance of q(z|x), the Gaussian that a variational autoencoder gives for each image.

        Both float32 (n, d), or (d,) for one image. Raises InputError when this is no variational autoencoder.
        """
        if self.manifest.kind != "vae":
            raise InputError(f"posterior of {self.name}", found=f"kind {self.manifest.kind}", expected="kind vae")
        batch, single = as_batch(images, self.manifest.image.shape)

        def mean_and_logvar(images: np.ndarray) -> np.ndarray:  # (m, H, W[, 3]) -> (m, 2, d)
            image = to_tensor(images, self.manifest.image)
            return np.stack(self._networks[ENCODER].outputs(("latent", "logvar"), {"image": image}), 1)

        shape, macs = (2, self.latent_dim), self._macs(ENCODER)
        both = self._workers.gathered(mean_and_logvar, batch, shape, FLOAT, macs, batch_size)
        mean, logvar = np.ascontiguousarray(both.swapaxes(0, 1))
        return (mean[0], logvar[0]) if single else (mean, logvar)

    def decode(self, latents: ArrayLike, *, batch_size: int | None = None, dtype: DTypeLike = np.float32) -> np.ndarray:
        """Images of latents.

        latents: (n, d) or (d,) float. Returns (n, H, W) or (n, H, W, 3) in [0, 1], or uint8 with dtype="uint8"; one
        image for one latent. Raises ShapeError when the last axis is not this model's latent_dim, InputError for
        latents that are not finite numbers.
        """
        batch, single = as_latents(latents, self.latent_dim)
        checked_dtype = image_dtype(dtype)
        decode = functools.partial(self._decode_batch, dtype=checked_dtype)
        macs = self._macs(DECODER)
        images = self._workers.gathered(decode, batch, self.image_shape, checked_dtype, macs, batch_size)
        return images[0] if single else images

    def reconstruct(
        self, images: ArrayLike, *, batch_size: int | None = None, dtype: DTypeLike = np.float32
    ) -> np.ndarray:
        """Images encoded and decoded again, in the shape they came in."""
        return self.decode(self.encode(images, batch_size=batch_size), batch_size=batch_size, dtype=dtype)

    def interpolate(
        self,
        a: ArrayLike,
        b: ArrayLike,
        *,
        steps: int = 10,
        method: str | None = None,
        batch_size: int | None = None,
        dtype: DTypeLike = np.float32,
    ) -> np.ndarray:
        """The decoded path between the latents of images a and b.

        a, b: one image each, or n images each. steps: images of a path, both ends included. method: "linear", "slerp"
        or "norm-corrected", by default the one that suits the kind of autoencoder. Returns (steps, H, W[, 3]), or
        (n, steps, H, W[, 3]); the ends are the reconstructions of a and b. Raises ShapeError when a and b are not
        equally many.
        """
        start, end = self.encode(a, batch_size=batch_size), self.encode(b, batch_size=batch_size)
        if start.shape != end.shape:
            found = f"shapes {np.shape(a)} and {np.shape(b)}"
            raise ShapeError("interpolate", found=found, expected="as many ends as starts")
        latents = path(checked_method(method, self.manifest.kind), start, end, checked_steps(steps))
        images = self.decode(latents.reshape(-1, self.latent_dim), batch_size=batch_size, dtype=dtype)
        return images.reshape(*latents.shape[:-1], *self.image_shape)

    def latent_walk(
        self,
        n: int,
        *,
        steps: int = 10,
        seed: int | None = None,
        label: int | str | None = None,
        temperature: float | None = None,
        batch_size: int | None = None,
        dtype: DTypeLike = np.float32,
    ) -> np.ndarray:
        """N decoded paths between sampled images of one class each, through the noise of a learned prior.

        The prior is the default one if it is learned, else the first learned one. Every image of a path could have been
        sampled. A seed gives the same paths every time, and the first 4 of 8 paths are the 4 paths.
        Returns (n, steps, H, W[, 3]). Raises InputError where there is no learned prior.
        """
        walks = self._sampler.walks(n, steps, seed, label, temperature)
        images = empty_images(n, (steps, *self.image_shape), dtype)
        for row, latents in enumerate(walks):
            images[row] = self.decode(latents, batch_size=batch_size, dtype=dtype)
        return images

    def verify(self) -> Verification:
        """Replay the golden pairs: does onnxruntime, on this machine, compute what torch computed at export?

        Raises ArtifactError when the pairs do not fit the graphs, or when a prior cannot be sampled.
        """
        for prior in self.priors:
            self.sample_latents(1, seed=0, prior=prior)
        return verify(self._artifact, self._networks)

    def _encode_batch(self, images: np.ndarray) -> np.ndarray:
        """Images (m, H, W[, 3]) -> latents, float32 (m, d)."""
        return self._networks[ENCODER].run("latent", {"image": to_tensor(images, self.manifest.image)})

    def _decode_batch(self, latents: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Latents, float32 (m, d) -> images (m, H, W[, 3]), float32 or uint8."""
        return to_images(self._networks[DECODER].run("image", {"latent": latents}), self.manifest.image, dtype)

    def _macs(self, graph: str) -> int:
        """MACs of a graph for one image; 0 where they are not known."""
        return self.manifest.macs.get(graph, 0)


def _network(artifact: Artifact, file: str) -> Network:
    """A graph of an artifact. It does not refer to the model: a cycle would keep a dropped model's sessions alive."""
    manifest = artifact.manifest
    return Network(lambda: artifact.read(file), str(artifact.path / file), manifest.graphs[file], manifest.image.range)


def _reopen(path: Path, threads: int | None, batch_size: int | None) -> Autoencoder:
    """The model of a pickle."""
    return Autoencoder(path, threads=threads, batch_size=batch_size)
