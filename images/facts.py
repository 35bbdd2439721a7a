"""Facts about a grid of images, such as its model and its seed, as text inside a PNG file."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.PngImagePlugin import PngInfo

PREFIX = "aegen:"  # start of the PNG keyword of every fact
SIGNATURE = b"\x89PNG\r\n\x1a\n"  # the first bytes of every PNG file
MAX_FACTS, MAX_FACT_LETTERS = 100, 1000  # limits on what is read from a file, which may come from anyone


def png_text(facts: Mapping[str, str]) -> "PngInfo":
    """Texts for Pillow's encoder: each fact under its name after PREFIX, such as `aegen:seed`."""
    from PIL.PngImagePlugin import PngInfo  # imported only here, because only PNG files need it

    text = PngInfo()
    for name, fact in facts.items():
        text.add_text(PREFIX + name, fact)
    return text


def read_facts(path: str | Path) -> dict[str, str]:
    """Read the facts that aegen stored in a PNG file, by name, or nothing if there are none. No pixels are decoded.

    Characters that cannot be printed are shown as escape sequences, and long facts are cut. Raises InputError if the
    file cannot be read, is no PNG file or is damaged.
    """
    from PIL.PngImagePlugin import PngImageFile

    from ..files.paths import reason
    from ..runtime.errors import InputError
    from .decoding import DAMAGE_ERRORS

    try:
        # Pillow's warnings are silenced, because users cannot act on them.
        with Path(path).open("rb") as stream, warnings.catch_warnings(action="ignore"):
            if stream.read(len(SIGNATURE)) != SIGNATURE:
                raise InputError(str(path), found="another format", expected="a PNG file")
            stream.seek(0)
            try:
                # PngImageFile reads only the header. Image.open would refuse large images.
                texts = PngImageFile(stream).info
            except DAMAGE_ERRORS as error:
                raise InputError(f"{path} is damaged", found=error, expected="a PNG file") from error
    except OSError as error:
        raise InputError(str(path), found=reason(error), expected="a PNG file that can be read") from error
    facts = {str(name): text for name, text in texts.items() if isinstance(text, str) and str(name).startswith(PREFIX)}
    return {_printable(name.removeprefix(PREFIX)): _printable(facts[name]) for name in [*facts][:MAX_FACTS]}


def _printable(text: str) -> str:
    """Cut a text, and replace its control characters by escape sequences."""
    cut = text[:MAX_FACT_LETTERS]
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in cut)
