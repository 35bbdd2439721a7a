"""A folder of image files, whose sub-folders, if it has any, are the classes."""

from pathlib import Path

import numpy as np

from ..images.image_files import SUFFIXES, ImageFile, images_in, natural_order, read_image_files
from ..runtime.errors import InputError
from .images import Found, LabelledImages
from .labels import label_like, not_understood, numbered, unread_tables


def read_image_folder(folder: Path) -> Found:
    """Images in sub-folders, each a class; or, without sub-folders, images without labels.

    Sub-folders `0`, `1`, ... are these labels; others are numbered 0, 1, ... in natural order and keep their names. The
    files are put in a fixed random order, for a folder's end would hold one class only. Raises InputError where the
    layout is unclear, and where a file beside images without labels looks like their labels.
    """
    groups = {one.name: group for one in _sub_folders(folder) if (group := images_in(one))}
    loose = images_in(folder)
    if groups and loose:
        found = f"images in sub-folders, and {loose[0].name} beside them"
        raise InputError(str(folder), found=found, expected="either", remedy="Put every image under its label.")
    paths = [file for group in groups.values() for file in group] or loose
    if not paths:
        expected = f"IDX files as MNIST has, files ending in {', '.join(SUFFIXES)}, or sub-folders of such files"
        raise InputError(str(folder), found="no images", expected=expected)
    unread = label_like(folder, [*paths, *(folder / name for name in groups)])
    if unread and not groups:
        found, expected = "a file that looks like labels", "images in sub-folders named as their classes"
        raise not_understood(str(unread[0]), found, expected)
    remarks = [f"{file} is not read: the sub-folders are the classes" for file in unread]
    remarks += [f"{file} is not read" for file in unread_tables(folder, unread)]
    labels, class_names = numbered(list(groups), str(folder))
    order = np.random.default_rng(0).permutation(len(paths))
    images = read_image_files([ImageFile.at(paths[i]) for i in order], note=remarks.append)
    if not groups:
        return Found(LabelledImages(images), remarks=tuple(remarks))
    of_files = np.repeat([labels[name] for name in groups], [len(group) for group in groups.values()])
    return Found(LabelledImages(images, of_files[order].astype(np.int64)), None, class_names, tuple(remarks))


def _sub_folders(folder: Path) -> list[Path]:
    found = (one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
    return sorted(found, key=lambda one: natural_order(one.name))
