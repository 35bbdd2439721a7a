"""Read CSV tables with one image in each row: pixels in columns, and perhaps a label in another column."""

import csv
import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from ..files.paths import reason
from ..images.array_layouts import is_square
from ..runtime.errors import InputError
from .images import UnsplitDataset
from .named_arrays import NamedArray, read_named_arrays
from .part_names import Part

LABEL_COLUMNS = ("label", "labels", "target", "targets", "y", "class", "classes", "digit", "category")
INDEX_COLUMNS = ("", "unnamed: 0", "id", "index")  # names of a first column that only counts the rows
DELIMITERS = ",;\t"
CHUNK_LINES = 4096
Values = tuple[np.ndarray, np.ndarray | None]  # pixels (lines, pixels), and the texts of the labels (lines,) or None


class _Columns(NamedTuple):
    """The columns of a table: the index of the label column, or None, and the indices of the pixels.

    has_header: whether the first row holds names. other_columns: number of columns that are not pixels.
    """

    label: int | None
    pixels: list[int]
    has_header: bool
    delimiter: str
    other_columns: int


def read_csv(tables: dict[Part, list[Path]]) -> UnsplitDataset:
    """Read the images of CSV files by part, and the labels if there is a column for them.

    With a header, the label column is one that is called label, target, y, class or similar. Without a header, the
    first column is the label if the others are as many as the pixels of a square image. Raises InputError for tables
    with other columns.
    """
    arrays: list[NamedArray] = []
    remarks: list[str] = []
    for part, paths in tables.items():
        pixels, labels = zip(*(_read(path, remarks) for path in paths), strict=True)
        source_name = str(paths[0])
        images = _stacked(list(pixels), source_name)
        arrays.append(_array(f"{part}_images", source_name, images))
        present = [each for each in labels if each is not None]
        if len(present) == len(labels):
            arrays.append(_array(f"{part}_labels", f"{source_name}: labels", np.concatenate(present)))
    unsplit = read_named_arrays(arrays, str(next(iter(tables.values()))[0]))
    return UnsplitDataset(
        unsplit.training,
        unsplit.test,
        unsplit.class_names,
        (*remarks, *unsplit.remarks),
        unsplit.shuffle,
        unsplit.validation,
    )


def _array(name: str, source_name: str, values: np.ndarray) -> NamedArray:
    return NamedArray(name, source_name, values.shape, values.dtype, lambda: values)


