"""Images as small coloured symbols for a plot."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

MIN_SIDE, MAX_SIDE = 22, 48  # in pixels; smaller images are enlarged, larger ones reduced
FRAME = 2  # width of the coloured frame in pixels


def thumbnails(images: np.ndarray, colours: Sequence[str] | None = None) -> np.ndarray:
    """Images (n, H, W[, 3]), uint8 -> small images with transparency, uint8 (n, h, w, 4), with h and w up to MAX_SIDE.

    colours: a colour for each image. Grey images with a dark or a bright background become coloured shapes on a
    transparent background. Other images get a coloured frame.
    """
    colours = colours or ["black"] * len(images)
    resized = np.stack([_resized(image) for image in images])
    levels = np.array([to_rgb(colour) for colour in colours])[:, None, None]
    border = np.concatenate([resized[:, 0].ravel(), resized[:, -1].ravel()]).astype(float)
    if resized.ndim == 3 and (border.mean() < 64 or border.mean() > 191):
        alpha = resized if border.mean() < 64 else 255 - resized
        colour = np.broadcast_to(levels * 255, (*resized.shape, 3)).astype(np.uint8)
        return np.concatenate([colour, alpha[..., None]], -1)
    if resized.ndim == 3:
        resized = resized[..., None].repeat(3, -1)
    framed = np.broadcast_to(levels * 255, (len(images), *(side + 2 * FRAME for side in resized.shape[1:3]), 3)).copy()
    framed[:, FRAME:-FRAME, FRAME:-FRAME] = resized
    return np.concatenate([framed, np.full((*framed.shape[:3], 1), 255)], -1).astype(np.uint8)


def _resized(image: np.ndarray) -> np.ndarray:
    """Enlarge an image (H, W[, 3]) by a whole number, or reduce it, to sides from MIN_SIDE to MAX_SIDE."""
    side = max(image.shape[:2])
    if side < MIN_SIDE:
        factor = -(-MIN_SIDE // side)
        return image.repeat(factor, 0).repeat(factor, 1)
    if side <= MAX_SIDE:
        return image
    height, width = (max(1, round(length * MAX_SIDE / side)) for length in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BOX))
