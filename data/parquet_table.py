"""Read image data sets in Parquet, as Hugging Face publishes them: encoded images, and labels with class names."""

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..images.image_file import ImageFile
from ..images.image_files import read_image_files
from ..images.read_options import ReadOptions
from ..runtime.errors import InputError
from ..runtime.extras import require_extra
from .images import LabelledImages, UnsplitDataset
from .labels import encoded_labels, looks_like_labels
from .part_names import Part

if TYPE_CHECKING:
    import pyarrow as pa

LABEL_COLUMNS = ("label", "labels", "target", "targets", "y", "class")
METADATA_KEY = b"huggingface"  # key of the schema's metadata under which the types of the columns are described


def read_parquet(tables: dict[Part, list[Path]], options: ReadOptions) -> UnsplitDataset:
    """Read the images of Parquet files by part, and the labels if there is a column for them.

    Images are in a column of structs {bytes, path} or of bytes, each an encoded image such as a PNG. Labels are whole
    numbers or texts; the names of whole numbers are read from the schema's metadata. Raises MissingExtraError without
    the package that reads Parquet; InputError for other columns, when several columns may be meant, and for damaged
    files or images.
    """
    require_extra("data", "read Parquet")
    remarks: list[str] = []
    content = {part: _read_table(paths, remarks) for part, paths in tables.items()}
    source_name = str(next(iter(tables.values()))[0])
    files = [
        ImageFile(f"{tables[part][0]}: row {i}", stream=io.BytesIO(encoded))
        for part, (images, _, _) in content.items()
        for i, encoded in enumerate(images)
    ]
    decoded = read_image_files(files, options=options, note=remarks.append)
    stored = {str(part): labels for part, (_, labels, _) in content.items() if labels is not None}
    labels, class_names = encoded_labels(stored, remarks)
    parts: dict[Part, LabelledImages] = {}
    start = 0
    for part, (images, _, names) in content.items():
        kept = (decoded.kept >= start) & (decoded.kept < start + len(images))
        values = labels[part][decoded.kept[kept] - start] if part in labels else None
        if values is not None and (values < 0).any():
            remarks.append(f"{source_name}: the {part} images have no labels, only numbers below 0")
            values = None
        parts[part] = LabelledImages(decoded.images[kept], values)
        class_names = class_names or names
        start += len(images)
    return UnsplitDataset(
        parts["train"],
        parts.get("test"),
        class_names=class_names,
        remarks=tuple(remarks),
        shuffle="always",
        validation=parts.get("validation"),
    )


def _read_table(paths: list[Path], remarks: list[str]) -> tuple[list[bytes], np.ndarray | None, tuple[str, ...]]:
    """Read the files of one part: encoded images, labels (n,) or None, and the class names in the schema.

    `remarks` gets a sentence if the label column is a guess.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    images: list[bytes] = []
    labels: list[np.ndarray] = []
    names: tuple[str, ...] = ()
    for path in paths:
        try:
            schema = pq.read_schema(path)
            features = _features(schema)
            image, label = _image_column(schema, features, path), _label_column(schema, features, path)
            table = pq.read_table(path, columns=[image] if label is None else [image, label])
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path} is damaged", found=error, expected="a Parquet file") from error
        images += _encoded(table.column(image), path)
        if label is not None:
            labels.append(_label_values(table.column(label), f"{path}: {label}"))
            names = tuple(map(str, features.get(label, {}).get("names", ())))
            if path == paths[0] and label.lower() not in LABEL_COLUMNS and label not in features:
                remarks.append(f"{path}: the column {label} is taken for the label")
    if len({label.dtype.kind for label in labels}) > 1:
        raise InputError(str(paths[0]), found="labels of several types", expected="one")
    return images, np.concatenate(labels) if labels and len(labels) == len(paths) else None, names


def _features(schema: "pa.Schema") -> dict[str, dict[str, Any]]:
    """Types and class names of the columns, as Hugging Face's library stores them in the schema. Empty without them."""
    try:
        stored = json.loads((schema.metadata or {}).get(METADATA_KEY, b"{}"))
        features = stored["info"]["features"]
        return {name: feature for name, feature in features.items() if isinstance(feature, dict)}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _image_column(schema: "pa.Schema", features: dict[str, dict[str, Any]], path: Path) -> str:
    """The name of the only column that may hold images."""
    from pyarrow import types

    declared = [name for name, feature in features.items() if feature.get("_type") == "Image" and name in schema.names]
    possible = [
        field.name
        for field in schema
        if types.is_binary(field.type)
        or types.is_large_binary(field.type)
        or (types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0)
    ]
    return _only(declared or possible, schema, path, "images: bytes, or structs of bytes and path")


def _label_column(schema: "pa.Schema", features: dict[str, dict[str, Any]], path: Path) -> str | None:
    """The name of the column of labels: declared as such, called `label` or similar, or with such a word in its name.

    None if there is none. Raises InputError if there are several.
    """
    from pyarrow import types

    columns = [name for name in schema.names if features.get(name, {}).get("_type") == "ClassLabel"]
    columns = columns or [name for name in schema.names if name.lower() in LABEL_COLUMNS]
    columns = columns or [
        field.name
        for field in schema
        if looks_like_labels(field.name) and (types.is_integer(field.type) or types.is_string(field.type))
    ]
    return _only(columns, schema, path, "labels") if columns else None


def _only(columns: list[str], schema: "pa.Schema", path: Path, content: str) -> str:
    """The only item of a list of columns. Raises InputError if there are none or several. content: what it holds."""
    if len(columns) != 1:
        found = f"columns {', '.join(columns or schema.names)}"
        remedy = None
        if columns:
            copied = f"pq.read_table({path.name!r}).drop_columns({columns[1:]})"
            remedy = (
                "Write a copy without the others. With `import pyarrow.parquet as pq`, this one keeps "
                f"{columns[0]}: pq.write_table({copied}, 'copy.parquet')"
            )
        raise InputError(str(path), found=found, expected=f"one column with {content}", remedy=remedy)
    return columns[0]


def _encoded(column: "pa.ChunkedArray", path: Path) -> list[bytes]:
    """The bytes of the encoded images of a column. Raises InputError for an image without bytes."""
    from pyarrow import types

    images: list[bytes] = []
    for chunk in column.chunks:
        content = chunk.field("bytes") if types.is_struct(chunk.type) else chunk
        if chunk.null_count or content.null_count:
            found, remedy = "an image without bytes", "Embed the image files when the set is written."
            raise InputError(str(path), found=found, expected="the bytes of every image", remedy=remedy)
        images += content.to_pylist()
    return images


def _label_values(column: "pa.ChunkedArray", source_name: str) -> np.ndarray:
    """The labels of a column, (n,): numbers or texts. Raises InputError for other values, or if one is missing."""
    values: np.ndarray | None = column.to_numpy() if column.null_count == 0 else None
    if values is not None and values.dtype == object and len(values) and all(isinstance(v, str) for v in values):
        values = values.astype(np.str_)
    if values is None or values.dtype.kind not in "biufU":
        raise InputError(source_name, found=f"{column.type} with missing values", expected="whole numbers or texts")
    return values
