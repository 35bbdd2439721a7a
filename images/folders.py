"""Find the image files in a folder, and sort them so that `2.png` comes before `10.png`."""

import re
from pathlib import Path
from typing import Any

from ..files.paths import is_file, list_folder
from ..runtime.errors import InputError
from .formats import IMAGE_SUFFIXES


def require_image_paths(folder: Path) -> list[Path]:
    """The image files directly in a folder, sorted by `natural_order`. Raises InputError when there are none."""
    paths = image_paths(folder)
    if not paths:
        raise InputError(str(folder), found="no images", expected=f"files ending in {', '.join(IMAGE_SUFFIXES)}")
    return paths


def image_paths(folder: Path) -> list[Path]:
    """The image files directly in a folder, sorted by `natural_order`. Hidden files are left out.

    Raises InputError when the folder cannot be read.
    """
    named = (path for path in list_folder(folder) if path.suffix.lower() in IMAGE_SUFFIXES)
    paths = (path for path in named if not path.name.startswith(".") and is_file(path))
    return sorted(paths, key=lambda path: natural_order(path.name))


def natural_order(name: str) -> tuple[Any, ...]:
    """A sort key for file names that compares numbers in them by value: `2.png` comes before `10.png`."""
    parts = re.split(r"([0-9]+)", name)
    return tuple(int(part) if i % 2 else part.casefold() for i, part in enumerate(parts)), name
