"""Names of images: that of the file an image came from is that of the file it is written to."""

from collections.abc import Sequence

from ..runtime.errors import InputError

NAMES = "names"  # the array of an .npz that holds them
SUFFIX = ".png"
MAX_BYTES = 255  # of a file's name, on most systems


def png_names(names: Sequence[str]) -> list[str]:
    """The file names that images are written under: `a.jpg` and `a.png` both become `a.png`.

    Raises InputError for two images of one name, whatever their case, and for what is no plain file name.
    """
    made: dict[str, str] = {}
    for name in names:
        stem = name.rpartition(".")[0] or name
        file = stem + SUFFIX
        plain = stem.strip(". ") and not any(letter in name for letter in "/\\\0")
        if not plain or len(file.encode("utf-8", "surrogatepass")) > MAX_BYTES:
            raise InputError("names", found=repr(name), expected="plain file names")
        if file.casefold() in made:
            remedy = "Write to one file, such as an .npz, or give the images different names."
            found = f"images {made[file.casefold()]} and {name}"
            raise InputError("names", found=found, expected=f"one {file} in the output folder", remedy=remedy)
        made[file.casefold()] = name
    return [(name.rpartition(".")[0] or name) + SUFFIX for name in names]
