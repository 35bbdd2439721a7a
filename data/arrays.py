"""Read a data set from one file or pipe: an `.npz` with images and labels, or a file with images alone."""

from ..files.paths import split_slice
from ..files.sources import open_source
from ..images.array_checks import check_images
from ..images.array_files import UNNAMED, ArrayFile
from ..images.formats import READABLE_FORMATS, ArrayFormat
from ..images.names import IMAGES, NAMES
from ..images.reading import read_open_source
from ..runtime.errors import InputError, NotFoundError
from .downloads import KNOWN
from .images import LabelledImages, UnsplitDataset, as_uint8
from .labels import LABEL_NAMES, labelled, looks_like_labels, unreadable_labels

MAX_LISTED = 10  # maximum number of array names in one message


def read_file(data: str) -> UnsplitDataset:
    """Read the images of a file or a pipe, and the labels if the file has named arrays.

    data: the path, which may end in a slice such as [0:9], or - for standard input.

    Raises NotFoundError when there is nothing at the path, InputError or ShapeError when the file holds no images, or
    holds an array that looks like labels but cannot be read as labels.
    """
    path, window = split_slice(data)
    remarks: list[str] = []
    try:
        with open_source(path, READABLE_FORMATS) as source:
            file = source.format.open(source) if isinstance(source.format, ArrayFormat) else None
            if file is None or file.names == (UNNAMED,):
                images = read_open_source(source, window, note=remarks.append)
                training = LabelledImages(as_uint8(images, source.name))
            else:
                training = _read_named_arrays(file, source.name, remarks)[window]
    except NotFoundError as error:
        expected = f"a file, a folder, or one of {', '.join(KNOWN)}"
        raise NotFoundError(f"data {data!r}", found="no such name or path", expected=expected) from error
    return UnsplitDataset(training, remarks=tuple(remarks), shuffle="always")


def _read_named_arrays(file: ArrayFile, source_name: str, remarks: list[str]) -> LabelledImages:
    """The images and labels of a file with named arrays. If the file has other arrays, `remarks` gets a sentence."""
    if IMAGES not in file.names:
        expected = "'images' and, optionally, 'labels'"
        raise InputError(source_name, found=f"arrays {', '.join(file.names)}", expected=expected)
    axes, dtype = file.header(IMAGES)
    check_images(axes, dtype, source_name)
    labels_name = _labels_name(file.names)
    ignored = [name for name in file.names if name not in (IMAGES, labels_name, NAMES)]
    if labels_name is None:
        _refuse_labels(file, source_name, ignored, axes[0])
    if ignored:
        remarks.append(f"{source_name}: arrays {', '.join(ignored[:MAX_LISTED])} are not read")
    images = as_uint8(file.rows(IMAGES), source_name)
    if labels_name is None:
        return LabelledImages(images)
    labels = file.rows(labels_name)
    return labelled(images, labels, f"{source_name}: {IMAGES}", f"{source_name}: {labels_name}")


def _labels_name(names: tuple[str, ...]) -> str | None:
    """The name of the array of labels: `labels` if present, else a name in LABEL_NAMES.

    None if `labels` is missing and no array, or more than one, has a name in LABEL_NAMES.
    """
    if "labels" in names:
        return "labels"
    usual = [name for name in names if name.lower() in LABEL_NAMES]
    return usual[0] if len(usual) == 1 else None


def _refuse_labels(file: ArrayFile, source_name: str, ignored: list[str], count: int) -> None:
    """Raise InputError if an array in `ignored` looks like labels: by its name, or because its length is `count`.

    ignored: names of the arrays that are not read. count: number of images.
    """
    for name in ignored:
        axes, dtype = file.header(name)
        if looks_like_labels(name) or axes[:1] == (count,):
            found = f"{dtype} of shape {axes}, which may be labels"
            expected = "labels, whole numbers (n,), under the name 'labels'"
            raise unreadable_labels(f"{source_name}: {name}", found, expected)
