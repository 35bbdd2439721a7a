"""Choose which training images of a set become validation images, so that both have images of all classes."""

import numpy as np

from .images import LabelledImages, Shuffle
from .labels import missing_classes

MAX_VALIDATION_IMAGES = 10_000
VALIDATION_DIVISOR = 6  # one training image in six is for validation
SHUFFLED = "the stored order would leave a class out of training or validation: images are shuffled before the split"


def validation_count(images: int) -> int:
    """How many of a set's training images become validation images. images: number of training images."""
    return min(MAX_VALIDATION_IMAGES, images // VALIDATION_DIVISOR)


def split_order(images: LabelledImages, shuffle: Shuffle) -> tuple[np.ndarray | None, bool]:
    """The order of images, int64 (n,), of which the last `validation_count(n)` become validation images.

    The first result is None if the stored order is kept. The second result is whether, in the stored order, a class
    with two images or more would be missing in training or in validation. The order is then changed so that as few
    classes as possible are left out. The new order depends only on the number of images, their labels and `shuffle`.
    """
    count = len(images)
    start = count - validation_count(count)
    incomplete = images.labels is not None and _lacks_class(images.labels, start)
    if shuffle == "always" or (shuffle == "if needed" and incomplete):
        order = np.random.default_rng(0).permutation(count)
    elif incomplete:
        order = np.arange(count)
    else:
        return None, False
    if images.labels is not None:
        _complete(order, images.labels, start)
    return order, incomplete


def missing_sentences(
    training: LabelledImages, validation: LabelledImages, class_names: tuple[str, ...]
) -> tuple[str, ...]:
    """Sentences that name the classes without images in training or in validation."""
    if training.labels is None or validation.labels is None:
        return ()
    all_labels = np.union1d(training.labels, validation.labels)
    parts = {"training": training.labels, "validation": validation.labels}
    sentences = (missing_classes(part, labels, all_labels, class_names) for part, labels in parts.items())
    return tuple(sentence for sentence in sentences if sentence)


def _lacks_class(labels: np.ndarray, start: int) -> bool:
    """Whether a class that has two images or more is missing in labels[:start] or in labels[start:]. labels: (n,)."""
    classes, counts = np.unique(labels, return_counts=True)
    repeated = classes[counts > 1]
    return any(len(np.setdiff1d(repeated, part)) > 0 for part in (labels[:start], labels[start:]))


def _complete(order: np.ndarray, labels: np.ndarray, start: int) -> None:
    """Exchange a few images in `order`, (n,), so that all classes come both before and from `start` on.

    labels: the labels in the stored order, (n,). If one part lacks a class, an image of this class is exchanged for an
    image of another class, of which this part has several.
    """
    classes, counts = np.unique(labels, return_counts=True)
    parts = {False: slice(0, start), True: slice(start, len(order))}
    for is_validation, rows in parts.items():
        other = parts[not is_validation]
        for label in np.setdiff1d(classes[counts > 1], labels[order[rows]]):
            present, present_counts = np.unique(labels[order[rows]], return_counts=True)
            replaceable = np.flatnonzero(np.isin(labels[order[rows]], present[present_counts > 1]))
            if not len(replaceable):
                break
            here = rows.start + replaceable[-1]
            there = other.start + np.flatnonzero(labels[order[other]] == label)[-1]
            order[[here, there]] = order[[there, here]]
