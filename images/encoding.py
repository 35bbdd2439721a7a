"""Encode images as the bytes of image files."""

import io

import numpy as np
from PIL import Image

from ..runtime.pixels import grey_levels
from .outputs import PNG, OutputFormat

FRAME_MILLISECONDS = 100


def image_bytes(image: np.ndarray, format: OutputFormat = PNG) -> bytes:
    """Encode one image, uint8 (H, W) or (H, W, 3), as the bytes of an image file. PNG and WebP are lossless."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format.pillow_name, **format.options)
    return buffer.getvalue()


def gif_bytes(images: np.ndarray, scale: int = 1) -> bytes:
    """Encode images as the bytes of an animated GIF that repeats endlessly and shows each image for a moment.

    images: (n, H, W) or (n, H, W, 3), uint8 or float in [0, 1]. scale: each pixel becomes scale x scale pixels.
    """
    frames = (Image.fromarray(grey_levels(image[None])[0].repeat(scale, 0).repeat(scale, 1)) for image in images)
    buffer = io.BytesIO()
    next(frames).save(buffer, "GIF", save_all=True, append_images=frames, duration=FRAME_MILLISECONDS, loop=0)
    return buffer.getvalue()
