"""Convert a decoded image to 8-bit grey or colour, and crop and scale it.

Pillow holds the whole decoded image in memory, with four bytes for each colour pixel. The image is therefore converted
and scaled down in horizontal strips, so that little further memory is needed.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from .read_options import BLACK, luma

MIN_REDUCED_PIXELS = 4_000_000  # images with more pixels are reduced by integer factors before they are resized
STRIP_PIXELS = 1_000_000  # images are converted in horizontal strips of about this many pixels


@dataclass(frozen=True)
class Conversion:
    """What decoded images are converted to.

    colour: True converts to colour, False to grey; None keeps the colour or grey of the file. size: (width, height) to
    scale to, or None. crop: True crops an image around its centre to the aspect ratio of `size`; False distorts the
    image. bits: number of bits that the values of a 16-bit grey image really use; the upper 8 of these bits are kept.
    16-bit colour values keep their high byte. background: (red, green, blue) of transparent pixels.
    """

    colour: bool | None = None
    size: tuple[int, int] | None = None
    crop: bool = False
    bits: int = 16
    background: tuple[int, int, int] = BLACK


def converted(image: Image.Image, conversion: Conversion) -> Image.Image:
    """Convert an image to 8-bit grey or colour, crop it, and scale it unless the size is None.

    To save memory, an image of more than MIN_REDUCED_PIXELS is first reduced strip by strip. The integer factors of the
    reduction are chosen so that a reduced side is at least four times as long as the side in `size`.
    """
    size, mode = conversion.size, "RGB" if conversion.colour else "L"
    left, top, right, bottom = cropped_box(image.size, size if conversion.crop else None)
    factor_x = factor_y = 1
    if size is not None and image.width * image.height > MIN_REDUCED_PIXELS:
        factor_x, factor_y = max(1, int(right - left) // (4 * size[0])), max(1, int(bottom - top) // (4 * size[1]))
    # Width and height are fractions: a pixel in the last column or row of the reduced image may be a mean of fewer
    # pixels.
    width, height = image.width / factor_x, image.height / factor_y
    reduced = Image.new(mode, (math.ceil(width), math.ceil(height)))
    for strip, first_row in strips(image, factor_y):
        reduced.paste(_eight_bit(strip, mode, conversion).reduce((factor_x, factor_y)), (0, first_row // factor_y))
    if size is None or image.size == size:
        return reduced
    box = (left / factor_x, top / factor_y, right / factor_x, bottom / factor_y)
    return reduced.resize(size, Image.Resampling.LANCZOS, box=box)


def cropped_box(size: tuple[int, int], target: tuple[int, int] | None) -> tuple[float, float, float, float]:
    """The largest box (left, top, right, bottom) at the centre of an image that has the aspect ratio of `target`.

    size, target: (width, height). The result is the whole image if `target` is None.
    """
    if target is None:
        return 0, 0, *size
    scale = min(size[0] / target[0], size[1] / target[1])
    margin_x, margin_y = (size[0] - scale * target[0]) / 2, (size[1] - scale * target[1]) / 2
    return margin_x, margin_y, size[0] - margin_x, size[1] - margin_y


def strips(image: Image.Image, factor: int) -> Iterator[tuple[Image.Image, int]]:
    """Cut an image into horizontal strips. Yields each strip and the index of its first row, a multiple of `factor`."""
    rows = max(STRIP_PIXELS // image.width // factor, 1) * factor
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height))), top


def _eight_bit(strip: Image.Image, mode: str, conversion: Conversion) -> Image.Image:
    """Convert a strip to the Pillow mode `mode`, "L" or "RGB"; transparent pixels get the colour of the background."""
    if strip.mode.startswith("I;16"):  # converted here, because Pillow clips values above 255 instead of scaling them
        levels = np.asarray(strip)  # uint16, shape (rows, W)
        grey = np.minimum(levels >> (conversion.bits - 8), 255).astype(np.uint8)
        if (transparent := strip.info.get("transparency")) is not None:
            grey[levels == transparent] = luma(conversion.background)
        strip = Image.fromarray(grey)
    elif strip.has_transparency_data:
        layer = strip.convert("RGBA")
        strip = Image.alpha_composite(Image.new("RGBA", layer.size, (*conversion.background, 255)), layer).convert(
            "RGB"
        )
    return strip.convert(mode)
