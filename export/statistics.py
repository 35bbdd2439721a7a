"""Statistics of the training codes, from which new codes are drawn."""

import numpy as np
import torch

from ..runtime.errors import ExecutionError
from ..runtime.manifest import ImageSpec
from ..runtime.pixels import to_tensor
from ..train.models import EncoderDecoder

BATCH = 1000
JITTER = 1e-6  # share of the mean variance added to each: an axis that never moves would leave no Cholesky factor


@torch.inference_mode()
def training_codes(network: EncoderDecoder, pictures: np.ndarray, image: ImageSpec) -> np.ndarray:
    """Codes float32 (n, d) of uint8 pictures (n, H, W[, 3])."""
    batches = (pictures[start : start + BATCH] for start in range(0, len(pictures), BATCH))
    return np.concatenate([network.encode(torch.from_numpy(to_tensor(batch, image))).numpy() for batch in batches])


def moments(codes: np.ndarray) -> dict[str, np.ndarray]:
    """What `latents.npz` holds: mean and std (d,), and the lower Cholesky factor (d, d) of the covariance, float32.

    Accumulated in float64. Raises ExecutionError when the codes are not finite.
    """
    if not np.isfinite(codes).all():
        raise ExecutionError("training codes", found="values that are not finite", expected="finite numbers")
    wide = codes.astype(np.float64)
    covariance = np.atleast_2d(np.cov(wide, rowvar=False, bias=True))
    jitter = JITTER * max(np.trace(covariance) / len(covariance), np.finfo(np.float32).tiny)
    factor = np.linalg.cholesky(covariance + jitter * np.eye(len(covariance)))
    statistics = {"mean": wide.mean(0), "std": wide.std(0), "factor": factor}
    return {name: value.astype(np.float32) for name, value in statistics.items()}
