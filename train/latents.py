"""What a trained encoder makes of images: the latents that priors are fitted to."""

from dataclasses import dataclass

import numpy as np
import torch

from ..data.datasets import LabelledImages
from ..runtime.errors import ExecutionError
from ..runtime.manifest import ImageSpec
from ..runtime.pixels import to_tensor
from .networks import EncoderDecoder

BATCH = 1000
JITTER = 1e-6  # share of the mean variance
FEWEST = 2  # latents of a class: below that it has no spread


@dataclass(frozen=True)
class EncodedLatents:
    """Of n images. latent: float32 (n, d), of a variational autoencoder the means of q(z|x).

    labels: int64 (n,), places in a list of label values; one beyond the last for a label that is not there. Without
    labels all are 0.
    """

    latent: np.ndarray
    labels: np.ndarray

    def of_known_labels(self, labels: int) -> "EncodedLatents":
        """Those whose label is among the first `labels`, or all where there are none."""
        known = self.labels < max(labels, 1)
        return EncodedLatents(self.latent[known], self.labels[known])


@torch.inference_mode()
def encode(network: EncoderDecoder, images: LabelledImages, values: np.ndarray, image: ImageSpec) -> EncodedLatents:
    """Latents of uint8 images. values: the label values. Raises ExecutionError when latents are not finite."""
    parts = [images.images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    latent = np.concatenate([network.encode(torch.from_numpy(to_tensor(part, image))).numpy() for part in parts])
    if not np.isfinite(latent).all():
        raise ExecutionError("training latents", found="values that are not finite", expected="finite numbers")
    return EncodedLatents(latent, places(images.labels, len(images), values))


def moments(latent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d,) of latents (n, d), and the lower Cholesky factor (d, d) of their covariance; float64."""
    wide = latent.astype(np.float64)
    covariance = np.atleast_2d(np.cov(wide, rowvar=False, bias=True))
    return wide.mean(0), np.linalg.cholesky(covariance + jitter(covariance) * np.eye(len(covariance)))


def jitter(covariance: np.ndarray) -> float:
    """What is added to each variance: an axis that never moves would leave no Cholesky factor."""
    return float(JITTER * max(np.trace(covariance) / len(covariance), np.finfo(np.float32).tiny))


def label_values(labels: np.ndarray | None) -> np.ndarray:
    """The labels that can be asked for, int64 (k,) in order: those of at least FEWEST images."""
    values, counts = np.unique(np.empty(0, np.int64) if labels is None else labels, return_counts=True)
    return values[counts >= FEWEST]


def places(labels: np.ndarray | None, count: int, values: np.ndarray) -> np.ndarray:
    """Where each label stands in `values`, int64 (n,); their number for one that is not there; 0 without labels."""
    if labels is None or not len(values):
        return np.zeros(count, np.int64)
    found = np.minimum(np.searchsorted(values, labels), len(values) - 1)
    return np.where(values[found] == labels, found, len(values))
