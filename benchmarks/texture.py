"""Measure fine texture in samples that real images do not have: power at the frequencies of a decoder's pixel blocks.

A convolutional decoder makes blocks of 2x2 pixels in its last layer, and of 4x4 pixels in its last two. What repeats
with these blocks has a frequency of 1/2 or 1/4 cycles per pixel, vertically or horizontally. Power is the squared
magnitude of the Fourier transform within one bin of these frequencies, a mean over images. `power` is that of samples,
or of reconstructions of test images, as a multiple of that of as many test images. A frequency between them, 3/8, shows
how sharp the images are where no block adds to it: power at 1/2 or 1/4 that is larger than at 3/8 is texture. `dots` is
the power at 1/2 vertically and horizontally at once, the frequency of a chequered pattern.

Power is largest at edges, so it may hide a faint texture of surfaces. But a texture of blocks is at the same place in
all images, and edges are not. `locked` is the fraction of the power that the mean of all images has. It is about one by
the number of images where nothing is at the same place.

Prints JSON.

    python benchmarks/texture.py mnist mnist-fast --data mnist
"""

import argparse
import json
import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import aegen
import numpy as np
from aegen.data.datasets import load
from aegen.runtime.pixels import unit_pixels

FREQUENCIES = {"1/4": 0.25, "3/8": 0.375, "1/2": 0.5}  # cycles per pixel


def main() -> None:
    """Read the options, measure the models and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    images = load(options.data).test.images
    count = min(len(images) // 2, options.images)
    real, others = images[:count], images[count : 2 * count]
    results = {"real images": compared(real, real), "other real images": compared(others, real)}
    for name in options.models:
        model = aegen.load(name)
        results[name] = compared(model.sample(count, seed=options.seed), real)
        results[f"{name}, reconstructions"] = compared(model.reconstruct(real), real)
    print(json.dumps({"data": options.data, "images": count, "results": results}, indent=2))


def compared(images: np.ndarray, real: np.ndarray) -> dict[str, dict[str, float]]:
    """Power of images at each frequency as a multiple of that of real images, and the fraction that is locked.

    images, real: (n, H, W) or (n, H, W, 3), uint8 or float in [0, 1].
    """
    grey, real_grey = (values if values.ndim == 3 else values.mean(-1) for values in map(unit_pixels, (images, real)))
    power, expected, of_mean = (_power(levels) for levels in (grey, real_grey, grey.mean(0, keepdims=True)))
    return {
        "power": {name: round(power[name] / expected[name], 3) for name in power},
        "locked": {name: round(of_mean[name] / power[name], 5) for name in power},
    }


def _power(grey: np.ndarray) -> dict[str, float]:
    """Mean power of grey images (n, H, W), float in [0, 1], at each of FREQUENCIES, and of dots."""
    power = np.mean(np.abs(np.fft.fft2(grey)) ** 2, 0)
    near = [[_near(f, side) for side in power.shape] for f in FREQUENCIES.values()]
    found = {
        name: float(power[rows].mean() + power[:, columns].mean())
        for name, (rows, columns) in zip(FREQUENCIES, near, strict=True)
    }
    rows, columns = near[-1]
    return {**found, "dots": float(power[np.ix_(rows, columns)].mean())}


def _near(frequency: float, side: int) -> np.ndarray:
    """Whether each bin of a Fourier transform along a side is within one bin of a frequency, bool (side,)."""
    nearest: np.ndarray = np.abs(np.abs(np.fft.fftfreq(side)) - frequency) <= 1 / side + 1e-9
    return nearest


if __name__ == "__main__":
    main()
