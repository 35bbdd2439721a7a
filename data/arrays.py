"""Read a data set from one file or pipe: an `.npz` with images and labels, or a file with images alone."""

from dataclasses import replace
from functools import partial

from ..files.paths import split_slice
from ..images.array_files import UNNAMED, ArrayFile
from ..images.formats import ArrayFormat
from ..images.opening import open_images
from ..images.read_options import ReadOptions
from ..images.reading import read_open_source
from ..runtime.errors import InputError, NotFoundError
from .downloads import KNOWN
from .images import LabelledImages, UnsplitDataset, as_uint8
from .named_arrays import NamedArray, read_named_arrays
from .part_names import name_parts


def read_array_file(data: str, options: ReadOptions) -> UnsplitDataset:
    """Read the images of a file or a pipe, and the labels if the file has named arrays.

    data: the path, which may end in a slice such as [0:9], or - for standard input.

    Raises NotFoundError when there is nothing at the path, InputError or ShapeError when the file holds no images, or
    holds an array that looks like labels but cannot be read as labels.
    """
    path, window = split_slice(data)
    remarks: list[str] = []
    try:
        with open_images(path) as source:
            file = source.format.open(source) if isinstance(source.format, ArrayFormat) else None
            if file is None or file.names == (UNNAMED,):
                images = read_open_source(source, window, options=options, note=remarks.append)
                unsplit = UnsplitDataset(LabelledImages(as_uint8(images, source.name)), shuffle="always")
            else:
                unsplit = read_named_arrays(named_arrays(file, source.name), source.name)
                unsplit = replace(unsplit, training=unsplit.training[window])
    except NotFoundError as error:
        expected = f"a file, a folder, or one of {', '.join(KNOWN)}"
        raise NotFoundError(f"data {data!r}", found="no such name or path", expected=expected) from error
    return replace(unsplit, remarks=(*remarks, *unsplit.remarks))


def named_arrays(file: ArrayFile, source_name: str) -> list[NamedArray]:
    """The arrays of an open file, which are read when they are needed. source_name: the file's name in messages.

    An array that cannot be read, such as one of Python objects, is left out if its name suggests neither images nor
    labels. Raises InputError for other arrays that cannot be read.
    """
    arrays = []
    for name in file.names:
        try:
            axes, dtype = file.header(name)
        except InputError:
            if name_parts(name).content is not None:
                raise
            continue
        arrays.append(NamedArray(name, f"{source_name}: {name}", axes, dtype, partial(file.rows, name)))
    return arrays
