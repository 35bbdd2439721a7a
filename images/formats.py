"""The file formats that images and latents are read from. New formats are added here and nowhere else.

A format that Pillow decodes needs only one line in IMAGE_FORMATS. A format that stores arrays needs a class like
`NpzFile` in a module of its own, and one line in ARRAY_FORMATS. `array_name` then selects the array to read.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ..files.sources import FileFormat, Source
from .array_files import ArrayFile, NpyFile, NpzFile
from .idx import GZIP_SIGNATURE, IDX_SIGNATURES, IdxFile

MAX_IMAGE_BYTES = 2**29  # limit on the bytes of an image file that comes through a pipe


@dataclass(frozen=True)
class ImageFormat(FileFormat):
    """A format whose files hold one image each.

    suffixes: the endings of file names that mark this format. pillow_name: Pillow's name for the format.
    """

    suffixes: tuple[str, ...] = ()
    pillow_name: str = ""
    max_pipe_bytes: int = MAX_IMAGE_BYTES


@dataclass(frozen=True)
class ArrayFormat(FileFormat):
    """A format whose files hold one or several arrays.

    open: a function that makes an `ArrayFile` from a `Source`, which is a file or pipe opened for reading.
    """

    open: Callable[[Source[FileFormat]], ArrayFile] = NpyFile


IMAGE_FORMATS = (
    ImageFormat("PNG", (b"\x89PNG",), suffixes=(".png",), pillow_name="PNG"),
    ImageFormat("JPEG", (b"\xff\xd8\xff",), suffixes=(".jpg", ".jpeg"), pillow_name="JPEG"),
    ImageFormat("BMP", (b"BM",), suffixes=(".bmp",), pillow_name="BMP"),
    ImageFormat("WebP", (b"RIFF",), suffixes=(".webp",), pillow_name="WEBP"),
    ImageFormat("TIFF", (b"II*\0", b"MM\0*"), suffixes=(".tif", ".tiff"), pillow_name="TIFF"),
)
NPY = ArrayFormat(".npy", (b"\x93NUMPY",), open=NpyFile)
NPZ = ArrayFormat(".npz", (b"PK",), open=NpzFile)
IDX = ArrayFormat("IDX", (GZIP_SIGNATURE, *IDX_SIGNATURES), open=IdxFile)
ARRAY_FORMATS = (NPY, NPZ, IDX)

READABLE_FORMATS = (*IMAGE_FORMATS, *ARRAY_FORMATS)  # all file formats that images can be read from
LATENT_FORMATS = (NPY, NPZ)
IMAGE_SUFFIXES = tuple(suffix for format in IMAGE_FORMATS for suffix in format.suffixes)
PILLOW_NAMES = tuple(format.pillow_name for format in IMAGE_FORMATS)
