"""Read labels from a file of their own: an array, or a text with one label in each line."""

from pathlib import Path

import numpy as np

from ..files.sources import MAX_TEXT_BYTES, FileFormat, open_source
from ..images.array_files import array_name
from ..images.folders import natural_order
from ..images.formats import ARRAY_FORMATS, ArrayFormat
from ..runtime.errors import InputError
from .labels import MAX_DIGITS, idx_labels

TEXT = FileFormat("a text with one label in each line", (b"",), max_pipe_bytes=MAX_TEXT_BYTES)
EXPECTED = "labels in an .npy, .npz, IDX or text file"


def read_label_file(path: str | Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read labels, and the names of the labels 0, 1, ..., which are empty if all labels are numbers.

    path: a `.npy`, an `.npz` with `labels`, an IDX file, or a text file whose lines are numbers or class names. Returns
    labels int64 (n,). Raises NotFoundError when there is no file, InputError when it holds no labels.
    """
    with open_source(path, (*ARRAY_FORMATS, TEXT)) as source:
        if isinstance(source.format, ArrayFormat):
            file = source.format.open(source)
            stored = file.rows(array_name(file.names, "labels", source.name))
            if stored.dtype.kind in "iuf":
                return idx_labels(stored, source.name).astype(np.int64), ()
            raise InputError(source.name, found=str(stored.dtype), expected="whole numbers as labels")
        content = source.stream.read(MAX_TEXT_BYTES)
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError as error:
        raise InputError(str(path), found="another kind of file", expected=EXPECTED) from error
    texts = [line.strip() for line in (lines[:-1] if lines[-1] == "" else lines)]
    if not all(texts):
        raise InputError(str(path), found=f"no label in line {texts.index('') + 1}", expected="one label in each line")
    if all(text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS for text in texts):
        return np.array(texts, np.int64), ()
    names = sorted({*texts}, key=natural_order)
    index = {name: label for label, name in enumerate(names)}
    return np.array([index[text] for text in texts], np.int64), tuple(names)
