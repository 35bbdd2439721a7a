"""class Autoencoder: an artifact's networks and latent statistics behind a few methods."""

import collections
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .arguments import Label, as_latents, checked_steps, checked_temperature, count
from .artifact import DECODER, ENCODER, PRIOR, Artifact, find
from .errors import InputError, ShapeError, shown
from .interpolation import DEFAULT_OF_KIND, PATHS, path
from .manifest import Graph, Manifest
from .noise import Noise
from .pixels import FLOAT, as_batch, image_dtype, image_shape, to_images, to_tensor
from .prior_set import PriorSet
from .priors import FLOW, BaseNoise
from .session import Network
from .threads import chosen_threads
from .verification import Verification, verify
from .workers import Result, Workers


def load(
    model: str | Path | None = None, *, threads: int | None = None, batch_size: int | None = None
) -> "Autoencoder":
    """Open a model: a shipped name, the path of an artifact folder, or None for the shipped default.

    threads: as many as work at once for a caller, its own among them, by default AEGEN_THREADS, or the cores that this
    process may use. batch_size: images that one of them takes at a time, by default what suits the model.
    Raises NotFoundError when there is no such model, ArtifactError when it is damaged.
    """
    return Autoencoder(find(model), threads=threads, batch_size=batch_size)


class Autoencoder:
    """An exported autoencoder on onnxruntime.

    Images are (n, H, W) grey or (n, H, W, 3) colour, uint8 or float in [0, 1]; one image, without n, gives one
    result. Latents are float32 (n, d). Every file is checked against its hash here; a network is opened when a method first
    needs it, so sampling never opens the encoder. A model holds no state between calls: threads may share it, a fork
    may use it, and it pickles as its path.
    """

    def __init__(self, path: str | Path, *, threads: int | None = None, batch_size: int | None = None) -> None:
        self._artifact = Artifact.open(Path(path).absolute())
        self._settings = (self._artifact.path, threads, batch_size)
        self._workers = Workers(chosen_threads(threads), batch_size)
        self._encoder = self._network(ENCODER)
        self._decoder = self._network(DECODER)
        self._flow = self._network(PRIOR)
        self._priors = PriorSet(self._artifact, self._flow)

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
        """Axes of one image: (H, W) grey or (H, W, 3) colour."""
        return image_shape(self.manifest.image.shape)

    @property
    def priors(self) -> tuple[str, ...]:
        """Names of the distributions that `sample` can draw from."""
        return self.manifest.priors

    def sample(
        self,
        n: int,
        *,
        seed: int | None = None,
        prior: str | None = None,
        label: Label | None = None,
        temperature: float | None = None,
        batch_size: int | None = None,
        dtype: DTypeLike = np.float32,
    ) -> np.ndarray:
        """N new images: latents drawn from a prior, then decoded.

        seed: the same one gives the same images, and `sample(64, seed=0)[:16]` is `sample(16, seed=0)`; None: new.
        prior: one of `priors`, by default the artifact's. label: a label value or class name, for images of this class
        alone; or a list of n, one for each image. temperature: of the standard deviation of the latents around their
        mean, 1 as fitted; at 0 all are the mean, of a mixture or kernel density that of the component chosen. By
        default the artifact's.
        Returns (n, H, W) or (n, H, W, 3), float32 in [0, 1] or uint8. Raises InputError for a bad argument.
        """
        images = self._empty_images(count("n", n), dtype)

        def fill(latents: np.ndarray, part: slice) -> None:
            images[part] = self._decode_batch(latents, images.dtype)

        collections.deque(self._drawn(fill, (self._decoder,), n, seed, prior, label, temperature, batch_size), maxlen=0)
        return images

    def iter_sample(
        self,
        n: int,
        *,
        seed: int | None = None,
        prior: str | None = None,
        label: Label | None = None,
        temperature: float | None = None,
        batch_size: int | None = None,
        dtype: DTypeLike = np.float32,
    ) -> Iterator[np.ndarray]:
        """The images of `sample`, a batch at a time, in memory that does not grow with n."""
        kind = image_dtype(dtype)

        def decode(latents: np.ndarray, part: slice) -> np.ndarray:
            return self._decode_batch(latents, kind)

        return self._drawn(decode, (self._decoder,), n, seed, prior, label, temperature, batch_size)

    def draw(
        self,
        n: int,
        *,
        seed: int | None = None,
        prior: str | None = None,
        label: Label | None = None,
        temperature: float | None = None,
    ) -> np.ndarray:
        """The latents that `sample` decodes, float32 (n, d): bit for bit the same for a seed at any
        batch size; from a learned prior, to float rounding.
        """
        chunks = list(self._drawn(lambda latents, part: latents, (), n, seed, prior, label, temperature, None))
        return np.concatenate([np.empty((0, self.latent_dim), np.float32), *chunks])

    def log_prob(self, latents: ArrayLike, *, prior: str | None = None, label: int | str | None = None) -> np.ndarray:
        """Log density of latents (n, d) or (d,) under a prior at temperature 1, in nats: float64 (n,) or a number.

        prior: any but "flow", which has no density at hand and is the default of some models. Raises InputError for it.
        """
        batch, single = as_latents(latents, self.latent_dim)
        chosen = self._priors.prior(prior, self._priors.class_index(label))
        with np.errstate(all="ignore"):  # of values that no image has: the density is then 0 and its logarithm infinite
            densities = chosen.log_prob(batch)
        return densities[0] if single else densities

    def encode(self, images: ArrayLike, *, batch_size: int | None = None) -> np.ndarray:
        """Latent latents of images; of a VAE the mean of q(z|x).

        Returns float32 (n, d), or (d,) for one image. Raises ShapeError or InputError for images that do not fit.
        """
        batch, single = as_batch(images, self.manifest.image.shape)
        latents = self._workers.gathered(
            self._encode_batch, batch, (self.latent_dim,), FLOAT, self._work(ENCODER), batch_size
        )
        return latents[0] if single else latents

    def posterior(self, images: ArrayLike, *, batch_size: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Mean and log variance of q(z|x), the Gaussian that a variational autoencoder gives for each image.

        Both float32 (n, d), or (d,) for one image. Raises InputError when this is no variational autoencoder.
        """
        if self.manifest.kind != "vae":
            raise InputError(f"posterior of {self.name}", found=f"kind {self.manifest.kind}", expected="kind vae")
        batch, single = as_batch(images, self.manifest.image.shape)

        def both(images: np.ndarray) -> np.ndarray:
            image = to_tensor(images, self.manifest.image)
            return np.stack(self._encoder.outputs(("latent", "logvar"), {"image": image}), 1)

        found = self._workers.gathered(both, batch, (2, self.latent_dim), FLOAT, self._work(ENCODER), batch_size)
        mean, logvar = np.ascontiguousarray(found.swapaxes(0, 1))
        return (mean[0], logvar[0]) if single else (mean, logvar)

    def decode(self, latents: ArrayLike, *, batch_size: int | None = None, dtype: DTypeLike = np.float32) -> np.ndarray:
        """Images of latents.

        latents: (n, d) or (d,) float. Returns (n, H, W) or (n, H, W, 3) in [0, 1], or uint8 with dtype="uint8"; one
        image for one code. Raises ShapeError when the last axis is not this model's latent_dim, InputError for latents
        that are no finite numbers.
        """
        batch, single = as_latents(latents, self.latent_dim)
        kind = image_dtype(dtype)
        decode = functools.partial(self._decode_batch, dtype=kind)
        images = self._workers.gathered(decode, batch, self.image_shape, kind, self._work(DECODER), batch_size)
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
        along: str | None = None,
        batch_size: int | None = None,
        dtype: DTypeLike = np.float32,
    ) -> np.ndarray:
        """The decoded path between the latents of images a and b.

        a, b: one image each, or n images each. along: "linear", "slerp" or "norm-corrected", by default what suits
        the kind of autoencoder. Returns (steps, H, W[, 3]), or (n, steps, H, W[, 3]); the ends are the reconstructions
        of a and b. Raises ShapeError when a and b are not equally many.
        """
        start, end = self.encode(a, batch_size=batch_size), self.encode(b, batch_size=batch_size)
        if start.shape != end.shape:
            found = f"shapes {np.shape(a)} and {np.shape(b)}"
            raise ShapeError("interpolate", found=found, expected="as many ends as starts")
        steps = checked_steps(steps)
        chosen = DEFAULT_OF_KIND.get(self.manifest.kind, "linear") if along is None else along
        if not isinstance(chosen, str) or chosen not in PATHS:
            raise InputError("along", found=shown(chosen), expected=f"one of {', '.join(PATHS)}")
        latents = path(chosen, start, end, steps)
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
        """N decoded paths between drawn images, each of one label, through the noise of the learned prior.

        Every image on the way could have been drawn. Returns (n, steps, H, W[, 3]). The same seed gives the same
        paths, and the first 4 of 8 are the 4. Raises InputError where there is no learned prior.
        """
        if FLOW not in self.priors:
            found, remedy = f"priors {', '.join(self.priors)}", "`aegen train-prior` makes one for a run."
            raise InputError(f"wander in {self.name}", found=found, expected="a learned prior", remedy=remedy)
        steps = checked_steps(steps)
        scale = checked_temperature(temperature, self.manifest.default_temperature)
        drawn, noise = self._priors.learned(self._priors.class_index(label)), Noise(seed)
        images = self._empty_images(count("n", n) * steps, dtype).reshape(n, steps, *self.image_shape)
        for row in range(n):
            latents = drawn.walk(noise, steps, scale)
            images[row] = self.decode(latents, batch_size=batch_size, dtype=dtype)
        return images

    def verify(self) -> Verification:
        """Replay the golden pairs: does onnxruntime, on this machine, compute what torch computed at export?

        Raises ArtifactError when the pairs do not fit the graphs, or a prior cannot be drawn from.
        """
        for prior in self.priors:
            self.draw(1, seed=0, prior=prior)
        return verify(self._artifact, {ENCODER: self._encoder, DECODER: self._decoder, PRIOR: self._flow})

    def _drawn(
        self,
        then: Callable[[np.ndarray, slice], Result],
        needed: tuple[Network, ...],
        n: int,
        seed: int | None,
        prior: str | None,
        label: Label | None,
        temperature: float | None,
        batch_size: int | None,
    ) -> Iterator[Result]:
        """What `then`, for which networks are needed, makes of n latents, part by part.

        Chance is drawn in order; all else is shared out.
        """
        scale = checked_temperature(temperature, self.manifest.default_temperature)
        noise = Noise(seed)
        parts = self._workers.cut(count("n", n), self._work(DECODER) + self._work(PRIOR), batch_size)
        soon = self._workers.threads > 1
        classes = self._priors.classes(label, n)
        drawn = self._priors.prior(prior, classes, soon=soon)
        for network in needed if soon else ():
            network.open_soon()

        def base_noise(part: slice) -> BaseNoise:
            numbers = drawn.base_noise(noise, part.stop - part.start)
            return (*numbers, classes[part]) if isinstance(classes, np.ndarray) else numbers

        def made(one: tuple[BaseNoise, slice]) -> Result:
            return then(self._priors.latents(drawn, one[0], scale), one[1])

        return self._workers.in_order(made, ((base_noise(part), part) for part in parts))

    def _encode_batch(self, images: np.ndarray) -> np.ndarray:
        return self._encoder.run("latent", {"image": to_tensor(images, self.manifest.image)})

    def _decode_batch(self, latents: np.ndarray, dtype: np.dtype) -> np.ndarray:
        return to_images(self._decoder.run("image", {"latent": latents}), self.manifest.image, dtype)

    def _empty_images(self, n: int, dtype: DTypeLike) -> np.ndarray:
        kind = image_dtype(dtype)
        try:
            return np.empty((n, *self.image_shape), kind)
        except (MemoryError, ValueError) as error:
            expected, remedy = "as many as fit into memory", "iter_sample gives them a batch at a time."
            raise InputError("n", found=n, expected=expected, remedy=remedy) from error

    def _work(self, graph: str) -> int:
        return self.manifest.macs.get(graph, 0)

    def _network(self, name: str) -> Network:
        artifact = self._artifact  # not self: a cycle would keep a dropped model, and its sessions, alive
        expected = artifact.manifest.graphs.get(name, Graph((), ()))
        where, image_range = str(artifact.path / name), artifact.manifest.image.range
        return Network(lambda: artifact.read(name), where, expected, image_range)


def _reopen(path: Path, threads: int | None, batch_size: int | None) -> Autoencoder:
    return Autoencoder(path, threads=threads, batch_size=batch_size)
