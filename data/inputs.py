"""Read images for a model from all sources of data sets, in their stored order and with the names of their files."""

from pathlib import Path

from ..files.paths import ALL_ROWS, is_file, is_folder, is_pipe, split_slice
from ..files.sources import open_source, read_head
from ..files.unpacking import is_archive, unpacked
from ..images.array_checks import check_images
from ..images.array_files import NpzFile
from ..images.folders import image_paths, natural_order
from ..images.formats import NPZ
from ..images.image_file import ImageFile, Note
from ..images.image_files import read_image_files
from ..images.names import IMAGES
from ..images.read_options import DEFAULT_OPTIONS, ReadOptions
from ..images.reading import ImageSet, concatenated, read_images, resized
from ..runtime.errors import InputError
from ..runtime.pixels import Shape
from .conversion import with_channels
from .foreign_files import refuse_foreign
from .named_arrays import has_layout
from .readers import read
from .tables import is_table

ZIP_HEAD = b"PK"


def read_inputs(
    *sources: str | Path,
    shape: Shape,
    resize: bool = False,
    options: ReadOptions = DEFAULT_OPTIONS,
    note: Note | None = None,
) -> ImageSet:
    """Read all images of one or several sources, in order, for a model whose images have `shape` (C, H, W).

    Sources are those of `read_images`, and in addition archives, tables, folders of classes or of parts, and files with
    the arrays of a data set. If a set has test images, only the test images are read, and a note says so. resize,
    options, note: those of `read_images`. Raises the errors of `read_images` and of `read`.
    """
    sets = [_read_set(str(source), shape, resize, options, note) for source in sources]
    if all(each is None for each in sets):
        return read_images(*sources, shape=shape, resize=resize, options=options, note=note)
    image_sets = [
        read_images(source, shape=shape, resize=resize, options=options, note=note) if each is None else each
        for source, each in zip(sources, sets, strict=True)
    ]
    named = all(each.names for each in image_sets)
    names = tuple(name for each in image_sets for name in each.names) if named else ()
    return ImageSet(concatenated([each.images for each in image_sets], sources), names)


def _read_set(source: str, shape: Shape, resize: bool, options: ReadOptions, note: Note | None) -> ImageSet | None:
    """Read the images of a source that is a data set. None if `read_images` reads the source."""
    path, window = (source, ALL_ROWS) if is_folder(source) else split_slice(source)
    if is_pipe(path) or not (is_folder(path) or is_file(path)):
        return None
    if is_archive(path):
        refuse_foreign(Path(path))
        with unpacked(Path(path)) as folder:
            notes: list[str] = []
            read = _read_folder(folder, shape, resize, options, notes.append)
        if note is not None:
            for sentence in notes:
                note(sentence.replace(str(folder), path))
    elif is_folder(path):
        if image_paths(Path(path)):
            return None
        read = _read_folder(Path(path), shape, resize, options, note)
    elif is_table(Path(path)) or _has_parts(path):
        read = _part(path, shape, resize, options, note)
    else:
        refuse_foreign(Path(path))
        return None
    if len(read.images[window]) == 0:
        raise InputError(source, found="no images", expected="at least one")
    return ImageSet(read.images[window], read.names[window])


def _has_parts(path: str) -> bool:
    """Whether a file is an `.npz` whose arrays are the parts of a set."""
    if read_head(path, len(ZIP_HEAD)) != ZIP_HEAD:
        return False
    with open_source(path, (NPZ,)) as source:
        names = NpzFile(source).names
    return IMAGES not in names and len(names) > 1 and has_layout(names)


def _read_folder(folder: Path, shape: Shape, resize: bool, options: ReadOptions, note: Note | None) -> ImageSet:
    """Read the images in a folder and the folders below it with their names; without image files, read the set in it.

    The images are in natural order of their paths: `2/10.png` comes before `10/2.png`.
    """
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    visible = [path for path in folders if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    paths = [path for each in visible for path in image_paths(each)]
    if not paths:
        return _part(str(folder), shape, resize, options, note)
    paths.sort(key=lambda path: [natural_order(part) for part in path.relative_to(folder).parts])
    files = [ImageFile.at(path) for path in paths]
    decoded = read_image_files(files, shape=shape, resize=resize, options=options, note=note)
    return ImageSet(decoded.images, tuple(files[i].file_name for i in decoded.kept))


def _part(path: str, shape: Shape, resize: bool, options: ReadOptions, note: Note | None) -> ImageSet:
    """Read a data set, and take its test images, or all images if it has none, for a model of images of `shape`."""
    unsplit = read(path, options)
    part = unsplit.training if unsplit.test is None else unsplit.test
    remarks = [*unsplit.remarks, *([] if unsplit.test is None else [f"{path}: only the test images are read"])]
    if note is not None:
        for remark in remarks:
            note(remark)
    images = with_channels(part.images, shape[0] == 3)
    check_images(images.shape, images.dtype, path, required=shape, resize=resize)
    return ImageSet(resized(images, shape))
