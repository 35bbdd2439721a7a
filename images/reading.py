"""Read images from image files, folders of image files, `.npy`, `.npz` or IDX files, or a pipe.

A path may end in a slice like that of a Python list: `t10k-images-idx3-ubyte.gz[0:16]` or `digits.npy[3]`.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files.paths import is_folder, is_pipe, split_slice
from ..files.sources import FileFormat, Source
from ..runtime.arrays import forget
from ..runtime.errors import InputError, ShapeError
from ..runtime.pixels import Shape, grey_levels, image_shape, unit_pixels
from .array_checks import check_images
from .array_files import array_name
from .array_layouts import arranged, arranged_axes, grey_numbers, row_remarks
from .folders import require_image_paths
from .formats import ArrayFormat
from .image_file import ImageFile, Note
from .image_files import DecodedFiles, read_image_files
from .names import IMAGES
from .opening import open_images
from .read_options import DEFAULT_OPTIONS, ReadOptions

PART_PIXELS = 2**22  # arrays of images are scaled in batches of about this many pixels


@dataclass(frozen=True)
class ImageSet:
    """Images (n, H, W) grey or (n, H, W, 3) colour, uint8 or float in [0, 1].

    names: the file name of each image; empty unless every image comes from an image file that has a name.
    """

    images: np.ndarray
    names: tuple[str, ...] = ()


def read_images(
    *sources: str | Path,
    shape: Shape | None = None,
    resize: bool = False,
    options: ReadOptions = DEFAULT_OPTIONS,
    note: Note | None = None,
) -> ImageSet:
    """All images of one or several sources, in order.

    A source is an image file, a folder of image files, a `.npy`, an `.npz`, an IDX file, a pipe, or `-` for standard
    input, each with or without a slice. Folders are read in natural order: `2.png` before `10.png`.
    shape: the required (C, H, W); image files are converted to grey if C is 1 and to colour if C is 3. None allows any
    shape, and image files then give colour images if any of them has colour. resize: scale images of another size to
    H x W instead of refusing them. options: how image files are read; `options.size` is ignored if `resize` is true.
    note: a function that is called with a sentence to show to the user, such as when 16-bit images turn out to use
    fewer bits. Sizes are checked before anything is decoded or decompressed. Raises NotFoundError when there is nothing
    at a path, ShapeError when images have another shape, InputError when a source cannot be read or holds no images.
    """
    parts: list[np.ndarray | list[ImageFile]] = []
    with ExitStack() as stack:
        for source in sources:
            part = _read_source(stack, str(source), shape, resize, note)
            if len(part) == 0:
                raise InputError(str(source), found="no images", expected="at least one")
            parts.append(part)
        files = [file for part in parts if isinstance(part, list) for file in part]
        decoded = DecodedFiles(np.empty(0), np.empty(0, np.int64))
        if files:
            decoded = read_image_files(files, shape=shape, resize=resize, options=options, note=note)
    arrays, start = [], 0
    for part in parts:
        if isinstance(part, list):
            kept = (decoded.kept >= start) & (decoded.kept < start + len(part))
            arrays.append(decoded.images[kept] if len(parts) > 1 else decoded.images)
            start += len(part)
        else:
            arrays.append(part)
    has_names = all(isinstance(part, list) for part in parts) and all(file.file_name for file in files)
    names = tuple(files[i].file_name for i in decoded.kept) if has_names else ()
    return ImageSet(concatenated(arrays, sources), names)


def read_open_source(
    source: Source[FileFormat], window: slice, *, options: ReadOptions = DEFAULT_OPTIONS, note: Note | None = None
) -> np.ndarray:
    """Read the images that the slice `window` selects from a file or pipe that is already open.

    note: a function that is called with a sentence to show to the user. Returns (n, H, W) or (n, H, W, 3), uint8 or
    float in [0, 1].
    """
    if isinstance(source.format, ArrayFormat):
        return _read_arrays(source, source.format, window, note=note)
    file = ImageFile(source.name, stream=source.stream)
    return read_image_files([file], options=options, note=note).images[window]


def _read_source(
    stack: ExitStack, source: str, shape: Shape | None, resize: bool, note: Note | None
) -> np.ndarray | list[ImageFile]:
    """Read one source. Returns its images (n, H, W) or (n, H, W, 3), or a list of image files to be decoded later.

    stack: an exit stack that closes pipes; it keeps a pipe open until the image in it is decoded.
    """
    path, window = split_slice(source)
    if is_folder(path):
        return [ImageFile.at(file) for file in require_image_paths(Path(path))[window]]
    with ExitStack() as local_stack:
        opened = local_stack.enter_context(open_images(path))
        if isinstance(opened.format, ArrayFormat):
            images = _read_arrays(opened, opened.format, window, shape=shape, resize=resize, note=note)
            return images if shape is None or len(images) == 0 else resized(images, shape)
        if not is_pipe(path):  # closed now and reopened for decoding, so that few files are open at once
            return [ImageFile.at(Path(path))][window]
        stack.enter_context(local_stack.pop_all())
        return [ImageFile(opened.name, stream=opened.stream)][window]


def _read_arrays(
    source: Source[FileFormat],
    format: ArrayFormat,
    window: slice,
    *,
    shape: Shape | None = None,
    resize: bool = False,
    note: Note | None = None,
) -> np.ndarray:
    """Read the images (n, H, W) or (n, H, W, 3) that the slice `window` selects from a file of arrays.

    Shape and dtype of the array are checked before its values are read.
    """
    file = format.open(source)
    name = array_name(file.names, IMAGES, source.name)
    axes, dtype = file.header(name)
    if shape is not None and axes == image_shape(shape):  # the array is a single image without a batch axis
        check_images((1, *axes), dtype, source.name, required=shape)
        images = file.rows(name)[None][window]
    else:
        check_images(arranged_axes(axes, source.name), dtype, source.name, required=shape, resize=resize)
        images = arranged(file.rows(name, window), source.name)
        if note is not None:
            for remark in row_remarks(axes, source.name):
                note(remark)
    return grey_numbers(images, source.name, note)


def resized(images: np.ndarray, shape: Shape) -> np.ndarray:
    """Scale images (n, h, w) or (n, h, w, 3) to the size of `shape` (C, H, W), as uint8.

    Images that have this size already are returned unchanged.
    """
    from PIL import Image

    if images.shape[1:] == image_shape(shape):
        return images
    resized = np.empty((len(images), *image_shape(shape)), np.uint8)
    rows = max(1, PART_PIXELS // images[0].size)
    for start in range(0, len(images), rows):
        for i, image in enumerate(grey_levels(unit_pixels(images[start : start + rows])), start):
            resized[i] = np.asarray(Image.fromarray(image).resize((shape[2], shape[1]), Image.Resampling.LANCZOS))
        forget(images)
    return resized


def concatenated(arrays: list[np.ndarray], sources: Sequence[str | Path]) -> np.ndarray:
    """Join image arrays (n, H, W) or (n, H, W, 3) along axis 0. The result is float32 if any of the arrays is float."""
    if len(arrays) == 1:
        return arrays[0]
    for array, source in zip(arrays, sources, strict=True):
        if array.shape[1:] != arrays[0].shape[1:]:
            expected = f"{arrays[0].shape[1:]}, as {sources[0]} has"
            raise ShapeError(str(source), found=f"images of shape {array.shape[1:]}", expected=expected)
    if any(array.dtype != np.uint8 for array in arrays):
        arrays = [unit_pixels(array, str(source)) for array, source in zip(arrays, sources, strict=True)]
    return np.concatenate(arrays)
