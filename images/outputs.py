"""The format that an output's name asks for."""

from ..files.output_errors import checked_output
from ..runtime.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".npy", ".npz")
GRIDS = (".png", ".jpg", ".jpeg", ".webp")


def output_suffix(output: str) -> str:
    """The form that an output of images asks for: one of SUFFIXES, `-`, or nothing for a folder.

    Raises InputError for any other suffix, OutputError for a name that no file can have.
    """
    if output == "-":
        return "-"
    path = checked_output(output)
    if path.exists() and not path.is_file() and not path.is_dir():
        return ".npy"  # a device or a named pipe
    suffix = "" if output.endswith(("/", "\\")) else path.suffix.lower()
    if suffix not in ("", *SUFFIXES):
        raise InputError(output, found=suffix, expected=f"{', '.join(SUFFIXES)}, a folder's name, or -")
    return suffix


def latents_suffix(output: str) -> str:
    """The form that an output of latents asks for: `.npy`, `.npz` or `-`. Raises InputError for any other suffix."""
    suffix = output_suffix(output)
    if suffix not in (".npy", ".npz", "-"):
        raise InputError(output, found=suffix or "no suffix", expected=".npy, .npz, or -")
    return suffix
