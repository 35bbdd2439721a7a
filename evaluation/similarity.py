"""How like their originals reconstructions are, pixel by pixel and window by window."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..runtime.pixels import unit_pixels

WINDOW = 7  # pixels, the side of SSIM's
SSIM_CONSTANTS = (0.01**2, 0.03**2)  # SSIM's, for pixels in [0, 1]
FOREGROUND = 0.5  # grey level from which a pixel belongs to what is drawn
PART = 500  # images at once


@dataclass(frozen=True)
class Similarity:
    """Of reconstructions to originals in [0, 1].

    mse: mean squared error of a pixel; foreground_mse: of one that is bright in the original, which an empty border
    does not flatter. psnr: in decibels, from the mse of all. ssim: structural similarity, 1 for equal images.
    """

    mse: float
    foreground_mse: float
    psnr: float
    ssim: float


def similarity(originals: np.ndarray, reconstructions: np.ndarray) -> Similarity:
    """Similarity of images (n, H, W[, 3]), uint8 or float in [0, 1]."""
    total = bright_total = ssim_total = 0.0
    pixels = bright_pixels = 0
    for start in range(0, len(originals), PART):
        a, b = (unit_pixels(one[start : start + PART]) for one in (originals, reconstructions))
        squared = (a - b).astype(np.float64) ** 2
        bright = a >= FOREGROUND
        total, pixels = total + squared.sum(), pixels + squared.size
        bright_total, bright_pixels = (
            bright_total + squared[bright].sum(),
            bright_pixels + int(bright.sum()),
        )
        ssim_total += structural_similarity(a, b).sum()
    mse = total / pixels
    return Similarity(
        mse=float(mse),
        foreground_mse=float(bright_total / max(bright_pixels, 1)),
        psnr=float(-10 * np.log10(max(mse, 1e-12))),
        ssim=float(ssim_total / len(originals)),
    )


def structural_similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """SSIM of each pair of images (n, H, W[, 3]) in [0, 1]: the mean over all 7x7 windows; float64 (n,).

    Source: Z. Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity, 2004, equation 13.
    """
    x, y = a.astype(np.float64), b.astype(np.float64)
    side = min(WINDOW, *x.shape[1:3])
    mean_x, mean_y = _window_means(x, side), _window_means(y, side)
    sample = side**2 / (side**2 - 1) if side > 1 else 1.0
    variance_x = sample * (_window_means(x * x, side) - mean_x**2)
    variance_y = sample * (_window_means(y * y, side) - mean_y**2)
    covariance = sample * (_window_means(x * y, side) - mean_x * mean_y)
    c1, c2 = SSIM_CONSTANTS
    alike = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    ssim = alike / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))
    means: np.ndarray = ssim.reshape(len(ssim), -1).mean(1)
    return means


def _window_means(images: np.ndarray, side: int) -> np.ndarray:
    """Means over every side x side window, axis after axis."""
    across = sliding_window_view(images, side, axis=1).mean(-1)
    means: np.ndarray = sliding_window_view(across, side, axis=2).mean(-1)
    return means
