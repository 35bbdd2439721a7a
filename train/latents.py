"""Encode images to latents with a trained encoder. Priors are fitted to the latents of the training images."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..data.images import LabelledImages
from ..runtime.errors import ExecutionError
from ..runtime.metadata import ImageSpec
from .pixels import scaled, unit_tensor

BATCH = 1000
JITTER = 1e-6  # this fraction of the mean variance is added to the variance of each latent dimension
MIN_CLASS_LATENTS = 2  # a label with fewer latents forms no class, because a variance needs two latents


class Encoder(Protocol):
    """Anything that encodes image tensors to latents."""

    def encode(self, images: Tensor) -> Tensor:
        """Images (n, C, H, W) in the network's pixel range -> latents (n, d)."""
        ...


@dataclass(frozen=True)
class EncodedLatents:
    """The latents of n images, and their classes.

    latent: the latents, float32 (n, d); for a VAE, the means of q(z|x). class_indices: int64 (n,), the index
    of each image's label in the array of k label values, or k for a label that is not in it; all 0 if there are no
    classes.
    """

    latent: np.ndarray
    class_indices: np.ndarray

    def of_known_classes(self, num_classes: int) -> "EncodedLatents":
        """Return only the latents with a class index below num_classes, or all latents if num_classes is 0."""
        known = self.class_indices < max(num_classes, 1)
        return EncodedLatents(self.latent[known], self.class_indices[known])


@torch.inference_mode()
def encode(network: Encoder, images: LabelledImages, values: np.ndarray, image: ImageSpec) -> EncodedLatents:
    """Encode uint8 images to latents. Raises ExecutionError when a latent is not finite.

    values: the label of each class, int64 (k,). image: shape and pixel range of the network's input.
    """
    parts = [images.images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    tensors = (scaled(unit_tensor(part, torch.device("cpu")), image.range) for part in parts)
    latent = np.concatenate([network.encode(tensor).numpy() for tensor in tensors])
    if not np.isfinite(latent).all():
        raise ExecutionError("training latents", found="values that are not finite", expected="finite numbers")
    return EncodedLatents(latent, class_indices(images.labels, len(images), values))


def moments(latent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d,) of latents (n, d), and the lower Cholesky factor (d, d) of their covariance; float64."""
    latent = latent.astype(np.float64)
    covariance = np.atleast_2d(np.cov(latent, rowvar=False, bias=True))
    return latent.mean(0), np.linalg.cholesky(covariance + jitter(covariance) * np.eye(len(covariance)))


def jitter(covariance: np.ndarray) -> float:
    """Return a small number to add to the diagonal of a covariance matrix (d, d).

    Without this number, the Cholesky factorisation would fail if a latent dimension were constant.
    """
    return float(JITTER * max(np.trace(covariance) / len(covariance), np.finfo(np.float32).tiny))


def label_values(labels: np.ndarray | None) -> np.ndarray:
    """The k labels that occur at least MIN_CLASS_LATENTS times in `labels` (n,): int64 (k,), in ascending order.

    Each of these labels forms a class. Users can sample images of a given class.
    """
    values, counts = np.unique(np.empty(0, np.int64) if labels is None else labels, return_counts=True)
    return values[counts >= MIN_CLASS_LATENTS]


def class_indices(labels: np.ndarray | None, count: int, values: np.ndarray) -> np.ndarray:
    """Convert labels (n,) to class indices int64 (n,).

    values (k,): the label of each class, in ascending order. A label not in `values` gets the index k. count: number n
    of images, needed if `labels` is None. If there are no labels or no values, all indices are 0.
    """
    if labels is None or not len(values):
        return np.zeros(count, np.int64)
    nearest = np.minimum(np.searchsorted(values, labels), len(values) - 1)
    return np.where(values[nearest] == labels, nearest, len(values))
