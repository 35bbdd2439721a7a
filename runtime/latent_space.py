"""The methods of the class Autoencoder that show its latent space: images on paths and on grids of latents."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .arguments import as_latents, checked_dimensions, checked_steps
from .errors import ShapeError
from .interpolation import between, checked_method
from .manifest import Manifest
from .noise import Noise
from .pixels import empty_batch, image_shape
from .prior_set import PriorSet
from .sampling import Sampler
from .traversals import manifold, plane, standard_deviations, traversal

ACTIVITY_SEED, ACTIVITY_LATENTS = 0, 16  # seed and number of the latents around which `activity` measures changes


class LatentSpace(ABC):
    """Part of the class Autoencoder. Its methods decode paths and grids of latents to images."""

    _priors: PriorSet
    _sampler: Sampler

    @property
    @abstractmethod
    def manifest(self) -> Manifest:
        """The metadata of the artifact."""

    @abstractmethod
    def encode(self, images: ArrayLike, *, batch_size: int | None = None) -> np.ndarray:
        """Encode images (n, H, W[, 3]) to latents, float32 (n, d)."""

    @abstractmethod
    def decode(self, latents: ArrayLike, *, batch_size: int | None = None, dtype: DTypeLike = np.float32) -> np.ndarray:
        """Decode latents (n, d) to images (n, H, W[, 3]), float32 in [0, 1] or uint8."""

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
        """Encode images a and b, interpolate between their latents, and decode the latents of the path.

        a, b: one image each, or n images each for n paths. steps: number of images on a path, both ends included.
        method: "linear", "slerp" or "norm-corrected"; by default "slerp" for a variational autoencoder, else "linear".
        Returns (steps, H, W[, 3]), or (n, steps, H, W[, 3]) for n paths. The first and last image of a path are the
        reconstructions of a and b. Raises ShapeError if a and b do not hold the same number of images.
        """
        ends = self._encoded("interpolate", (a, b), batch_size)
        latents = between(checked_method(method, self.manifest.kind), ends, checked_steps(steps))
        return self._decoded(latents, batch_size, dtype)

    def morph(
        self,
        a: ArrayLike,
        b: ArrayLike,
        c: ArrayLike,
        d: ArrayLike,
        *,
        steps: int = 10,
        method: str | None = None,
        batch_size: int | None = None,
        dtype: DTypeLike = np.float32,
    ) -> np.ndarray:
        """Encode four images, interpolate between their latents in two dimensions, and decode the latents of the grid.

        a, b, c, d: the images in the corners of the grid, top left, top right, bottom left and bottom right: one image
        each, or n images each for n grids. steps: number of images on each side of the grid, corners included.
        method: as for `interpolate`. The left and the right edge of the grid are paths from a to c and from b to d.
        Each row is a path from the left edge to the right edge. For "linear" this is bilinear interpolation.
        Returns (steps, steps, H, W[, 3]), or (n, steps, steps, H, W[, 3]) for n grids. The corners are the
        reconstructions of a, b, c and d. Raises ShapeError if these do not hold the same number of images.
        """
        corners = self._encoded("morph", (a, b, c, d), batch_size)
        latents = between(checked_method(method, self.manifest.kind), corners, checked_steps(steps))
        return self._decoded(latents, batch_size, dtype)

    def latent_walk(
        self,
        n: int,
        *,
        steps: int = 10,
        seed: int | None = None,
        start: int = 0,
        label: int | str | None = None,
        temperature: float | None = None,
        batch_size: int | None = None,
        dtype: DTypeLike = np.float32,
    ) -> np.ndarray:
        """Generate n paths of images by interpolating the noise of a learned prior between two samples.

        The artifact's default prior is used if it is learned, else its first learned prior. All images of a path have
        the same class. The noise between the ends is as likely as the noise at the ends, so every image of a path could
        have been sampled. steps: number of images on a path, both ends included. A seed fixes an endless sequence of
        paths, and path i does not depend on n. start: index of the first path in the sequence, from 0 to 2^53. label:
        one label value or class name for all paths; by default, paths of all classes. temperature: factor on the
        noise, by default the value stored in the artifact.
        Returns (n, steps, H, W[, 3]). Raises InputError if the artifact has no learned prior.
        """
        walks = self._sampler.walks(n, start, steps, seed, label, temperature)
        images = empty_batch(n, (steps, *self._image_shape), dtype)
        for row, latents in enumerate(walks):
            images[row] = self.decode(latents, batch_size=batch_size, dtype=dtype)
        return images

    def activity(self, dimensions: Sequence[int] | None = None, *, batch_size: int | None = None) -> np.ndarray:
        """How much each latent dimension changes the decoded images, float64 (k,).

        The activity of a dimension is the root mean square of pixel differences between two images, whose latents are
        one standard deviation of the dimension above and below a common latent. The mean is over pixels in [0, 1] and
        over 16 common latents, samples of the Gaussian that was fitted to the latents of the training images.
        A dimension that the decoder ignores has the activity 0; in a variational autoencoder, this happens to
        dimensions whose posterior mean hardly varies. dimensions: k numbers from 0 to d - 1, by default all.
        Raises InputError for other numbers, ArtifactError if the artifact lacks the Gaussian.
        """
        gaussian = self._priors.gaussian()
        noise = gaussian.noise(Noise(ACTIVITY_SEED), 0, ACTIVITY_LATENTS)
        common, deviations = self._priors.latents(gaussian, noise, 1.0), standard_deviations(gaussian)
        chosen = checked_dimensions(dimensions, gaussian.latent_dim)
        activities = np.empty(len(chosen))
        for i, dimension in enumerate(chosen):
            offset = np.zeros_like(common)
            offset[:, dimension] = deviations[dimension]
            images = self.decode(np.concatenate([common + offset, common - offset]), batch_size=batch_size)
            above, below = images[:ACTIVITY_LATENTS], images[ACTIVITY_LATENTS:]
            activities[i] = np.sqrt(np.mean(np.square(above - below), dtype=np.float64))
        return activities

    def traverse(
        self,
        latent: ArrayLike | None = None,
        *,
        dimensions: Sequence[int] | None = None,
        steps: int = 11,
        extent: float = 3.0,
        batch_size: int | None = None,
        dtype: DTypeLike = np.float32,
    ) -> np.ndarray:
        """Decode rows of latents. In each row, one latent dimension changes, and all others stay fixed.

        The dimension changes in equal steps, from `extent` standard deviations below its value in `latent` to `extent`
        above this value. The standard deviations are those of the latents of the training images. If steps is odd, the
        middle of every row is the decoded `latent`. latent: where to start, (d,), such as `encode(image)` or a row of
        `sample_latents`; by default the mean latent of the training images. dimensions: k numbers from 0 to d - 1, one
        for each row; by default all dimensions. The method `activity` says which dimensions matter most. steps: number
        of images in a row, at least 2. extent: a number above 0.
        Returns (k, steps, H, W[, 3]), float32 in [0, 1] or uint8. Raises ShapeError unless latent has the shape (d,),
        InputError for another bad argument, ArtifactError if the artifact lacks mean and covariance of the latents.
        """
        gaussian = self._priors.gaussian()
        start, single = as_latents(gaussian.mean if latent is None else latent, gaussian.latent_dim)
        if not single:
            raise ShapeError("latent", found=f"shape {start.shape}", expected=f"({gaussian.latent_dim},)")
        chosen = checked_dimensions(dimensions, gaussian.latent_dim)
        latents = traversal(start[0], standard_deviations(gaussian), chosen, steps, extent)
        return self._decoded(latents, batch_size, dtype)

    def manifold(
        self,
        *,
        steps: int = 20,
        dimensions: Sequence[int] | None = None,
        batch_size: int | None = None,
        dtype: DTypeLike = np.float32,
    ) -> np.ndarray:
        """Decode the latents of `manifold_latents`, which are a square grid on a plane through latent space.

        steps: number of images on each side, at least 2. dimensions: two different numbers from 0 to d - 1.
        Returns (steps, steps, H, W[, 3]), float32 in [0, 1] or uint8. Errors are those of `manifold_latents`.
        """
        return self._decoded(self.manifold_latents(steps=steps, dimensions=dimensions), batch_size, dtype)

    def manifold_latents(self, *, steps: int = 20, dimensions: Sequence[int] | None = None) -> np.ndarray:
        """A square grid of latents on a plane through latent space, float32 (steps, steps, d).

        The grid has equal steps in probability: its rows and columns are at quantiles of a normal distribution. For a
        variational autoencoder of two latent dimensions this is the prior N(0, I). Otherwise it is the Gaussian that
        was fitted to the latents of the training images, along two latent dimensions or, by default if there are more
        than two, along the two principal components of the latents. The other dimensions keep their mean. The first
        direction grows to the right and the second to the top, as in a plot; row 0 is the top. steps: number of latents
        on each side, at least 2. dimensions: two different numbers from 0 to d - 1. Raises InputError for a bad
        argument or a model of one latent dimension, ArtifactError if the artifact lacks mean and covariance of the
        latents.
        Source: D. Kingma and M. Welling, Auto-Encoding Variational Bayes, 2014, figure 4.
        """
        return manifold(plane(self._priors.gaussian(), self.manifest.kind, dimensions), steps)

    @property
    def _image_shape(self) -> tuple[int, ...]:
        """Shape of one image: (H, W) or (H, W, 3)."""
        return image_shape(self.manifest.image.shape)

    def _encoded(self, name: str, ends: Sequence[ArrayLike], batch_size: int | None) -> np.ndarray:
        """Encode the k ends of paths or corners of grids. Returns float32 (n, k, d), or (k, d) for one path or grid.

        ends: k arrays, each with n images or with one image. name: the method's name, for error messages. Raises
        ShapeError if the ends differ in their number of images.
        """
        latents = [self.encode(end, batch_size=batch_size) for end in ends]
        if len({latent.shape for latent in latents}) > 1:
            shapes = " and ".join(str(np.shape(end)) for end in ends)
            raise ShapeError(name, found=f"shapes {shapes}", expected="equally many images at each end")
        return np.stack(latents, -2)

    def _decoded(self, latents: np.ndarray, batch_size: int | None, dtype: DTypeLike) -> np.ndarray:
        """Decode latents (..., d) to images (..., H, W[, 3])."""
        images = self.decode(latents.reshape(-1, latents.shape[-1]), batch_size=batch_size, dtype=dtype)
        return images.reshape(*latents.shape[:-1], *self._image_shape)
