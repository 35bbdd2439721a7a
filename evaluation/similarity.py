"""Measure how similar reconstructions are to their originals: squared errors of pixels, PSNR and SSIM."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..runtime.pixels import unit_pixels

WINDOW_SIDE = 7  # width and height in pixels of the windows over which SSIM computes means and variances
SSIM_CONSTANTS = (0.01**2, 0.03**2)  # c1 and c2, which keep the denominators of SSIM away from 0, for pixels in [0, 1]
FOREGROUND = 0.5  # a pixel of the original counts as foreground if its value in [0, 1] is at least this
MIN_MSE = 1e-12  # lower limit on mean squared errors, because the PSNR of 0 would be infinite
PART_IMAGES = 500  # number of images compared at a time, which limits memory


@dataclass(frozen=True)
class Similarity:
    """How similar reconstructions are to their originals, with pixel values in [0, 1].

    mse: mean squared error over all pixels. foreground_mse: mean squared error over the pixels that are bright in the
    original, so that a large dark background does not lower it. psnr: peak signal-to-noise ratio in decibels. ssim:
    mean structural similarity; 1 if all images are equal to their originals.
    """

    mse: float
    foreground_mse: float
    psnr: float
    ssim: float


def similarity(originals: np.ndarray, reconstructions: np.ndarray) -> Similarity:
    """Compare reconstructions with their originals, each (n, H, W[, 3]), uint8 or float in [0, 1]."""
    total = foreground_total = ssim_total = 0.0
    pixels = foreground_pixels = 0
    for start in range(0, len(originals), PART_IMAGES):
        a, b = (unit_pixels(images[start : start + PART_IMAGES]) for images in (originals, reconstructions))
        squared = (a - b).astype(np.float64) ** 2
        foreground = a >= FOREGROUND
        total, pixels = total + squared.sum(), pixels + squared.size
        foreground_total += squared[foreground].sum()
        foreground_pixels += int(foreground.sum())
        ssim_total += structural_similarity(a, b).sum()
    mse = total / pixels
    return Similarity(
        mse=float(mse),
        foreground_mse=float(foreground_total / max(foreground_pixels, 1)),
        psnr=peak_signal_to_noise(float(mse)),
        ssim=float(ssim_total / len(originals)),
    )


def squared_errors(originals: np.ndarray, images: np.ndarray) -> np.ndarray:
    """The mean squared error of each image, float64 (n,), from images (n, H, W[, 3]), uint8 or float in [0, 1]."""
    errors = np.empty(len(originals))
    for start in range(0, len(originals), PART_IMAGES):
        part = slice(start, start + PART_IMAGES)
        differences = unit_pixels(originals[part]) - unit_pixels(images[part])
        errors[part] = np.square(differences).reshape(len(differences), -1).mean(1, dtype=np.float64)
    return errors


def peak_signal_to_noise(mse: float) -> float:
    """The PSNR in decibels of a mean squared error of pixels in [0, 1]; at most 120, also for an error of 0."""
    return -10 * math.log10(max(mse, MIN_MSE))


def structural_similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """SSIM of each pair of images (n, H, W[, 3]) in [0, 1], as float64 (n,). It is the mean over all 7x7 windows.

    Source: Z. Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity, 2004, equation 13.
    """
    x, y = a.astype(np.float64), b.astype(np.float64)
    side = min(WINDOW_SIDE, *x.shape[1:3])
    mean_x, mean_y = _window_means(x, side), _window_means(y, side)
    unbiased = side**2 / (side**2 - 1) if side > 1 else 1.0  # factor from population to sample variance
    variance_x = unbiased * (_window_means(x * x, side) - mean_x**2)
    variance_y = unbiased * (_window_means(y * y, side) - mean_y**2)
    covariance = unbiased * (_window_means(x * y, side) - mean_x * mean_y)
    c1, c2 = SSIM_CONSTANTS
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    ssim = numerator / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))
    means: np.ndarray = ssim.reshape(len(ssim), -1).mean(1)
    return means


def _window_means(images: np.ndarray, side: int) -> np.ndarray:
    """The mean of each window of side x side pixels: (n, H, W[, 3]) -> (n, H - side + 1, W - side + 1[, 3])."""
    row_means = sliding_window_view(images, side, axis=1).mean(-1)
    means: np.ndarray = sliding_window_view(row_means, side, axis=2).mean(-1)
    return means
