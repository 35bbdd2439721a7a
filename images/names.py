"""The names of arrays in `.npz` files, and the names of output files, which are made from the names of input files."""

from collections.abc import Sequence

from ..runtime.errors import InputError

IMAGES, LATENTS, NAMES = "images", "latents", "names"  # array names; "names" holds image file names
SUFFIX = ".png"
MAX_NAME_BYTES = 255  # the longest file name that most file systems allow


def png_names(names: Sequence[str]) -> list[str]:
    """Make the names of output PNG files from the names of the input files: `a.jpg` and `a.png` both become `a.png`.

    Raises InputError when two output names are equal or differ only in case, and for a name that contains a folder or
    is too long.
    """
    files: list[str] = []
    originals: dict[str, str] = {}  # output name in lower case -> input name
    for name in names:
        stem = name.rpartition(".")[0] or name
        file = stem + SUFFIX
        is_plain = stem.strip(". ") and not any(letter in name for letter in "/\\\0")
        if not is_plain or len(file.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
            raise InputError("names", found=repr(name), expected="plain file names")
        if file.casefold() in originals:
            remedy = "Write to one file, such as an .npz, or give the images different names."
            found = f"images {originals[file.casefold()]} and {name}"
            raise InputError("names", found=found, expected=f"one {file} in the output folder", remedy=remedy)
        originals[file.casefold()] = name
        files.append(file)
    return files
