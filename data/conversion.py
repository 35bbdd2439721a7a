"""Give all images of a set the same size and number of channels."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..images.conversion import cropped_box
from ..images.read_options import ReadOptions
from .images import LabelledImages, UnsplitDataset

# Maximum difference of levels, from 0 to 255, between the channels of a pixel of a grey image. Grey images that were
# saved as colour, for example as JPEG, have small differences.
CHANNEL_TOLERANCE = 8
CHUNK_IMAGES = 1024  # number of images converted at a time
LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue in ITU-R BT.601


def converted(unsplit: UnsplitDataset, data: str, options: ReadOptions) -> UnsplitDataset:
    """Crop and scale the images of a set, and make them grey or colour, as the options say.

    Without a choice, colour images become grey if no image of any part has colour, and a remark says so. data: the name
    of the set in the remark.
    """
    parts, remarks = unsplit.parts, list(unsplit.remarks)
    if options.size is not None:
        size = options.size
        parts = {name: LabelledImages(_scaled(part.images, size), part.labels) for name, part in parts.items()}
    colour = options.colour
    if colour is None and any(part.images.ndim == 4 for part in parts.values()):
        colour = any(_has_colour(part.images) for part in parts.values())
        if not colour:
            remarks.append(f"{data}: the channels of all images are equal, so they are read as grey images")
    if colour is not None:
        parts = {name: LabelledImages(with_channels(part.images, colour), part.labels) for name, part in parts.items()}
    return replace(
        unsplit,
        training=parts["training"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        remarks=tuple(remarks),
    )


def _scaled(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Crop images (n, H, W) or (n, H, W, 3), uint8, around their centre, and scale them to `size` (width, height)."""
    from PIL import Image

    height, width = images.shape[1:3]
    if (width, height) == size:
        return images
    scaled = np.empty((len(images), size[1], size[0], *images.shape[3:]), np.uint8)
    box = cropped_box((width, height), size)
    for i, image in enumerate(images):
        resized = Image.fromarray(np.ascontiguousarray(image)).resize(size, Image.Resampling.LANCZOS, box=box)
        scaled[i] = np.asarray(resized)
    return scaled


def _has_colour(images: np.ndarray) -> bool:
    """Whether the channels of any image differ by more than CHANNEL_TOLERANCE in any pixel."""
    if images.ndim == 3:
        return False
    return any(np.ptp(chunk, axis=-1).max(initial=0) > CHANNEL_TOLERANCE for _, chunk in _chunks(images))


def with_channels(images: np.ndarray, colour: bool) -> np.ndarray:
    """Convert images (n, H, W) or (n, H, W, 3), uint8, to (n, H, W, 3) if `colour`, else to (n, H, W)."""
    if colour == (images.ndim == 4):
        return images
    if colour:
        return np.repeat(images[..., None], 3, axis=-1)
    grey = np.empty(images.shape[:3], np.uint8)
    for rows, chunk in _chunks(images):
        grey[rows] = np.rint(chunk @ np.array(LUMA, np.float32))
    return grey


def _chunks(images: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    for start in range(0, len(images), CHUNK_IMAGES):
        rows = slice(start, start + CHUNK_IMAGES)
        yield rows, images[rows]
