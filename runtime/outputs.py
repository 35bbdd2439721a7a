"""The form that an output's name asks for; nothing is imported to tell."""

from pathlib import Path

from .errors import InputError

SUFFIXES = (".png", ".npy", ".npz", ".gif")


def output_suffix(output: str) -> str:
    """The form that an output of pictures asks for: `.png`, `.npy`, `.npz`, `.gif`, `-`, or nothing for a folder.

    Raises InputError for any other suffix.
    """
    if output == "-":
        return "-"
    if Path(output).exists() and not Path(output).is_file() and not Path(output).is_dir():
        return ".npy"  # a device or a named pipe
    suffix = "" if output.endswith(("/", "\\")) else Path(output).suffix.lower()
    if suffix not in ("", *SUFFIXES):
        raise InputError(output, found=suffix, expected=f"{', '.join(SUFFIXES)}, a folder's name, or -")
    return suffix


def codes_suffix(output: str) -> str:
    """The form that an output of codes asks for: `.npy`, `.npz` or `-`. Raises InputError for any other suffix."""
    suffix = output_suffix(output)
    if suffix not in (".npy", ".npz", "-"):
        raise InputError(output, found=suffix or "no suffix", expected=".npy, .npz, or -")
    return suffix