def _read(path: Path, remarks: list[str]) -> tuple[np.ndarray, np.ndarray | None]:
    """Read one table: pixels (n, pixels), uint8 or float32, and labels (n,), numbers or texts, or None."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            columns = _columns(stream, str(path), remarks)
            stream.seek(0)
            lines = itertools.islice(stream, int(columns.has_header), None)
            return _values(lines, columns, str(path))
    except UnicodeDecodeError as error:
        raise InputError(str(path), found="bytes that are no text", expected="a CSV table in UTF-8") from error
    except OSError as error:
        raise InputError(str(path), found=reason(error), expected="a file that can be read") from error


def _columns(stream: TextIO, source_name: str, remarks: list[str]) -> _Columns:
    """Recognise the columns from the first row. `remarks` gets a sentence if the label column is a guess."""
    line = stream.readline()
    delimiter = max(DELIMITERS, key=line.count)
    names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    if len(names) < 2:
        raise InputError(source_name, found=f"{len(names)} columns", expected="a column for each pixel")
    indices = list(range(len(names)))
    if not _is_header(names):
        if is_square(len(names)):
            return _Columns(None, indices, False, delimiter, 0)
        if is_square(len(names) - 1):
            remarks.append(f"{source_name}: there is no header, and the first column is taken for the label")
            return _Columns(0, indices[1:], False, delimiter, 1)
        found = f"{len(names):,} columns without a header"
        expected = "as many as the pixels of a square image, or one more, the first, for the label"
        raise InputError(source_name, found=found, expected=expected)
    labels = [i for i, name in enumerate(names) if name.lower() in LABEL_COLUMNS]
    if len(labels) > 1:
        found = f"columns {', '.join(names[i] for i in labels)}, which all may be labels"
        raise InputError(source_name, found=found, expected="one", remedy="Remove the others, or rename them.")
    skipped = [i for i in (0,) if names[i].lower() in INDEX_COLUMNS]
    pixels = [i for i in indices if i not in (*labels, *skipped)]
    if not is_square(len(pixels)):
        found = f"{len(pixels):,} columns besides {names[labels[0]] if labels else 'no label'}"
        expected = "as many as the pixels of a square image"
        remedy = f"A label column is called {', '.join(LABEL_COLUMNS[:5])} or similar."
        raise InputError(source_name, found=found, expected=expected, remedy=remedy)
    return _Columns(labels[0] if labels else None, pixels, True, delimiter, len(indices) - len(pixels))


def _is_header(names: list[str]) -> bool:
    """Whether a row holds the names of columns: some are not numbers, or all are numbers in sequence (0, 1, 2, ...).

    If there are more than two fields, the first and the last are left out, because they may be labels, and a label need
    not be a number. A sequence starts at 0, 1 or 2.
    """
    if names[0].lower() in LABEL_COLUMNS or names[-1].lower() in LABEL_COLUMNS:
        return True
    middle = names[1:-1] or names
    counts = [list(map(str, range(start, start + len(middle)))) for start in (0, 1, 2)]
    return any(not _is_number(name) for name in middle) or (len(middle) > 1 and middle in counts)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _values(lines: Iterator[str], columns: _Columns, source_name: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Parse the rows of a table, some thousand at a time. Returns what `_read` returns."""
    pixels, labels = [], []
    first_line = 1 + columns.has_header
    while chunk := [line for line in itertools.islice(lines, CHUNK_LINES) if line.strip()]:
        try:
            values, texts = _whole_numbers(chunk, columns) or _numbers(chunk, columns)
        except ValueError as error:
            found = f"no numbers, or rows of different lengths, after line {first_line:,}: {error}"
            raise InputError(source_name, found=found, expected="a number for each pixel") from error
        with np.errstate(invalid="ignore"):  # hides the warning about NaN, which stays a float
            whole = values.astype(np.uint8)
        pixels.append(whole if np.array_equal(whole, values) else values.astype(np.float32))
        labels += [] if texts is None else [texts]
        first_line += len(chunk)
    if not pixels:
        raise InputError(source_name, found="no rows", expected="one for each image")
    return _stacked(pixels, source_name), np.concatenate(labels) if labels else None


def _whole_numbers(lines: list[str], columns: _Columns) -> Values | None:
    """Parse lines in which all values are whole numbers, five times as fast as `_numbers`. None for other lines."""
    delimiters = len(columns.pixels) + columns.other_columns - 1
    if any(line.count(columns.delimiter) != delimiters for line in lines):
        return None
    try:
        with warnings.catch_warnings(action="error", category=DeprecationWarning):
            numbers = np.fromstring(columns.delimiter.join(lines), np.int64, sep=columns.delimiter)
    except (ValueError, DeprecationWarning):  # the text holds something else than numbers
        return None
    if numbers.size != len(lines) * (delimiters + 1):
        return None
    rows = numbers.reshape(len(lines), -1)
    return rows[:, columns.pixels], None if columns.label is None else rows[:, columns.label].astype(np.str_)


def _numbers(lines: list[str], columns: _Columns) -> Values:
    """Parse lines of numbers, and labels that may be texts. Raises ValueError for other lines."""
    options = {"delimiter": columns.delimiter, "quotechar": '"', "comments": None, "ndmin": 2}
    pixels = np.loadtxt(lines, dtype=np.float32, usecols=columns.pixels, **options)  # type: ignore[call-overload]
    if columns.label is None:
        return pixels, None
    return pixels, np.loadtxt(lines, dtype=np.str_, usecols=[columns.label], **options)[:, 0]  # type: ignore[call-overload]


def _stacked(parts: list[np.ndarray], source_name: str) -> np.ndarray:
    """Join arrays (n, pixels) along the first axis. Raises InputError for different numbers of pixels."""
    if len({part.shape[1] for part in parts}) > 1:
        raise InputError(source_name, found="rows of different lengths", expected="as many pixels in each row")
    return np.concatenate(parts)
