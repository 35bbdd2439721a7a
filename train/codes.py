"""What a trained encoder makes of pictures: the codes that priors are fitted to."""

from dataclasses import dataclass

import numpy as np
import torch

from ..data.datasets import Pictures
from ..runtime.errors import ExecutionError
from ..runtime.manifest import ImageSpec
from ..runtime.pixels import to_tensor
from .models import EncoderDecoder, Variational

BATCH = 1000
FEWEST = 2  # codes of a class: below that it has no spread


@dataclass(frozen=True)
class Codes:
    """Of n pictures. mean, std: of q(z|x), float32 (n, d); std is 0 where the encoder gives a code and no Gaussian.

    labels: int64 (n,), places in a list of label values; one beyond the last for a label that is not there. Without
    labels all are 0.
    """

    mean: np.ndarray
    std: np.ndarray
    labels: np.ndarray


@torch.inference_mode()
def encode(network: EncoderDecoder, pictures: Pictures, values: np.ndarray, image: ImageSpec) -> Codes:
    """Codes of uint8 pictures. values: the label values. Raises ExecutionError when codes are not finite."""
    means, stds = [], []
    for start in range(0, len(pictures), BATCH):
        tensor = torch.from_numpy(to_tensor(pictures.images[start : start + BATCH], image))
        if isinstance(network, Variational):
            mean, logvar = network.posterior(tensor)
            means.append(mean.numpy())
            stds.append(torch.exp(0.5 * logvar).numpy())
        else:
            means.append(network.encode(tensor).numpy())
            stds.append(np.zeros_like(means[-1]))
    codes = Codes(np.concatenate(means), np.concatenate(stds), places(pictures.labels, len(pictures), values))
    if not (np.isfinite(codes.mean).all() and np.isfinite(codes.std).all()):
        raise ExecutionError("training codes", found="values that are not finite", expected="finite numbers")
    return codes


def label_values(labels: np.ndarray | None) -> np.ndarray:
    """The labels that can be asked for, int64 (k,) in order: those of at least FEWEST pictures."""
    values, counts = np.unique(np.empty(0, np.int64) if labels is None else labels, return_counts=True)
    return values[counts >= FEWEST]


def places(labels: np.ndarray | None, count: int, values: np.ndarray) -> np.ndarray:
    """Where each label stands in `values`, int64 (n,); their number for one that is not there; 0 without labels."""
    if labels is None or not len(values):
        return np.zeros(count, np.int64)
    found = np.minimum(np.searchsorted(values, labels), len(values) - 1)
    return np.where(values[found] == labels, found, len(values))
