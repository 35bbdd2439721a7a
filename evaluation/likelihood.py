"""Lower bounds on the log likelihood of images under a variational autoencoder, by importance sampling."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..runtime.arguments import checked_positive
from ..runtime.autoencoder import Autoencoder
from ..runtime.distributions import LOG_2PI, log_sum_exp
from ..runtime.errors import InputError
from ..runtime.noise import Noise
from ..runtime.pixels import as_batch, unit_pixels
from .progress import Progress, no_progress

MAX_DECODED = 8192  # at most this many latents are decoded at once, unless a single image needs more
MIN_PROBABILITY = 1e-7  # pixel probabilities are clipped to at least this, because log(0) is infinite


@dataclass(frozen=True)
class LikelihoodBound:
    """Lower bounds on log p(x).

    nats: one bound for each image, float64 (n,). samples: number k of latents that each bound uses. binarised: whether
    pixels were first sampled to be black or white. Likelihoods of grey and of binary images cannot be compared.
    """

    nats: np.ndarray
    samples: int
    binarised: bool


def has_likelihood(model: Autoencoder) -> bool:
    """Whether `likelihood_bound` applies: the model is a VAE trained with a Bernoulli or Gaussian likelihood p(x|z)."""
    return model.manifest.kind == "vae" and (_is_gaussian(model) or _is_bernoulli(model))


def has_binary_likelihood(model: Autoencoder) -> bool:
    """Whether `likelihood_bound` makes sense for binarised images: the model is a VAE whose p(x|z) is Bernoulli."""
    return has_likelihood(model) and not _is_gaussian(model)


def likelihood_bound(
    model: Autoencoder,
    images: ArrayLike,
    *,
    samples: int = 100,
    binarise: bool = False,
    seed: int = 0,
    progress: Progress = no_progress,
) -> LikelihoodBound:
    """Lower bounds on log p(x) of images under a VAE, by importance sampling.

    L_k(x) = E log (1/k sum_i p(x|z_i) p(z_i) / q(z_i|x)) <= log p(x), with z_i from q(z|x) and p(z) = N(0, I).
    images: (n, H, W[, 3]), uint8 or float in [0, 1]. samples: k; 1 gives the ELBO, larger values give tighter bounds.
    binarise: first sample every pixel to be black or white; its grey level is the probability of white (R.
    Salakhutdinov, I. Murray, 2008). p(x|z) is the likelihood that the VAE was trained with. If it is Bernoulli, log
    p(x|z) is the negative cross entropy, also for grey pixels. If it is Gaussian, p(x|z) is the density of pixels that
    are scaled to the range that the network uses.
    Source: Y. Burda, R. Grosse, R. Salakhutdinov, Importance Weighted Autoencoders, 2016, equation 8.
    progress: called after each part of the images. Raises InputError when the model is no VAE, or was not trained with
    a likelihood.
    """
    batch, _ = as_batch(images, model.manifest.image.shape)
    k = checked_positive("samples", samples)
    noise = Noise(seed)
    images_at_once = max(1, MAX_DECODED // k)
    nats = np.empty(len(batch))
    for start in range(0, len(batch), images_at_once):
        part = unit_pixels(batch[start : start + images_at_once])
        if binarise:
            pixels = part[0].size
            uniforms = noise.uniforms(start * pixels, part.size)
            part = (uniforms.reshape(part.shape) < part).astype(np.float32)
        normals = noise.normals(start * k, len(part) * k, model.latent_dim)
        nats[start : start + images_at_once] = _bounds(model, part, normals.reshape(len(part), k, -1))
        progress("likelihood bound", start + len(part), len(batch))
    return LikelihoodBound(nats, k, binarise)


def _bounds(model: Autoencoder, images: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """The bounds L_k, float64 (n,), of images (n, H, W[, 3]) float32 in [0, 1].

    normals: standard normal noise (n, k, d) from which the k latents of each image are sampled.
    """
    n, k, d = normals.shape
    epsilon = normals.astype(np.float64)
    mean, logvar = (part[:, None].astype(np.float64) for part in model.posterior(images))
    latents = mean + np.exp(0.5 * logvar) * epsilon
    # This is log p(z) - log q(z|x). Both Gaussian densities have the same factor (2 pi)^(-d/2), which cancels.
    prior_over_posterior = 0.5 * np.sum(epsilon**2 + logvar - latents**2, -1)
    decoded = model.decode(latents.reshape(-1, d)).reshape(n, k, -1)
    likelihood = _log_likelihood(model, images.reshape(n, 1, -1), decoded)
    return log_sum_exp(likelihood + prior_over_posterior) - math.log(k)


def _log_likelihood(model: Autoencoder, pixels: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    """Log p(x|z) in nats, float64 (n, k), of n images given k decoded latents for each image.

    pixels: (n, 1, m), where m is the number of values in an image. decoded: (n, k, m). Both are in [0, 1].
    """
    sigma = model.manifest.sigma
    if sigma is not None:
        low, high = model.manifest.image.range
        squared_error = np.sum((pixels - decoded) ** 2, -1, dtype=np.float64) * (high - low) ** 2
        return np.asarray(-0.5 * squared_error / sigma**2 - pixels.shape[-1] * (math.log(sigma) + 0.5 * LOG_2PI))
    if not _is_bernoulli(model):
        raise InputError(f"likelihood of {model.name}", found="no stated p(x|z)", expected="loss bce or gaussian")
    p = np.clip(decoded, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    return np.asarray(np.sum(pixels * np.log(p) + (1 - pixels) * np.log1p(-p), -1, dtype=np.float64))


def _is_gaussian(model: Autoencoder) -> bool:
    return model.manifest.sigma is not None


def _is_bernoulli(model: Autoencoder) -> bool:
    return model.manifest.recipe.get("loss") == "bce"
