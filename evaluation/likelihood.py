"""How likely a variational autoencoder finds images: a lower bound on log p(x) from importance-weighted samples."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..runtime.arguments import positive
from ..runtime.autoencoder import Autoencoder
from ..runtime.errors import InputError
from ..runtime.noise import Noise
from ..runtime.pixels import as_batch, unit_pixels
from ..runtime.priors import LOG_2PI, log_sum_exp

MAX_DECODED = 8192  # decoded at once, or those of one image where they are more
MIN_PROBABILITY = 1e-7  # a pixel's least probability: the graph's sigmoid is rounded to float32, whose 1 - p ends there


@dataclass(frozen=True)
class LikelihoodBound:
    """Lower bounds on log p(x).

    nats: float64 (n,), one for each image. samples: latents that each was computed from. binarised: whether every pixel
    was first drawn to be black or white; a likelihood of grey levels is no likelihood of binary images.
    """

    nats: np.ndarray
    samples: int
    binarised: bool


def likelihood_bound(
    model: Autoencoder, images: ArrayLike, *, samples: int = 100, binarise: bool = False, seed: int = 0
) -> LikelihoodBound:
    """L_k(x) = E log 1/k sum_i p(x|z_i) p(z_i) / q(z_i|x) <= log p(x), with z_i from q(z|x) and p(z) = N(0, I).

    images: (n, H, W[, 3]), uint8 or float in [0, 1]. samples: k; 1 is the ELBO, and more come closer to log p(x).
    binarise: draw every pixel black or white with its grey level as probability (R. Salakhutdinov, I. Murray, 2008).
    The likelihood p(x|z) is the one trained with: Bernoulli, for grey pixels the negative cross-entropy; or Gaussian,
    a density in the network's pixel range.
    Source: Y. Burda, R. Grosse, R. Salakhutdinov, Importance Weighted Autoencoders, 2016, equation 8.
    Raises InputError when the model is no variational autoencoder.
    """
    batch, _ = as_batch(images, model.manifest.image.shape)
    k = positive("samples", samples)
    noise = Noise(seed)
    at_once = max(1, MAX_DECODED // k)
    nats = np.empty(len(batch))
    for start in range(0, len(batch), at_once):
        given = unit_pixels(batch[start : start + at_once])
        if binarise:
            given = (noise.uniforms(given.size).reshape(given.shape) < given).astype(np.float32)
        nats[start : start + at_once] = _bounds(model, given, k, noise)
    return LikelihoodBound(nats, k, binarise)


def _bounds(model: Autoencoder, images: np.ndarray, k: int, noise: Noise) -> np.ndarray:
    """L_k of images (n, H, W[, 3]), float32 in [0, 1]; float64 (n,)."""
    mean, logvar = (part[:, None].astype(np.float64) for part in model.posterior(images))
    normals = noise.normals(len(images) * k, model.latent_dim).reshape(len(images), k, -1).astype(np.float64)
    latents = mean + np.exp(0.5 * logvar) * normals
    # The constants of p(z) and q(z|x) are the same and cancel.
    prior_over_posterior = 0.5 * np.sum(normals**2 + logvar - latents**2, -1)
    decoded = model.decode(latents.reshape(-1, model.latent_dim)).reshape(len(images), k, -1)
    likelihood = _log_likelihood(model, images.reshape(len(images), 1, -1), decoded)
    return log_sum_exp(likelihood + prior_over_posterior) - math.log(k)


def _log_likelihood(model: Autoencoder, given: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    """Nats of log p(x|z) for nats of pixels (n, 1, m) for decoded ones (n, k, m); float64 (n, k)."""
    sigma = model.manifest.sigma
    if sigma is not None:
        low, high = model.manifest.image.range
        distance = np.sum((given - decoded) ** 2, -1, dtype=np.float64) * (high - low) ** 2
        return np.asarray(-0.5 * distance / sigma**2 - given.shape[-1] * (math.log(sigma) + 0.5 * LOG_2PI))
    if model.manifest.recipe.get("loss") != "bce":
        raise InputError(f"likelihood of {model.name}", found="no stated p(x|z)", expected="loss bce or gaussian")
    white = np.clip(decoded, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    return np.asarray(np.sum(given * np.log(white) + (1 - given) * np.log1p(-white), -1, dtype=np.float64))
