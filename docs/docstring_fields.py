"""A Sphinx extension that turns the docstrings of this project, which are plain prose, into reStructuredText.

A docstring describes its parameters in sentences such as `seed: an integer. start: index of the first image.` They
become a list. Indented examples become literal blocks, and characters that reStructuredText would interpret are
escaped.
"""

import contextlib
import dataclasses
import inspect
import re
from typing import Any

from sphinx.application import Sphinx

LAST_SENTENCES = r"(?<=[.)] )(?=(?:Returns|Raises|Source:) )"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension. Sphinx calls this function."""
    app.connect("autodoc-process-docstring", process)
    return {"parallel_read_safe": True}


def process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Replace the lines of a docstring, in place. Sphinx calls this function for each docstring."""
    lines[:] = converted("\n".join(lines), parameter_names(obj)).split("\n")


def parameter_names(obj: Any) -> set[str]:
    """The names of a function's parameters, or of a class's fields and parameters."""
    names: set[str] = set()
    if dataclasses.is_dataclass(obj):
        names |= {field.name for field in dataclasses.fields(obj)}
    if inspect.isclass(obj):
        names |= set(vars(obj).get("__annotations__", {}))
    if callable(obj):
        with contextlib.suppress(ValueError):  # some classes of C extensions have no signature
            names |= set(inspect.signature(obj).parameters)
    return names - {"self"}


def converted(text: str, names: set[str]) -> str:
    """The docstring `text` as reStructuredText. names: the parameters that it may describe."""
    blocks = []
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        if block.startswith(" "):
            blocks.append(f"::\n\n{block}")
        else:
            blocks += _paragraph(" ".join(block.split()), names)
    return "\n\n".join(blocks) + "\n"


def _paragraph(text: str, names: set[str]) -> list[str]:
    """Split a paragraph at the descriptions of parameters, and at what is returned, raised or cited."""
    blocks: list[str] = []
    for part in re.split(LAST_SENTENCES, text):
        pieces = re.split(r"(?:^|(?<=[.)] ))(\w+(?:, \w+)*): ", part)
        prose, described = pieces[0], list(zip(pieces[1::2], pieces[2::2], strict=True))
        items = []
        for subjects, meaning in described:
            if {*subjects.split(", ")} <= names:
                items.append(
                    f"* {', '.join(f'``{name}``' for name in subjects.split(', '))}: {_escaped(meaning.strip())}"
                )
            elif items:
                items[-1] += f" {subjects}: {_escaped(meaning.strip())}"
            else:
                prose += f"{subjects}: {meaning}"
        if prose.strip():
            blocks.append(_escaped(prose.strip()))
        if items:
            blocks.append("\n".join(items))
    return blocks


def _escaped(text: str) -> str:
    """Escape the characters of a text that reStructuredText would interpret; text in backticks becomes literal."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return re.sub(r"([\\*|`]|_\b)", r"\\\1", text)
    escaped = [
        f"``{part}``" if index % 2 else re.sub(r"([\\*|]|_\b)", r"\\\1", part) for index, part in enumerate(parts)
    ]
    return "".join(escaped)
