"""The class Autoencoder, which samples, encodes and decodes images with an artifact's networks and priors."""

import collections
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .arguments import Label, as_latents, checked_count
from .artifact import DECODER, ENCODER, PREVIEW, Artifact, find, verified_graphs
from .errors import InputError
from .forks import no_fork
from .latent_space import LatentSpace
from .manifest import Manifest
from .pixels import FLOAT, as_batch, empty_batch, image_dtype, image_shape, to_images, to_tensor
from .prior_set import PriorSet
from .sampling import Sampler, SampleRequest
from .session import Network
from .threads import chosen_threads
from .workers import Workers

if TYPE_CHECKING:
    from .verification import Verification


def load(
    model: str | Path | None = None, *, threads: int | None = None, batch_size: int | None = None
) -> "Autoencoder":
    """Open a model: the name of a shipped one, the path of an artifact folder, or None for the shipped default.

    threads: number of threads that work on one call, the calling thread included; by default the environment variable
    AEGEN_THREADS, or the CPUs that this process may use, up to 16. batch_size: images that one thread processes at a
    time, by default chosen for the model. Raises NotFoundError if there is no such model, ArtifactError if it is
    damaged, InputError for a bad argument.
    """
    return Autoencoder(find(model), threads=threads, batch_size=batch_size)


