"""Read pictures from whatever a person has: image files, folders, `.npy`, `.npz`, IDX, or a pipe.

A source may end in a slice, `t10k-images-idx3-ubyte.gz[0:16]` or `digits.npy[3]`, as on a Python list.
"""

import io
import re
import sys
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .arrays import NPY_MAGIC, map_npy, read_npy, read_npz
from .errors import InputError, NotFoundError, ShapeError
from .idx import read_idx
from .pixels import Shape, picture_shape

IMAGE_FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
LARGEST_IMAGE = 100_000_000  # pixels; checked before anything is decoded
WHOLE = slice(None)


def read_pictures(source: str | Path, *, shape: Shape | None = None, resize: bool = False) -> np.ndarray:
    """Pictures of `source`, (n, H, W) grey or (n, H, W, 3) colour, uint8 or float as stored.

    shape: the (C, H, W) that they must have; image files are turned to grey or to colour to fit. None takes what is
    there, colour if any picture has it. resize: scale pictures of another size to `shape` instead of refusing them.
    A folder gives its image files in the order of their names; `-` reads standard input.
    Raises NotFoundError when nothing is at the path, InputError or ShapeError when it does not hold such pictures.
    """
    path, window = split_window(str(source))
    if path == "-":
        content = _standard_input()
        pictures = _from_stream(io.BytesIO(content), len(content), "standard input", window, shape, resize)
    elif Path(path).is_dir():
        files = image_files(Path(path))[window]
        pictures = read_image_files(files, shape=shape, resize=resize) if files else np.empty((0, 0, 0), np.uint8)
    else:
        pictures = _from_file(existing(path), window, shape, resize)
    if len(pictures) == 0:
        raise InputError(str(source), found="no pictures", expected="at least one")
    return pictures if shape is None else _fitted(pictures, shape, resize, str(source))


def read_codes(source: str | Path) -> np.ndarray:
    """Latent codes (n, d) of a `.npy` or `.npz` source, as stored; one code (d,) becomes (1, d). `-` is standard input.

    Raises NotFoundError when there is nothing at the path, InputError or ShapeError when it does not hold codes.
    """
    path, window = split_window(str(source))
    if path == "-":
        content = _standard_input()
        codes = _array(io.BytesIO(content), len(content), "standard input", "codes")
    else:
        file = existing(path)
        with file.open("rb") as stream:
            codes = _array(stream, file.stat().st_size, path, "codes")
    if codes.ndim not in (1, 2):
        raise ShapeError(str(source), found=f"shape {codes.shape}", expected="codes (n, d)")
    chosen = np.atleast_2d(codes)[window]
    if len(chosen) == 0:
        raise InputError(str(source), found="no codes", expected="at least one")
    return chosen


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise InputError("standard input", found="closed", expected="pictures or arrays")
    return sys.stdin.buffer.read()


def image_files(folder: Path) -> list[Path]:
    """The image files directly in a folder, by name. Raises InputError when there are none."""
    files = images_in(folder)
    if not files:
        raise InputError(str(folder), found="no pictures", expected=f"files ending in {', '.join(IMAGE_SUFFIXES)}")
    return files


def images_in(folder: Path) -> list[Path]:
    """The image files directly in a folder, by name; hidden ones, which some systems leave behind, do not count."""
    named = (file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
    return sorted(file for file in named if file.is_file() and not file.name.startswith("."))


def read_image_files(files: list[Path], *, shape: Shape | None = None, resize: bool = False) -> np.ndarray:
    """The pictures of image files, all of one size, in colour if any of them is.

    Raises ShapeError naming the first file of another size, InputError naming one that cannot be decoded.
    """
    pictures = []
    for file in files:
        with file.open("rb") as stream:
            pictures.append(decode_image(stream, str(file), shape, resize))
    return _stacked(pictures, files, "Scale the pictures to one size." if shape is None else "--resize scales them.")


def existing(path: str | Path) -> Path:
    """The path, if it is a file. Raises NotFoundError otherwise."""
    if not Path(path).is_file():
        found = "a folder" if Path(path).is_dir() else "no such file"
        raise NotFoundError(str(path), found=found, expected="a file")
    return Path(path)


def split_window(source: str) -> tuple[str, slice]:
    """`path[2:5]` -> ("path", slice(2, 5)); `path[3]` -> ("path", slice(3, 4)). A path that exists is never split."""
    match = re.fullmatch(r"(.+)\[([^\[\]]*)\]", source)
    if match is None or Path(source).exists():
        return source, WHOLE
    path, window = match.groups()
    if number := re.fullmatch(r"-?\d+", window):
        index = int(number[0])
        return path, slice(index, index + 1 if index != -1 else None)
    if ends := re.fullmatch(r"(-?\d*):(-?\d*)", window):
        start, stop = (int(end) if end else None for end in ends.groups())
        return path, slice(start, stop)
    raise InputError(source, found=f"the slice [{window}]", expected="one like [3], [0:16], [:16] or [-16:]")


def _from_file(path: Path, window: slice, shape: Shape | None, resize: bool) -> np.ndarray:
    with path.open("rb") as stream:
        magic = stream.read(6)
        stream.seek(0)
        if magic.startswith(NPY_MAGIC):
            return _checked_axes(map_npy(path), str(path), shape)[window]
        return _from_stream(stream, path.stat().st_size, str(path), window, shape, resize)


def _from_stream(
    stream: BinaryIO, size: int, where: str, window: slice, shape: Shape | None, resize: bool
) -> np.ndarray:
    magic = stream.read(6)
    stream.seek(0)
    if size == 0:
        raise InputError(where, found="an empty file", expected="pictures")
    if magic.startswith((b"\x1f\x8b", b"\0\0")):
        return _checked_axes(read_idx(stream, where, window), where, shape)
    if magic.startswith((NPY_MAGIC, b"PK")):
        return _checked_axes(_array(stream, size, where, "images"), where, shape)[window]
    return decode_image(stream, where, shape, resize)[None][window]


def _stacked(pictures: list[np.ndarray], files: list[Path], remedy: str) -> np.ndarray:
    for picture, file in zip(pictures, files, strict=True):
        if picture.shape[:2] != pictures[0].shape[:2]:
            raise ShapeError(
                str(file),
                found=f"{picture.shape[1]}x{picture.shape[0]} pixels",
                expected=f"{pictures[0].shape[1]}x{pictures[0].shape[0]}, as {files[0].name} has",
                remedy=remedy,
            )
    if any(picture.ndim == 3 for picture in pictures):
        pictures = [picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, -1) for picture in pictures]
    return np.stack(pictures)


