"""The formats that images and latents are written in. New output formats are added here and nowhere else."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from ..files.output_errors import checked_output
from ..runtime.errors import InputError

STANDARD_OUTPUT = "-"
JPEG_QUALITY = 95  # Pillow's quality setting for JPEG files, from 1 to 100


class OutputFormat(NamedTuple):
    """A format that images or latents are written in.

    kind: a grid (one image that shows all images), an animation, an array file, or a folder with one PNG per image.
    pillow_name: Pillow's name for the image format; empty for arrays and folders. options: arguments for Pillow's
    encoder. max_side: the largest height or width, in pixels, that the image format allows.
    """

    kind: Literal["grid", "animation", "npy", "npz", "folder"]
    pillow_name: str = ""
    options: Mapping[str, Any] = MappingProxyType({})
    max_side: int = 0

    @property
    def holds_arrays(self) -> bool:
        """Whether the format stores arrays, in which floats stay unchanged, instead of 8-bit images."""
        return self.kind in ("npy", "npz")


PNG = OutputFormat("grid", "PNG", max_side=2**31 - 1)
# Subsampling 0 stores colour at full resolution, so that colour edges stay sharp.
JPEG = OutputFormat("grid", "JPEG", {"quality": JPEG_QUALITY, "subsampling": 0}, max_side=65_535)
GIF = OutputFormat("animation", "GIF", max_side=65_535)
NPY = OutputFormat("npy")
FOLDER = OutputFormat("folder")
OUTPUT_FORMATS = {
    ".png": PNG,
    ".jpg": JPEG,
    ".jpeg": JPEG,
    ".webp": OutputFormat("grid", "WEBP", {"lossless": True}, max_side=16_383),
    ".gif": GIF,
    ".npy": NPY,
    ".npz": OutputFormat("npz"),
}
GRID_SUFFIXES = tuple(suffix for suffix, format in OUTPUT_FORMATS.items() if format.kind == "grid")


def output_format(output: str) -> OutputFormat:
    """Choose the format of an output by its suffix: FOLDER if it has none; NPY for devices, pipes and `-` (stdout).

    Raises InputError for a suffix that is not in OUTPUT_FORMATS, OutputError for a name that no file can have.
    """
    if output == STANDARD_OUTPUT:
        return NPY
    path = checked_output(output)
    if path.exists() and not path.is_file() and not path.is_dir():
        return NPY  # the path is a device or a named pipe
    suffix = "" if output.endswith(("/", "\\")) else path.suffix.lower()
    if not suffix:
        return FOLDER
    if suffix not in OUTPUT_FORMATS:
        raise InputError(output, found=suffix, expected=f"{', '.join(OUTPUT_FORMATS)}, a folder's name, or -")
    return OUTPUT_FORMATS[suffix]


def latents_format(output: str) -> OutputFormat:
    """The format in which latents are written: `.npy` or `.npz`. Raises InputError for any other suffix."""
    format = output_format(output)
    if not format.holds_arrays:
        suffix = checked_output(output).suffix.lower()
        raise InputError(output, found=suffix or "no suffix", expected=".npy, .npz, or -")
    return format
