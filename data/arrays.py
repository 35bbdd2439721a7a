"""Images in a file: an `.npz` with images and labels, a `.npy`, an IDX file, or a pipe that gives one of them."""

from ..files.sources import IMAGES, ZIP, Source, open_source, split_window
from ..images.names import NAMES
from ..images.reading import images_of
from ..runtime.arrays import npz_header, npz_names, read_npz
from ..runtime.errors import InputError, NotFoundError
from .downloads import KNOWN
from .images import Found, LabelledImages, check_images, levels
from .labels import LABEL_NAMES, labelled, looks_like_labels, not_understood


def read_file(data: str) -> Found:
    """Images of a file or a pipe, with a slice or without; those of an `.npz` with labels, where it has any.

    Raises NotFoundError when there is none, InputError when it holds no images, or an array that looks like labels
    and cannot be read as such.
    """
    path, window = split_window(data)
    remarks: list[str] = []
    try:
        with open_source(path, IMAGES) as source:
            if source.form == ZIP:
                training, remarks = _read_archive(source)
                training = training[window]
            else:
                images = images_of(source, window, note=remarks.append)
                training = LabelledImages(levels(images, source.where))
    except NotFoundError as error:
        expected = f"a file, a folder, or one of {', '.join(KNOWN)}"
        raise NotFoundError(f"data {data!r}", found="no such name or path", expected=expected) from error
    return Found(training, remarks=tuple(remarks), shuffle="always")


def _read_archive(source: Source) -> tuple[LabelledImages, list[str]]:
    names = npz_names(source.stream, source.where)
    if "images" not in names:
        expected = "'images' and, optionally, 'labels'"
        raise InputError(source.where, found=f"arrays {', '.join(names)}", expected=expected)
    axes, dtype = npz_header(source.stream, source.where, "images")
    check_images(axes, dtype, source.where)
    labels_name = _labels_name(names)
    unread = [name for name in names if name not in ("images", labels_name, NAMES)]
    if labels_name is None:
        _refuse_labels(source, unread, axes[0])
    wanted = ["images"] if labels_name is None else ["images", labels_name]
    arrays = read_npz(source.stream, source.where, wanted)
    images = levels(arrays["images"], source.where)
    remarks = [f"{source.where}: arrays {', '.join(unread[:10])} are not read"] if unread else []
    if labels_name is None:
        return LabelledImages(images), remarks
    where = f"{source.where}: {labels_name}"
    return labelled(images, arrays[labels_name], f"{source.where}: images", where), remarks


def _labels_name(names: tuple[str, ...]) -> str | None:
    """The array that holds the labels: `labels`, or the only one of another usual name."""
    if "labels" in names:
        return "labels"
    usual = [name for name in names if name.lower() in LABEL_NAMES]
    return usual[0] if len(usual) == 1 else None


def _refuse_labels(source: Source, unread: list[str], count: int) -> None:
    """Raise InputError where an array looks like labels by its name, or by having as many rows as the images."""
    for name in unread:
        axes, dtype = npz_header(source.stream, source.where, name)
        if looks_like_labels(name) or axes[:1] == (count,):
            found = f"{dtype} of shape {axes}, which may be labels"
            raise not_understood(
                f"{source.where}: {name}", found, "labels, whole numbers (n,), under the name 'labels'"
            )
