"""Encode images as the bytes of image files."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from ..runtime.pixels import grey_levels
from .facts import png_text
from .outputs import GIF, PNG, OutputFormat

FRAME_MILLISECONDS = 100
END_MILLISECONDS = 500  # how long an animation that ends in reverse shows its first and last image


def image_bytes(image: np.ndarray, format: OutputFormat = PNG, facts: Mapping[str, str] | None = None) -> bytes:
    """Encode one image, uint8 (H, W) or (H, W, 3), as the bytes of an image file. PNG and WebP are lossless.

    facts: texts to store in a PNG, by name, which `read_facts` reads again; other formats leave them out.
    """
    options = format.options
    if facts and format.pillow_name == "PNG":
        options = {**options, "pnginfo": png_text(facts)}
    return _encoded(Image.fromarray(image), format, **options)


def gif_bytes(images: np.ndarray, scale: int = 1, *, there_and_back: bool = False) -> bytes:
    """Encode images as the bytes of an animated GIF that repeats endlessly and shows each image for a moment.

    images: (n, H, W) or (n, H, W, 3), uint8 or float in [0, 1]. scale: each pixel becomes scale x scale pixels.
    there_and_back: whether to show all images in reverse order after the last image, so that the animation never jumps,
    and to show the first and the last image longer.
    """
    order, durations = [*range(len(images))], [FRAME_MILLISECONDS] * len(images)
    if there_and_back:
        durations[0] = durations[-1] = END_MILLISECONDS
        order += order[-2:0:-1]
    frames = (Image.fromarray(grey_levels(images[i][None])[0].repeat(scale, 0).repeat(scale, 1)) for i in order)
    duration = [durations[i] for i in order]
    return _encoded(next(frames), GIF, save_all=True, append_images=frames, duration=duration, loop=0)


def _encoded(image: Image.Image, format: OutputFormat, **options: Any) -> bytes:
    """Encode an image with Pillow. options: arguments for the encoder."""
    buffer = io.BytesIO()
    # Name the format by a suffix, because Pillow then imports only its encoder. Given the argument `format`, Pillow
    # imports five encoders.
    buffer.name = f"image.{format.pillow_name.lower()}"
    image.save(buffer, **options)
    return buffer.getvalue()
