"""Make a data set of named arrays: images and labels of one set, or of its training, validation and test part."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ..images.array_checks import check_images
from ..images.array_layouts import arranged, arranged_axes, grey_numbers, row_remarks
from ..images.names import IMAGES, NAMES
from ..runtime.errors import InputError
from .images import LabelledImages, UnsplitDataset, as_uint8
from .labels import encoded_labels, looks_like_labels, matched, unreadable_labels
from .part_names import Content, NameParts, Part, name_parts

MAX_LISTED = 10  # maximum number of array names in one message
NAME_ARRAYS = ("class_names", "label_names")  # arrays with the names of the labels 0, 1, ...
Key = tuple[Part, Content]


@dataclass(frozen=True)
class NamedArray:
    """An array that is not yet read. name: its name in the file. source_name: its name, with the file's, for messages.

    axes, dtype: its shape and dtype. read: a function that returns its values.
    """

    name: str
    source_name: str
    axes: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]


def has_layout(names: Iterable[str]) -> bool:
    """Whether arrays of these names hold the images of parts of a set, such as `x_train` or `test_images`."""
    found = [name_parts(name) for name in names]
    return any(parts.part is not None and parts.content == "images" for parts in found)


def read_named_arrays(arrays: list[NamedArray], source_name: str) -> UnsplitDataset:
    """Read the images and labels of named arrays. source_name: the name of their file or folder in messages.

    `images` and `labels` are one set. `x_train`, `y_train`, ... as Keras has, and `train_images`, `val_labels`, ... as
    MedMNIST has, are the parts of a set. A single array holds images, whatever its name.
    Raises InputError when no array holds images, when two may hold the same, and when an array that looks like labels
    cannot be used.
    """
    remarks: list[str] = []
    named = [array for array in arrays if array.name != NAMES]
    chosen = _chosen(named, source_name)
    if ("train", "images") not in chosen:
        expected = "'images' and, optionally, 'labels', or x_train, y_train and so on"
        raise InputError(source_name, found=f"arrays {', '.join(array.name for array in arrays)}", expected=expected)
    ignored = [array for array in named if array not in chosen.values() and array.name not in NAME_ARRAYS]
    _refuse_labels(chosen, ignored)
    if ignored:
        names = ", ".join(array.name for array in ignored[:MAX_LISTED])
        remarks.append(f"{source_name}: arrays {names} are not read")
    images = {part: _images(array, remarks) for (part, content), array in chosen.items() if content == "images"}
    stored = {part: array for (part, content), array in chosen.items() if content == "labels" and part in images}
    labels, class_names = encoded_labels({array.source_name: array.read() for array in stored.values()}, remarks)
    parts = {}
    for part, levels in images.items():
        parts[part] = LabelledImages(levels)
        if part in stored:
            labels_name = stored[part].source_name
            parts[part] = matched(levels, labels[labels_name], chosen[part, "images"].source_name, labels_name)
    return UnsplitDataset(
        parts["train"],
        parts.get("test"),
        class_names=class_names or _stored_names(named, labels.values()),
        remarks=tuple(remarks),
        shuffle="always" if "validation" not in parts else "never",
        validation=parts.get("validation"),
    )


def _chosen(arrays: list[NamedArray], source_name: str) -> dict[Key, NamedArray]:
    """For each part (such as "train") and content ("images" or "labels"), choose an array by the arrays' names."""
    by_name = {array.name: array for array in arrays}
    if len(arrays) == 1 and not looks_like_labels(arrays[0].name):
        return {("train", "images"): arrays[0]}
    if set(by_name) == {"arr_0", "arr_1"}:  # numpy's names for arrays that were saved without names
        return {("train", "images"): by_name["arr_0"], ("train", "labels"): by_name["arr_1"]}
    chosen: dict[Key, NamedArray] = {}
    for content, exact in (("images", IMAGES), ("labels", "labels")):
        if exact in by_name:
            chosen["train", "images" if content == "images" else "labels"] = by_name[exact]
    for array in arrays:
        parts = name_parts(array.name)
        if array.name in (IMAGES, "labels") or parts.content is None or parts.set_name:
            continue
        if IMAGES in by_name and parts == NameParts("train", "labels", ""):
            continue  # `y_train` beside `images` may be the labels of a part of the images
        key: Key = (parts.part or "train", parts.content)
        if key not in chosen:
            chosen[key] = array
        elif parts.part is not None or chosen[key].name not in (IMAGES, "labels"):
            found = f"arrays {chosen[key].name} and {array.name}, which both may be the {key[1]} of one part"
            raise InputError(source_name, found=found, expected="one", remedy="Store the arrays under other names.")
    unpaired = [key for key in chosen if key[1] == "labels" and (key[0], "images") not in chosen]
    for key in unpaired:
        del chosen[key]
    return chosen


def _refuse_labels(chosen: dict[Key, NamedArray], ignored: list[NamedArray]) -> None:
    """Raise InputError if training images have no labels, and an ignored array may hold them."""
    if ("train", "labels") in chosen:
        return
    count = chosen["train", "images"].axes[:1]
    for array in ignored:
        if looks_like_labels(array.name) or array.axes[:1] == count:
            found = f"{array.dtype} of shape {array.axes}, which may be labels"
            expected = "labels, whole numbers (n,), under the name 'labels'"
            raise unreadable_labels(array.source_name, found, expected)


def _images(array: NamedArray, remarks: list[str]) -> np.ndarray:
    """Read an array of images as uint8 (n, H, W) or (n, H, W, 3). Its shape and dtype are checked before its values."""
    check_images(arranged_axes(array.axes, array.source_name), array.dtype, array.source_name)
    remarks += row_remarks(array.axes, array.source_name)
    images = grey_numbers(arranged(array.read(), array.source_name), array.source_name, remarks.append)
    return as_uint8(images, array.source_name)


def _stored_names(arrays: list[NamedArray], labels: Iterable[np.ndarray]) -> tuple[str, ...]:
    """The class names in an array called `class_names` or `label_names`, if they suffice for the labels; else none."""
    largest = max((int(part.max()) for part in labels if len(part)), default=-1)
    for array in arrays:
        if array.name in NAME_ARRAYS and array.dtype.kind == "U" and len(array.axes) == 1:
            return tuple(map(str, array.read())) if 0 <= largest < array.axes[0] else ()
    return ()
