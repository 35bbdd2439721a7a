"""Conversion between the images of users and the tensors of networks.

Images are (n, H, W) grey or (n, H, W, 3) colour, uint8 or float in [0, 1]. Tensors are float32 (n, C, H, W) in the
range of pixel values that the artifact's manifest states.
"""

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .errors import InputError, ShapeError, shown
from .metadata import ImageSpec

Shape = tuple[int, int, int]  # channels, height, width
FLOAT, LEVELS = np.dtype(np.float32), np.dtype(np.uint8)
ONE_BITS = np.float32(1).view(np.uint32)
TOLERANCE = 1e-3  # how far floats may lie outside [0, 1], as they do after rounding or resizing


def image_shape(shape: Shape) -> tuple[int, ...]:
    """The shape of one image, (H, W) or (H, W, 3), for a network whose image tensors have shape (n, C, H, W).

    shape: (C, H, W).
    """
    channels, height, width = shape
    return (height, width) if channels == 1 else (height, width, channels)


def shape_in_words(shape: Shape) -> str:
    """The size and the colour of images of shape (C, H, W): `28x28 grey` for (1, 28, 28)."""
    channels, height, width = shape
    return f"{width}x{height} {'grey' if channels == 1 else 'colour'}"


def empty_batch(n: int, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> np.ndarray:
    """An uninitialised array (n, *shape), float32 or uint8, for n images, paths or latents.

    Raises InputError for another dtype, or if there is not enough memory.
    """
    checked_dtype = image_dtype(dtype)
    try:
        return np.empty((n, *shape), checked_dtype)
    except (MemoryError, ValueError) as error:
        expected = "as many as fit into memory"
        remedy = "iter_sample gives images a batch at a time, and `start` continues a seed in another call."
        raise InputError("n", found=n, expected=expected, remedy=remedy) from error


def as_batch(images: ArrayLike, shape: Shape) -> tuple[np.ndarray, bool]:
    """Images (n, H, W) or (n, H, W, 3), and True if `images` was a single image, to which the axis n was added.

    shape: the network's (C, H, W). Raises ShapeError if the images do not fit this shape, and InputError if their dtype
    is neither uint8 nor float or if lists cannot be converted to an array.
    """
    array = as_array("images", images)
    single_shape = image_shape(shape)
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise InputError("images", found=f"dtype {array.dtype}", expected="uint8, or float in [0, 1]")
    if array.shape == single_shape:
        return array[None], True
    if array.ndim != len(single_shape) + 1 or array.shape[1:] != single_shape:
        expected = f"{single_shape} or (n, {', '.join(map(str, single_shape))})"
        raise ShapeError("images", found=f"shape {array.shape}", expected=expected)
    return array, False


def as_array(name: str, values: ArrayLike) -> np.ndarray:
    """Convert an array or nested lists to an array of any shape.

    name: the argument's name, for error messages. Raises InputError if the lists cannot be converted.
    """
    try:
        return np.asarray(values)
    except (ValueError, TypeError, OverflowError) as error:  # raised for lists of unequal lengths or deep nesting
        found = "lists that make no array, or of different lengths"
        raise InputError(name, found=found, expected="an array, or lists of equal lengths") from error


def to_tensor(images: np.ndarray, image: ImageSpec) -> np.ndarray:
    """Images (n, H, W) or (n, H, W, 3) -> float32 (n, C, H, W) in the range of `image`.

    Raises InputError if float images lie more than TOLERANCE outside [0, 1], or are not finite.
    """
    tensor = unit_pixels(images)
    low, high = image.range
    if (low, high) != (0.0, 1.0):
        tensor = tensor * np.float32(high - low) + np.float32(low)
    if tensor.ndim == 4:
        tensor = tensor.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(tensor.reshape(len(tensor), *image.shape))


def unit_pixels(images: np.ndarray, where: str = "float images") -> np.ndarray:
    """Convert images of any shape to float32 in [0, 1]. Floats up to TOLERANCE outside of [0, 1] are clipped.

    where: name of the images in error messages. Raises InputError if float images lie further outside of [0, 1], or are
    not finite.
    """
    if images.dtype == np.uint8:
        unit = images.astype(np.float32)
        unit /= np.float32(255)
        return unit
    if images.size and not is_within_unit(images):
        return _clipped(images, where)
    return images.astype(np.float32, copy=False)


def _clipped(images: np.ndarray, where: str) -> np.ndarray:
    """Clip float images of any shape to [0, 1]. Returns float32. Parameters and errors are those of `unit_pixels`."""
    low, high = float(images.min()), float(images.max())
    if not (np.isfinite(low) and np.isfinite(high)):  # if any value is NaN, low and high are NaN
        found = "values that are NaN" if np.isnan(low) else "infinite values"
        raise InputError(where, found=found, expected="finite values in [0, 1]")
    if low < -TOLERANCE or high > 1 + TOLERANCE:
        found = f"values from {low:.9g} to {high:.9g}"
        raise InputError(where, found=found, expected="values in [0, 1]", remedy=_remedy(low, high))
    unit: np.ndarray = np.clip(images, 0, 1).astype(np.float32, copy=False)
    return unit


def _remedy(low: float, high: float) -> str:
    """Advice for an error message: how to scale images with values from low to high to the range [0, 1]."""
    if low >= -0.5 - TOLERANCE and high <= 0.5 + TOLERANCE:
        return "Values in [-0.5, 0.5] become: images + 0.5"
    if low >= -1 - TOLERANCE and high <= 1 + TOLERANCE:
        return "Values in [-1, 1] become: (images + 1) / 2"
    if low >= 0 and high <= 2:
        return "Clip them, or scale them: images / images.max()"
    if low >= 0 and high <= 255:
        return "Divide grey levels by 255 (images / 255), or pass them as uint8."
    if low >= 0 and high <= 65535:
        return "Divide 16-bit grey levels by 65535: images / 65535"
    return "Standardised images become: images * std + mean, with the mean and std they were standardised with"


def is_within_unit(images: np.ndarray) -> bool:
    """Whether all values of float images of any shape are in [0, 1]; there must be at least one value."""
    # The bits of each float are read as an unsigned integer. Non-negative floats then keep their order, and the integer
    # of a negative float or NaN is larger than ONE_BITS, the integer of 1.0. If the largest integer is at most
    # ONE_BITS, all floats are therefore in [0, 1]. One argmax over integers takes half the time of a min and a max over
    # floats. If the test fails, the floats themselves are compared, because -0.0 is in [0, 1] but fails the test.
    if images.dtype == FLOAT and images.flags.c_contiguous:
        bits = images.reshape(-1).view(np.uint32)
        if bits[bits.argmax()] <= ONE_BITS:
            return True
    return bool(images.min() >= 0 and images.max() <= 1)


def with_noise(images: np.ndarray, sigma: float, random: "np.random.Generator") -> np.ndarray:
    """Add Gaussian noise with standard deviation sigma to images of any shape.

    Returns float32 of the same shape, clipped to [0, 1].
    """
    clean = unit_pixels(images)
    noise = random.standard_normal(clean.shape, dtype=np.float32)
    noisy: np.ndarray = np.clip(clean + np.float32(sigma) * noise, 0, 1)
    return noisy


def to_images(
    tensor: np.ndarray, image: ImageSpec, dtype: np.dtype = FLOAT, out: np.ndarray | None = None
) -> np.ndarray:
    """Tensor (n, C, H, W) in the range of `image` -> images (n, H, W) or (n, H, W, 3), float32 in [0, 1] or uint8.

    tensor: an output of a network, within the range. It may be overwritten, so the caller must not use it afterwards.
    out: an array of the images' shape and dtype, which receives the images and is returned.
    """
    low, high = image.range
    if (low, high) != (0.0, 1.0):
        # Clip, because rounding errors may give values slightly outside [0, 1].
        tensor = np.clip((tensor - np.float32(low)) / np.float32(high - low), 0, 1)
    tensor = tensor[:, 0] if image.shape[0] == 1 else tensor.transpose(0, 2, 3, 1)
    if dtype != LEVELS:
        if out is None:
            return tensor
        out[...] = tensor
        return out
    levels = np.multiply(tensor, np.float32(255), out=tensor)
    # Round to the nearest integers, as np.rint does. All float32 values above 2^23 are integers. Adding 2^23 therefore
    # rounds, and the integer is then in the low bits of the sum. This takes half the time of np.rint.
    levels += np.float32(2**23)
    images = np.empty(levels.shape, LEVELS) if out is None else out
    np.copyto(images, levels.view(np.int32), casting="unsafe")
    return images


def grey_levels(images: np.ndarray) -> np.ndarray:
    """Convert images of any shape to uint8. Floats in [0, 1] are scaled to [0, 255] and rounded to integers."""
    if images.dtype == np.uint8:
        return images
    levels: np.ndarray = np.multiply(images, np.float32(255), dtype=np.float32)
    np.rint(levels, out=levels)
    return levels.astype(np.uint8)


def image_dtype(dtype: DTypeLike) -> np.dtype:
    """Check the dtype that returned images shall have. Raises InputError unless it is float32 or uint8."""
    try:
        checked = np.dtype(dtype)
    except (TypeError, ValueError):
        checked = None
    if checked not in (FLOAT, LEVELS):
        raise InputError("dtype", found=shown(dtype), expected="float32 or uint8")
    return checked