class Autoencoder(LatentSpace):
    """An exported autoencoder with its priors, which runs on onnxruntime.

    Images are (n, H, W) grey or (n, H, W, 3) colour, uint8 or float in [0, 1]. Latents are float32 (n, d). Methods also
    accept one image or latent without the axis n, and then return one result. Every file is checked against its hash
    when the artifact is opened. A network is loaded when a method first needs it, so sampling never loads the encoder.
    Results do not depend on earlier calls. Several threads may use one Autoencoder at once, and a forked process may go
    on using it. A pickled Autoencoder holds the path of the artifact, not its contents.
    """

    def __init__(self, path: str | Path, *, threads: int | None = None, batch_size: int | None = None) -> None:
        self._artifact = Artifact.open(Path(path).absolute())
        self._settings = (self._artifact.path, threads, batch_size)
        self._workers = Workers(chosen_threads(threads), batch_size)
        self._networks = {file: _network(self._artifact, file) for file in verified_graphs(self.manifest)}
        self._priors = PriorSet(self._artifact, self._networks)
        self._sampler = Sampler(self.manifest, self._priors, self._workers)

    def __repr__(self) -> str:
        facts = self.manifest
        return (
            f"<Autoencoder {facts.name}: {facts.kind}, {self.image_shape} images, {facts.latent_dim} latent dimensions>"
        )

    def _repr_html_(self) -> str:
        """The HTML card with the artifact's sample grid that a notebook shows instead of the repr."""
        with no_fork():
            from .card import html_card
        return html_card(self.manifest, self._artifact.contents.get(PREVIEW))

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, self._settings

    @property
    def manifest(self) -> Manifest:
        """The metadata of the artifact, from its `manifest.json`."""
        return self._artifact.manifest

    @property
    def name(self) -> str:
        """The artifact's name."""
        return self.manifest.name

    @property
    def path(self) -> Path:
        """The folder of the artifact, absolute."""
        return self._artifact.path

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
        """Names of the priors, which are the distributions that latents can be sampled from."""
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
        """Generate n images: sample latents from a prior and decode them.

        seed: an integer from 0 to 2^64 - 1. A seed fixes an endless sequence of images; None chooses a random seed.
        start: index of the first image in the sequence, from 0 to 2^53, so `sample(64, seed=0)[16:]` gives the same
        images as `sample(48, seed=0, start=16)`. prior: one of `priors`, by default the artifact's default prior.
        label: a label value or class name for all images, or a list with one for each image; by default, images of all
        classes. temperature: factor on the standard deviation of the latents around their mean; 1 samples the prior
        unchanged, at 0 every latent is the mean, and by default it is the value stored in the artifact. For a mixture
        or a kernel density, the mean is that of the component chosen for the latent. For a learned prior, the
        temperature scales the noise instead. batch_size: images that one thread processes at a time.
        Returns (n, H, W) or (n, H, W, 3), float32 in [0, 1] or uint8. Raises InputError for a bad argument.
        """
        images = empty_batch(checked_count("n", n), self.image_shape, dtype)

        def fill(latents: np.ndarray, part: slice) -> None:
            self._decode_batch(latents, images.dtype, images[part])

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
        """Yield the images that `sample` would return, in batches of shape (m, H, W[, 3]). Memory does not grow with n.

        The parameters are those of `sample`. Raises InputError for a bad argument at once, before the first batch.
        """
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
        """Sample the latents that `sample` decodes, float32 (n, d).

        The parameters are those of `sample`. A seed fixes an endless sequence of latents. This method returns the
        latents at indices start to start + n - 1. The latent at an index does not depend on start, n, the batch size or
        the number of threads: it is bit-identical for closed-form priors, and equal up to float rounding for learned
        priors.
        """
        latents = empty_batch(checked_count("n", n), (self.latent_dim,))

        def fill(sampled: np.ndarray, part: slice) -> None:
            latents[part] = sampled

        request = SampleRequest(n, seed, start, prior, label, temperature, None)
        # The decoder does not run here, but its MACs are counted, because they determine the batch size. The latents
        # are then sampled in the same batches as in `sample`, so that those of a learned prior are bit-identical too.
        collections.deque(self._sampler.run(request, fill, (), self._macs(DECODER)), maxlen=0)
        return latents

    def log_prob(self, latents: ArrayLike, *, prior: str | None = None, label: int | str | None = None) -> np.ndarray:
        """Log density of latents (n, d) or (d,) under a prior at temperature 1, in nats: float64 (n,) or a number.

        label: a label value or class name, for the density under the prior of this class; by default the prior of all
        classes is used. Raises InputError for a learned prior, because its graph computes no density, and for a bad
        argument.
        """
        batch, single = as_latents(latents, self.latent_dim)
        chosen = self._priors.prior(self._priors.name(prior), self._priors.class_index(label))
        # No warnings: latents that are far from all encoded images have density 0, whose logarithm is -inf.
        with np.errstate(all="ignore"):
            densities = chosen.log_prob(batch)
        return densities[0] if single else densities

    def encode(self, images: ArrayLike, *, batch_size: int | None = None) -> np.ndarray:
        """Encode images to latents. The latent of a VAE is the mean of q(z|x).

        images: (n, H, W[, 3]) or one image. Returns float32 (n, d), or (d,) for one image. Raises ShapeError for images
        of another shape than `image_shape`, InputError for images that are neither uint8 nor float in [0, 1].
        """
        batch, single = as_batch(images, self.manifest.image.shape)
        macs = self._macs(ENCODER)
        latents = self._workers.gathered(self._encode_batch, batch, (self.latent_dim,), FLOAT, macs, batch_size)
        return latents[0] if single else latents

    def posterior(self, images: ArrayLike, *, batch_size: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Mean and log variance of q(z|x), the Gaussian that a variational autoencoder gives for each image.

        images: (n, H, W[, 3]) or one image. Returns two arrays, both float32 (n, d), or (d,) for one image. Raises
        InputError if the model is no variational autoencoder. Other errors are those of `encode`.
        """
        if self.manifest.kind != "vae":
            raise InputError(f"posterior of {self.name}", found=f"kind {self.manifest.kind}", expected="kind vae")
        batch, single = as_batch(images, self.manifest.image.shape)

        # images: (m, H, W[, 3]). results: (m, 2, d).
        def mean_and_logvar(images: np.ndarray, results: np.ndarray) -> None:
            image = to_tensor(images, self.manifest.image)
            np.stack(self._networks[ENCODER].outputs(("latent", "logvar"), {"image": image}), 1, out=results)

        shape, macs = (2, self.latent_dim), self._macs(ENCODER)
        both = self._workers.gathered(mean_and_logvar, batch, shape, FLOAT, macs, batch_size)
        mean, logvar = np.ascontiguousarray(both.swapaxes(0, 1))
        return (mean[0], logvar[0]) if single else (mean, logvar)

    def decode(self, latents: ArrayLike, *, batch_size: int | None = None, dtype: DTypeLike = np.float32) -> np.ndarray:
        """Decode latents to images.

        latents: finite numbers (n, d), or (d,) for one latent. Returns images (n, H, W) or (n, H, W, 3), float32 in
        [0, 1] or uint8, or one image for one latent. Raises ShapeError if the last axis does not have latent_dim
        values, InputError for latents that are not finite numbers.
        """
        batch, single = as_latents(latents, self.latent_dim)
        checked_dtype = image_dtype(dtype)
        macs = self._macs(DECODER)

        def decode(latents: np.ndarray, images: np.ndarray) -> None:
            self._decode_batch(latents, checked_dtype, images)

        images = self._workers.gathered(decode, batch, self.image_shape, checked_dtype, macs, batch_size)
        return images[0] if single else images

    def reconstruct(
        self, images: ArrayLike, *, batch_size: int | None = None, dtype: DTypeLike = np.float32
    ) -> np.ndarray:
        """Encode images and decode their latents.

        images: (n, H, W[, 3]) or one image. Returns an array of the same shape, float32 in [0, 1] or uint8.
        """
        return self.decode(self.encode(images, batch_size=batch_size), batch_size=batch_size, dtype=dtype)

    def verify(self) -> "Verification":
        """Check that every network computes on this machine what it computed at export.

        The artifact holds golden inputs and the outputs that they gave at export. The networks run on these inputs, and
        their results are compared with the stored outputs. If results differ, no error is raised, but `passed` of the
        returned Verification is False. Raises ArtifactError if the golden arrays do not fit the graphs, or if the
        operators of a graph are not those listed in the manifest. Raises ArtifactError or ExecutionError if a prior
        cannot be sampled.
        """
        with no_fork():
            from .verification import verify
        self._priors.check_statistics()
        for prior in self.priors:
            self.sample_latents(1, seed=0, prior=prior)
        return verify(self._artifact, self._networks)

    def _encode_batch(self, images: np.ndarray, latents: np.ndarray) -> None:
        """Write the latents of images (m, H, W[, 3]) to `latents`, float32 (m, d)."""
        latents[...] = self._networks[ENCODER].run("latent", {"image": to_tensor(images, self.manifest.image)})

    def _decode_batch(self, latents: np.ndarray, dtype: np.dtype, out: np.ndarray | None = None) -> np.ndarray:
        """Latents, float32 (m, d) -> images (m, H, W[, 3]), float32 or uint8. out: an array for the images."""
        return to_images(self._networks[DECODER].run("image", {"latent": latents}), self.manifest.image, dtype, out)

    def _macs(self, graph: str) -> int:
        """Multiply-accumulates (MACs) of a graph for one image; 0 if the manifest does not state them."""
        return self.manifest.macs.get(graph, 0)


def _network(artifact: Artifact, file: str) -> Network:
    """Make the network that runs one ONNX file of an artifact.

    This is a function and not a method, so that the network holds no reference to the Autoencoder. Such a reference
    cycle would keep the onnxruntime sessions of a deleted Autoencoder alive.
    """
    manifest = artifact.manifest
    return Network(lambda: artifact.read(file), str(artifact.path / file), manifest.graphs[file], manifest.image.range)


def _reopen(path: Path, threads: int | None, batch_size: int | None) -> Autoencoder:
    """Make an Autoencoder from the path and the settings that a pickled one holds."""
    return Autoencoder(path, threads=threads, batch_size=batch_size)
