"""Names of arrays in `.npz` files, and names of output files, which follow the names of input files."""

from collections.abc import Sequence

from ..runtime.errors import InputError

IMAGES, LATENTS, NAMES = "images", "latents", "names"  # names of arrays in an `.npz`; `names` holds file names
SUFFIX = ".png"
MAX_NAME_BYTES = 255  # the longest file name on most systems


def png_names(names: Sequence[str]) -> list[str]:
    """The names of the PNG files that images are written to: `a.jpg` and `a.png` both become `a.png`.

    Raises InputError when two output names would differ at most in case, and for a name that contains a folder.
    """
    files: list[str] = []
    originals: dict[str, str] = {}  # input names, by output name in lower case
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
