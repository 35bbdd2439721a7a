"""Read a folder of image files, where each sub-folder is a class."""

from pathlib import Path

import numpy as np

from ..files.paths import is_folder, list_folder
from ..images.folders import image_paths, natural_order
from ..images.formats import IMAGE_SUFFIXES
from ..images.image_files import ImageFile, read_image_files
from ..runtime.errors import InputError
from .images import LabelledImages, UnsplitDataset
from .labels import label_like_paths, numbered_classes, unread_tables, unreadable_labels


def read_image_folder(folder: Path) -> UnsplitDataset:
    """Read images from sub-folders, each of which is a class; without sub-folders, read images without labels.

    If the names of all sub-folders are integers, they are the labels. Otherwise the sub-folders are numbered 0, 1, ...
    in natural order (`class2` before `class10`), and their names become the class names. The images are put in a fixed
    random order, because the last ones, which become validation images, are all of one class. Raises InputError when
    there are no images, when images lie beside sub-folders with images, and when a file beside images without labels
    looks like their labels.
    """
    classes = {sub_folder.name: paths for sub_folder in _sub_folders(folder) if (paths := image_paths(sub_folder))}
    unlabelled = image_paths(folder)
    if classes and unlabelled:
        found = f"images in sub-folders, and {unlabelled[0].name} beside them"
        raise InputError(str(folder), found=found, expected="either", remedy="Put every image under its label.")
    paths = [path for class_paths in classes.values() for path in class_paths] or unlabelled
    if not paths:
        expected = f"IDX files as MNIST has, files ending in {', '.join(IMAGE_SUFFIXES)}, or sub-folders of such files"
        raise InputError(str(folder), found="no images", expected=expected)
    label_files = label_like_paths(folder, [*paths, *(folder / name for name in classes)])
    if label_files and not classes:
        found, expected = "a file that looks like labels", "images in sub-folders named as their classes"
        raise unreadable_labels(str(label_files[0]), found, expected)
    remarks = [f"{path} is not read: the sub-folders are the classes" for path in label_files]
    remarks += [f"{path} is not read" for path in unread_tables(folder, label_files)]
    label_of, class_names = numbered_classes(list(classes), str(folder))
    order = np.random.default_rng(0).permutation(len(paths))
    images = read_image_files([ImageFile.at(paths[i]) for i in order], note=remarks.append)
    if not classes:
        return UnsplitDataset(LabelledImages(images), remarks=tuple(remarks))
    labels = np.repeat([label_of[name] for name in classes], [len(class_paths) for class_paths in classes.values()])
    training = LabelledImages(images, labels[order].astype(np.int64))
    return UnsplitDataset(training, class_names=class_names, remarks=tuple(remarks))


def _sub_folders(folder: Path) -> list[Path]:
    """The sub-folders in natural order (`class2` before `class10`), without hidden ones."""
    sub_folders = (path for path in list_folder(folder) if not path.name.startswith(".") and is_folder(path))
    return sorted(sub_folders, key=lambda path: natural_order(path.name))
