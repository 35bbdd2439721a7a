"""Read a folder of array files, one array in each: as Kuzushiji sets and many Keras examples are published."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from ..files.paths import is_file, list_folder
from ..files.sources import open_source
from ..images.array_files import UNNAMED
from ..images.folders import natural_order
from ..images.formats import NPY, NPZ
from ..runtime.errors import InputError
from .arrays import named_arrays
from .images import UnsplitDataset
from .named_arrays import has_layout, read_named_arrays
from .part_names import name_parts

SUFFIXES = (".npy", ".npz")


def array_paths(folder: Path) -> list[Path]:
    """The `.npy` and `.npz` files of a folder whose names state their part and content, in natural order of the names.

    Such names are `kmnist-train-imgs.npz` and `y_test.npy`. Empty if none of them holds images.
    """
    paths = [path for path in list_folder(folder) if path.suffix.lower() in SUFFIXES and is_file(path)]
    named = [path for path in paths if not path.name.startswith(".") and name_parts(path.stem).content is not None]
    images = any(name_parts(path.stem).content == "images" for path in named)
    return sorted(named, key=lambda path: natural_order(path.name)) if images else []


def read_array_folder(folder: Path) -> UnsplitDataset:
    """Read images and labels from array files. The file names state the part of the data set and the content.

    Raises InputError for files of several sets and for a file with several arrays. Also raises the errors of
    `read_named_arrays`.
    """
    paths = array_paths(folder)
    set_names = sorted({name_parts(path.stem).set_name for path in paths if name_parts(path.stem).content == "images"})
    if len(set_names) > 1:
        remedy = "Put each set in a folder of its own."
        found = f"files of several sets: {', '.join(name or 'without a name' for name in set_names)}"
        raise InputError(str(folder), found=found, expected="those of one", remedy=remedy)
    arrays, remarks = [], []
    with ExitStack() as stack:
        for path in paths:
            parts = name_parts(path.stem)
            if parts.set_name != set_names[0]:
                remarks.append(f"{path} is not read")
                continue
            source = stack.enter_context(open_source(path, (NPY, NPZ)))
            inner = named_arrays(source.format.open(source), source.name)
            if len(inner) != 1:
                found = f"arrays {', '.join(array.name for array in inner)}"
                raise InputError(str(path), found=found, expected="one array in each file of the folder")
            name = "_".join(word for word in (parts.part, parts.content) if word)
            source_name = source.name if inner[0].name == UNNAMED else inner[0].source_name
            arrays.append(replace(inner[0], name=name, source_name=source_name))
        unsplit = read_named_arrays(arrays, str(folder))
    return replace(unsplit, remarks=(*remarks, *unsplit.remarks))


def is_array_folder(folder: Path) -> bool:
    """Whether a folder holds array files of a set; one file alone is enough if its name states a part."""
    return has_layout(path.stem for path in array_paths(folder)) or len(array_paths(folder)) > 1