def decode_image(stream: BinaryIO, where: str, shape: Shape | None = None, resize: bool = False) -> np.ndarray:
    """One PNG, JPEG, BMP or WebP as uint8 (H, W) or (H, W, 3).

    shape (C, H, W) chooses between grey and colour, and with resize the size too; without it the file's own are kept.
    The picture is turned as its EXIF data says, and what is transparent becomes black.
    """
    try:
        with warnings.catch_warnings(), Image.open(stream, formats=IMAGE_FORMATS) as opened:
            warnings.simplefilter("ignore")  # of a size that is checked here, and of palettes that are handled below
            if opened.width * opened.height > LARGEST_IMAGE:
                raise InputError(where, found=f"{opened.width}x{opened.height} pixels", expected="at most 100 million")
            image = ImageOps.exif_transpose(opened)
            colour = _is_colour(image) if shape is None else shape[0] == 3
            plain = _eight_bits(_on_black(image), colour=colour)
            if shape is not None and resize and plain.size != (shape[2], shape[1]):
                plain = plain.resize((shape[2], shape[1]), Image.Resampling.LANCZOS)
            return np.asarray(plain)
    except UnidentifiedImageError as error:
        expected = "PNG, JPEG, BMP, WebP, .npy, .npz or IDX"
        raise InputError(where, found="no format that can be read", expected=expected) from error
    except (InputError, MemoryError):
        raise
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise InputError(f"{where} is damaged: {error}") from error


def _on_black(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    layer = image.convert("RGBA")
    ground = Image.new("RGBA", layer.size, (0, 0, 0, 255))
    return Image.alpha_composite(ground, layer).convert("RGB")


def _is_colour(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):  # a palette may hold nothing but greys
        red, green, blue = np.moveaxis(np.asarray(image.convert("RGB")), -1, 0)
        return not (np.array_equal(red, green) and np.array_equal(green, blue))
    return image.mode in ("RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")


def _eight_bits(image: Image.Image, *, colour: bool) -> Image.Image:
    if image.mode.startswith("I;16"):  # Pillow's own conversion clips instead of scaling
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    return image.convert("RGB" if colour else "L")


def _array(stream: BinaryIO, size: int, where: str, name: str) -> np.ndarray:
    """The array of a `.npy`, or of an `.npz` the one called `name` or the only one."""
    if stream.read(2) != b"PK":
        stream.seek(0)
        return read_npy(stream, size, where)
    stream.seek(0)
    arrays = read_npz(stream, where)
    if name in arrays:
        return arrays[name]
    if len(arrays) == 1:
        return next(iter(arrays.values()))
    raise InputError(where, found=f"arrays {', '.join(arrays)}", expected=f"one array, or one called {name!r}")


def _checked_axes(pictures: np.ndarray, where: str, shape: Shape | None) -> np.ndarray:
    """Give one picture its batch axis; refuse what is no stack of pictures."""
    if shape is not None and pictures.shape == picture_shape(shape):
        return pictures[None]
    if pictures.ndim == 3 or (pictures.ndim == 4 and pictures.shape[-1] == 3):
        return pictures
    raise ShapeError(where, found=f"shape {pictures.shape}", expected="(n, H, W) grey or (n, H, W, 3) colour")


def _fitted(pictures: np.ndarray, shape: Shape, resize: bool, where: str) -> np.ndarray:
    axes = picture_shape(shape)
    if pictures.shape[1:] == axes:
        return pictures
    channels = 1 if pictures.ndim == 3 else 3
    if resize and channels == shape[0]:
        return _resized(pictures, shape)
    raise ShapeError(
        where,
        found=f"{'grey' if channels == 1 else 'colour'} pictures of {pictures.shape[2]}x{pictures.shape[1]} pixels",
        expected=f"{'grey' if shape[0] == 1 else 'colour'} pictures of {shape[2]}x{shape[1]}",
        remedy="Choose other pictures." if resize or channels != shape[0] else "--resize scales them.",
    )


def _resized(pictures: np.ndarray, shape: Shape) -> np.ndarray:
    from .pixels import grey_levels, unit_pixels

    levels = grey_levels(unit_pixels(pictures))
    size = (shape[2], shape[1])
    return np.stack([np.asarray(Image.fromarray(one).resize(size, Image.Resampling.LANCZOS)) for one in levels])
