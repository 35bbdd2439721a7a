"""Read a folder of image files: its sub-folders are classes, or the parts of a set with the classes below them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files.paths import ALL_ROWS, is_folder, list_folder
from ..images.folders import image_paths, natural_order
from ..images.formats import IMAGE_SUFFIXES
from ..images.image_file import ImageFile
from ..images.image_files import read_image_files
from ..images.read_options import ReadOptions
from ..runtime.errors import InputError
from .images import LabelledImages, UnsplitDataset
from .labels import label_like_paths, numbered_classes, unread_tables, unreadable_labels
from .part_names import PART_OF_WORD, Part


@dataclass(frozen=True)
class _Listing:
    """The image files of a folder, in natural order. classes: the class name of each file; None without classes."""

    folder: Path
    paths: list[Path]
    classes: list[str] | None

    def rows(self, window: slice) -> "_Listing":
        """The files that a slice selects."""
        return _Listing(self.folder, self.paths[window], None if self.classes is None else self.classes[window])

    def shuffled(self) -> "_Listing":
        """The same files in a fixed random order."""
        order = np.random.default_rng(0).permutation(len(self.paths))
        classes = None if self.classes is None else [self.classes[i] for i in order]
        return _Listing(self.folder, [self.paths[i] for i in order], classes)


def read_image_folder(folder: Path, options: ReadOptions, window: slice = ALL_ROWS) -> UnsplitDataset:
    """Read images from sub-folders, each of which is a class; without sub-folders, read images without labels.

    If the sub-folders are called train and test or val, they are the parts of the set, and the classes are below them.
    If the names of all classes are integers, they are the labels. Otherwise the classes are numbered 0, 1, ... in
    natural order (`class2` before `class10`), and their names become the class names. The images are put in a fixed
    random order, because the last ones, which may become validation images, are all of one class. window: which of the
    training images are read, in natural order of classes and file names. Raises InputError when there are no images,
    when images lie beside sub-folders with images, and when a file beside images without labels looks like their
    labels.
    """
    remarks: list[str] = []
    parts = part_folders(folder)
    listings = {part: _listed(path, remarks) for part, path in (parts or {"train": folder}).items()}
    if parts:
        remarks.append(f"{folder}: the sub-folders {', '.join(path.name for path in parts.values())} are the parts")
    if len({listing.classes is None for listing in listings.values()}) > 1:
        found = "classes in one part, and none in another"
        raise InputError(str(folder), found=found, expected="sub-folders of classes in all parts, or in none")
    names = sorted({name for listing in listings.values() for name in listing.classes or ()}, key=natural_order)
    label_of, class_names = numbered_classes(names, str(folder))
    listings["train"] = listings["train"].rows(window)
    if not listings["train"].paths:
        raise InputError(str(folder), found="no images in the slice", expected="at least one")
    listings = {part: listing.shuffled() for part, listing in listings.items()}
    paths = [path for listing in listings.values() for path in listing.paths]
    decoded = read_image_files([ImageFile.at(path) for path in paths], options=options, note=remarks.append)
    images, start = {}, 0
    for part, listing in listings.items():
        kept = (decoded.kept >= start) & (decoded.kept < start + len(listing.paths))
        rows = decoded.images if len(listings) == 1 else decoded.images[kept]
        labels = None
        if listing.classes is not None:
            labels = np.array([label_of[name] for name in listing.classes], np.int64)[decoded.kept[kept] - start]
        images[part] = LabelledImages(rows, labels)
        start += len(listing.paths)
    return UnsplitDataset(
        images["train"],
        images.get("test"),
        class_names=class_names,
        remarks=tuple(remarks),
        validation=images.get("validation"),
    )


def part_folders(folder: Path) -> dict[Part, Path]:
    """The sub-folders train, test, val and so on, by part; empty if the sub-folders are something else.

    Raises InputError if there are other sub-folders with images beside a folder train, and for two names of one part.
    """
    sub_folders = sub_folders_of(folder)
    parts: dict[Part, Path] = {}
    others = []
    for path in sub_folders:
        part = PART_OF_WORD.get(path.name.lower())
        if part is None:
            others.append(path)
        elif part in parts:
            found = f"sub-folders {parts[part].name} and {path.name}"
            raise InputError(str(folder), found=found, expected=f"one for the {part} images")
        else:
            parts[part] = path
    others = [path for path in others if image_paths(path)]
    if "train" not in parts or (others and not image_paths(parts["train"]) and not sub_folders_of(parts["train"])):
        return {}
    if others:
        found = f"sub-folder {others[0].name} beside {parts['train'].name}"
        remedy = "Rename the folder if it is a class, or give the folder of one part."
        expected = "either classes, or train, val and test"
        raise InputError(str(folder), found=found, expected=expected, remedy=remedy)
    return parts


def _listed(folder: Path, remarks: list[str]) -> _Listing:
    """Find the image files of one part. `remarks` gets sentences on files that are not read."""
    classes = {path.name: paths for path in sub_folders_of(folder) if (paths := image_paths(path))}
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
    remarks += [f"{path} is not read: the sub-folders are the classes" for path in label_files]
    remarks += [f"{path} is not read" for path in unread_tables(folder, label_files)]
    names = [name for name, class_paths in classes.items() for _ in class_paths]
    return _Listing(folder, paths, names if classes else None)


def sub_folders_of(folder: Path) -> list[Path]:
    """The sub-folders in natural order (`class2` before `class10`), without hidden ones."""
    sub_folders = (path for path in list_folder(folder) if not path.name.startswith(".") and is_folder(path))
    return sorted(sub_folders, key=lambda path: natural_order(path.name))
