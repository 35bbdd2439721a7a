"""Read images from whatever a person has: image files, folders, `.npy`, `.npz`, IDX, or a pipe.

A source may end in a slice, `t10k-images-idx3-ubyte.gz[0:16]` or `digits.npy[3]`, as on a Python list.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files.sources import ARRAYS, GZIP, IDX, IMAGES, NPY, ZIP, Source, is_folder, open_source, split_window
from ..runtime.arrays import forget, map_npy_stream, npz_header, npz_names, read_npy, read_npz
from ..runtime.errors import InputError, ShapeError
from ..runtime.pixels import Shape, grey_levels, image_shape, unit_pixels
from .idx import read_idx
from .image_files import ImageFile, Note, image_files, read_image_files
from .names import NAMES

PART_PIXELS = 2**22  # pixels turned to grey levels at a time


@dataclass(frozen=True)
class ImageSet:
    """Images (n, H, W) or (n, H, W, 3), and, where all of them came from image files, the names of these files."""

    images: np.ndarray
    names: tuple[str, ...] = ()


def read_image_array(
    source: str | Path, *, shape: Shape | None = None, resize: bool = False, note: Note | None = None
) -> np.ndarray:
    """The images of one source, as `read_image_set` reads them."""
    return read_image_set([source], shape=shape, resize=resize, note=note).images


def read_image_set(
    sources: Sequence[str | Path], *, shape: Shape | None = None, resize: bool = False, note: Note | None = None
) -> ImageSet:
    """Images of all sources, (n, H, W) grey or (n, H, W, 3) colour, uint8 or float as stored.

    A source is an image file, a folder of them, a `.npy`, an `.npz`, an IDX file, a pipe, or `-`, standard input, each
    with a slice or without. A folder gives its image files in natural order: `2.png` before `10.png`.
    shape: the (C, H, W) that images must have; image files are turned to grey or to colour to fit. None takes what is
    there, colour if any image file has it. resize: scale images of another size to `shape` instead of refusing them.
    note: is told in a sentence of what was read in a way that a user should know of.
    Sizes are checked before anything is decoded or inflated. Raises NotFoundError when nothing is at a path, InputError
    or ShapeError when a source does not hold such images.
    """
    parts: list[np.ndarray | list[ImageFile]] = []
    with ExitStack() as stack:
        for source in sources:
            part = _part(stack, str(source), shape, resize)
            if len(part) == 0:
                raise InputError(str(source), found="no images", expected="at least one")
            parts.append(part)
        files = [file for part in parts if isinstance(part, list) for file in part]
        decoded = read_image_files(files, shape=shape, resize=resize, note=note) if files else np.empty(0)
    arrays, start = [], 0
    for part in parts:
        arrays.append(decoded[start : start + len(part)] if isinstance(part, list) else part)
        start += len(part) if isinstance(part, list) else 0
    named = all(isinstance(part, list) for part in parts) and all(file.name for file in files)
    return ImageSet(_joined(arrays, sources), tuple(file.name for file in files) if named else ())


def images_of(source: Source, window: slice, *, note: Note | None = None) -> np.ndarray:
    """The images in `window` of a source that is open, of any size, as `read_image_set` gives them."""
    if source.size == 0:
        raise InputError(source.where, found="an empty file", expected="images")
    if source.form in (NPY, ZIP, GZIP, IDX):
        return _stored_images(source, window, None, False)
    return read_image_files([ImageFile(source.where, stream=source.stream)], note=note)[window]


def read_latents(source: str | Path, latent_dim: int | None = None) -> np.ndarray:
    """Latents (n, d) of a `.npy` or `.npz` source, as stored; one latent (d,) becomes (1, d). `-` is standard input.

    latent_dim: the d that they must have, compared before anything is inflated; None takes any. Raises NotFoundError
    when nothing is at the path, InputError or ShapeError when it does not hold latents.
    """
    return read_named_latents(source, latent_dim)[0]


def read_named_latents(source: str | Path, latent_dim: int | None = None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Latents as `read_latents` reads them, and the names that an `.npz` holds beside them, or none.

    Raises InputError, too, when there are not as many names as latents.
    """
    path, window = split_window(str(source))
    with open_source(path, ARRAYS) as opened:
        if opened.form == ZIP:
            axes, _ = npz_header(opened.stream, opened.where, _array_name(opened, "latents"))
            _check_latents(axes, str(source), latent_dim)
        latents = _array(opened, "latents")
        _check_latents(latents.shape, str(source), latent_dim)
        latents = np.atleast_2d(latents)
        names = _stored_names(opened, len(latents))
    chosen = latents[window]
    if len(chosen) == 0:
        raise InputError(str(source), found="no latents", expected="at least one")
    return chosen, names[window]


def _check_latents(axes: tuple[int, ...], where: str, latent_dim: int | None) -> None:
    if len(axes) not in (1, 2) or axes[-1] != (axes[-1] if latent_dim is None else latent_dim):
        raise ShapeError(where, found=f"shape {axes}", expected=f"latents (n, {latent_dim or 'd'})")


def _stored_names(source: Source, count: int) -> tuple[str, ...]:
    source.stream.seek(0)
    if source.form != ZIP or NAMES not in npz_names(source.stream, source.where):
        return ()
    names = read_npz(source.stream, source.where, [NAMES])[NAMES]
    if names.shape != (count,) or names.dtype.kind != "U":
        found, expected = f"{names.dtype} of shape {names.shape}", f"text of shape ({count},)"
        raise InputError(f"{source.where}: {NAMES}", found=found, expected=expected)
    return tuple(names.tolist())


