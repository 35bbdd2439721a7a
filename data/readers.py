"""Decide which reader reads the images at a path."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from ..files.paths import ALL_ROWS, is_file, is_folder, is_pipe, list_folder, split_slice
from ..files.sources import read_head
from ..files.unpacking import is_archive, unpacked
from ..images.folders import image_paths
from ..images.read_options import ReadOptions
from ..runtime.errors import InputError
from .array_folder import is_array_folder, read_array_folder
from .arrays import read_array_file
from .class_arrays import holds_class_arrays, read_class_arrays
from .foreign_files import refuse_foreign, refuse_foreign_folder
from .idx_folder import has_idx, read_idx_folder
from .image_folder import part_folders, read_image_folder, sub_folders_of
from .images import UnsplitDataset
from .tables import PARQUET_MAGIC, is_table, read_tables, tables_in

MAX_DEPTH = 3  # images are searched for in folders up to this many levels below the user's folder
MAX_LISTED = 10  # maximum number of folders in one message
MAX_SEARCHED = 200  # a folder with more sub-folders is not searched, because they are probably classes
ARRAY_SUFFIXES = (".npz", ".npy")


def read(data: str, options: ReadOptions) -> UnsplitDataset:
    """Read the images at a path, which is a file, a folder, a pipe or `-`. The path may end in a slice, which
    selects training images in stored order, and images of a folder in natural order.

    Raises NotFoundError when there is nothing at the path; InputError, which says what was found and what was expected,
    when there are no images that can be read, or when the path can be understood in several ways.
    """
    path, window = split_slice(data)
    if is_folder(path):
        return read_folder(Path(path), options, window)
    if is_pipe(path) or not is_file(path):
        return read_array_file(data, options)
    if (unsplit := _read_container(Path(path), options, window)) is None:
        refuse_foreign(Path(path))
        return read_array_file(data, options)
    return unsplit


def _read_container(path: Path, options: ReadOptions, window: slice) -> UnsplitDataset | None:
    """Read a file that holds a whole set: an archive or a table. None if the file is neither."""
    if is_table(path) or read_head(path, len(PARQUET_MAGIC)) == PARQUET_MAGIC:
        return _rows(read_tables({"train": [path]}, options), window)
    if not is_archive(path):
        return None
    refuse_foreign(path)
    with unpacked(path) as folder:
        unsplit = read_folder(folder, options, window)
        return replace(unsplit, remarks=tuple(remark.replace(str(folder), str(path)) for remark in unsplit.remarks))


def read_folder(folder: Path, options: ReadOptions, window: slice = ALL_ROWS) -> UnsplitDataset:
    """Read a folder: IDX files, arrays, tables, image files, or one of these a few levels below.

    window: a slice that selects the training images to read. Raises InputError if there are no readable images.
    """
    if (unsplit := _read_directly(folder, options, window)) is not None:
        return unsplit
    if not (found := list(_folders_below(folder, MAX_DEPTH, _is_set))):
        # Such files may be statistics of a set, so they are read only if there is nothing else.
        if holds_class_arrays(folder):
            return _rows(read_class_arrays(folder), window)
        found = list(_folders_below(folder, MAX_DEPTH, holds_class_arrays))
    if len(found) > 1:
        names = ", ".join(str(path.relative_to(folder)) for path in found[:MAX_LISTED])
        remedy = "Give the path of one of them."
        raise InputError(str(folder), found=f"images in several folders: {names}", expected="one set", remedy=remedy)
    if found:
        unsplit = _read_directly(found[0], options, window) or _rows(read_class_arrays(found[0]), window)
        return replace(unsplit, remarks=(f"{folder}: the images are in {found[0]}", *unsplit.remarks))
    refuse_foreign_folder(folder)
    return read_image_folder(folder, options, window)


def _read_directly(folder: Path, options: ReadOptions, window: slice) -> UnsplitDataset | None:
    """Read a folder with images or the parts of a set directly in it. None if it holds neither."""
    if has_idx(folder):
        return _rows(read_idx_folder(folder), window)
    if is_array_folder(folder):
        return _rows(read_array_folder(folder), window)
    if has_images(folder):
        return read_image_folder(folder, options, window)
    if tables := tables_in(folder):
        return _rows(read_tables(tables, options), window)
    if (only := _only_set(folder)) is None:
        return None
    return _read_container(only, options, window) or _rows(read(str(only), options), window)


def _rows(unsplit: UnsplitDataset, window: slice) -> UnsplitDataset:
    """A set with the training images that a slice selects."""
    return unsplit if window == ALL_ROWS else replace(unsplit, training=unsplit.training[window])


def has_images(folder: Path) -> bool:
    """Whether a folder holds image files, or sub-folders with image files, or the parts of a set."""
    if image_paths(folder) or any(image_paths(path) for path in sub_folders_of(folder)):
        return True
    return any(_has_class_folders(path) for path in part_folders(folder).values())


def _has_class_folders(folder: Path) -> bool:
    return any(image_paths(path) for path in sub_folders_of(folder))


def _only_set(folder: Path) -> Path | None:
    """The only file in a folder that may hold a whole set (`.npy`, `.npz`, archive); None if none or several may."""
    paths = [path for path in list_folder(folder) if not path.name.startswith(".") and is_file(path)]
    sets = [path for path in paths if path.suffix.lower() in ARRAY_SUFFIXES or is_archive(path)]
    return sets[0] if len(sets) == 1 else None


def _is_set(folder: Path) -> bool:
    """Whether a folder holds images or the parts of a set itself."""
    return (
        has_idx(folder) or is_array_folder(folder) or has_images(folder) or bool(tables_in(folder) or _only_set(folder))
    )


def _folders_below(folder: Path, depth: int, is_wanted: Callable[[Path], bool]) -> Iterator[Path]:
    """The wanted folders at most `depth` levels below a folder. Nothing below such a folder is searched."""
    sub_folders = sub_folders_of(folder) if depth else []
    for path in sub_folders if len(sub_folders) <= MAX_SEARCHED else []:
        if is_wanted(path):
            yield path
        else:
            yield from _folders_below(path, depth - 1, is_wanted)
