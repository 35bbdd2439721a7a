"""The file formats that images and latents are read from. New formats are added here and nowhere else.

A format that Pillow decodes needs one line in IMAGE_FORMATS. A format of arrays needs a class like `NpzFile` in a
module of its own, and one line in ARRAY_FORMATS; images and labels are then found by the names of the arrays.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ..files.sources import FileFormat, Source
from .array_files import ArrayFile, NpyFile, NpzFile
from .idx import GZIP_SIGNATURE, IDX_SIGNATURES, IdxFile

MAX_IMAGE_BYTES = 2**29  # largest image file that is read from a pipe


@dataclass(frozen=True)
class ImageFormat(FileFormat):
    """A format with one image in a file. suffixes: endings of such file names. pillow_name: Pillow's name of it."""

    suffixes: tuple[str, ...] = ()
    pillow_name: str = ""
    max_pipe_bytes: int = MAX_IMAGE_BYTES


@dataclass(frozen=True)
class ArrayFormat(FileFormat):
    """A format with one or several arrays in a file. open: makes an `ArrayFile` of an open source."""

    open: Callable[[Source[FileFormat]], ArrayFile] = NpyFile


IMAGE_FORMATS = (
    ImageFormat("PNG", (b"\x89PNG",), suffixes=(".png",), pillow_name="PNG"),
    ImageFormat("JPEG", (b"\xff\xd8\xff",), suffixes=(".jpg", ".jpeg"), pillow_name="JPEG"),
    ImageFormat("BMP", (b"BM",), suffixes=(".bmp",), pillow_name="BMP"),
    ImageFormat("WebP", (b"RIFF",), suffixes=(".webp",), pillow_name="WEBP"),
)
NPY = ArrayFormat(".npy", (b"\x93NUMPY",), open=NpyFile)
NPZ = ArrayFormat(".npz", (b"PK",), open=NpzFile)
IDX = ArrayFormat("IDX", (GZIP_SIGNATURE, *IDX_SIGNATURES), open=IdxFile)
ARRAY_FORMATS = (NPY, NPZ, IDX)

READABLE_FORMATS = (*IMAGE_FORMATS, *ARRAY_FORMATS)  # all formats that images are read from
LATENT_FORMATS = (NPY, NPZ)
IMAGE_SUFFIXES = tuple(suffix for format in IMAGE_FORMATS for suffix in format.suffixes)
PILLOW_NAMES = tuple(format.pillow_name for format in IMAGE_FORMATS)