def _part(stack: ExitStack, source: str, shape: Shape | None, resize: bool) -> np.ndarray | list[ImageFile]:
    """What one source gives: an array, or image files that are not opened yet."""
    path, window = split_window(source)
    if is_folder(path):
        return [ImageFile.at(file) for file in image_files(Path(path))[window]]
    with ExitStack() as own:
        opened = own.enter_context(open_source(path, IMAGES))
        if opened.size == 0:
            raise InputError(opened.where, found="an empty file", expected="images")
        if opened.form in (NPY, ZIP, GZIP, IDX):
            images = _stored_images(opened, window, shape, resize)
            return images if shape is None or len(images) == 0 else _resized(images, shape)
        if opened.again:  # thousands of files would otherwise be open at once
            return [ImageFile.at(Path(path))][window]
        stack.enter_context(own.pop_all())
        return [ImageFile(opened.where, stream=opened.stream)][window]


def _stored_images(source: Source, window: slice, shape: Shape | None, resize: bool) -> np.ndarray:
    """The images in `window` of a source that holds an array; its header is checked first."""

    def accept(axes: tuple[int, ...], dtype: np.dtype) -> None:
        _check_axes(axes, source.where, shape, resize)
        if dtype != np.uint8 and dtype.kind != "f":
            raise InputError(source.where, found=f"dtype {dtype}", expected="uint8, or float in [0, 1]")

    if source.form in (GZIP, IDX):
        return read_idx(source.stream, source.where, window, accept)
    if source.form == ZIP:
        name = _array_name(source, "images")
        axes, dtype = npz_header(source.stream, source.where, name)
        accept((1, *axes) if _is_one(axes, shape) else axes, dtype)
        images = read_npz(source.stream, source.where, [name])[name]
    else:
        images = _array(source, "images")
        images = images[None] if _is_one(images.shape, shape) else images
        accept(images.shape, images.dtype)
    return (images[None] if _is_one(images.shape, shape) else images)[window]


def _array(source: Source, name: str) -> np.ndarray:
    """The array of a `.npy`, mapped where it is on a disk, or of an `.npz` the one called `name` or the only one."""
    if source.form == ZIP:
        chosen = _array_name(source, name)
        return read_npz(source.stream, source.where, [chosen])[chosen]
    if source.on_disk:
        return map_npy_stream(source.stream, source.where)
    return read_npy(source.stream, source.size, source.where)


def _array_name(source: Source, name: str) -> str:
    names = npz_names(source.stream, source.where)
    if name in names:
        return name
    others = [one for one in names if one != NAMES]
    if len(others) == 1:
        return others[0]
    raise InputError(source.where, found=f"arrays {', '.join(names)}", expected=f"one array, or one called {name!r}")


def _is_one(axes: tuple[int, ...], shape: Shape | None) -> bool:
    """Whether an array is one image, without its batch axis."""
    return shape is not None and axes == image_shape(shape)


def _check_axes(axes: tuple[int, ...], where: str, shape: Shape | None, resize: bool) -> None:
    """Refuse an array whose axes are not those of images, or not of images that fit."""
    if len(axes) != 3 and not (len(axes) == 4 and axes[-1] == 3):
        raise ShapeError(where, found=f"shape {axes}", expected="(n, H, W) grey or (n, H, W, 3) colour")
    if 0 in axes[1:]:
        raise ShapeError(where, found=f"shape {axes}", expected="images of at least one pixel")
    if shape is None or axes[1:] == image_shape(shape):
        return
    channels = 1 if len(axes) == 3 else 3
    if channels != shape[0] or not resize:
        raise ShapeError(
            where,
            found=f"{'grey' if channels == 1 else 'colour'} images of {axes[2]}x{axes[1]} pixels",
            expected=f"{'grey' if shape[0] == 1 else 'colour'} images of {shape[2]}x{shape[1]}",
            remedy="Choose other images." if resize or channels != shape[0] else "--resize scales them.",
        )


def _resized(images: np.ndarray, shape: Shape) -> np.ndarray:
    """Images of the shape's size; those that have it already as they are, others as uint8."""
    from PIL import Image

    axes = image_shape(shape)
    if images.shape[1:] == axes:
        return images
    resized = np.empty((len(images), *axes), np.uint8)
    rows = max(1, PART_PIXELS // images[0].size)
    for start in range(0, len(images), rows):
        for i, one in enumerate(grey_levels(unit_pixels(images[start : start + rows])), start):
            resized[i] = np.asarray(Image.fromarray(one).resize((shape[2], shape[1]), Image.Resampling.LANCZOS))
        forget(images)
    return resized


def _joined(arrays: list[np.ndarray], sources: Sequence[str | Path]) -> np.ndarray:
    """One array of all; floats where some are floats and others grey levels."""
    if len(arrays) == 1:
        return arrays[0]
    for array, source in zip(arrays, sources, strict=True):
        if array.shape[1:] != arrays[0].shape[1:]:
            expected = f"{arrays[0].shape[1:]}, as {sources[0]} has"
            raise ShapeError(str(source), found=f"images of shape {array.shape[1:]}", expected=expected)
    if any(array.dtype != np.uint8 for array in arrays):
        arrays = [unit_pixels(array, str(source)) for array, source in zip(arrays, sources, strict=True)]
    return np.concatenate(arrays)
