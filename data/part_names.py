"""Recognise from a name which part of a data set a file or an array holds: training, validation or test."""

import re
from dataclasses import dataclass
from typing import Literal

Part = Literal["train", "validation", "test"]
Content = Literal["images", "labels"]

SEPARATORS = re.compile(r"[-._ ]+")
PART_WORDS: dict[Part, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("t10k", "test", "testing"),
}
CONTENT_WORDS: dict[Content, tuple[str, ...]] = {
    "images": ("images", "image", "imgs", "img", "x", "data", "pixels"),
    "labels": ("labels", "label", "targets", "target", "y"),
}
PART_OF_WORD = {word: part for part, words in PART_WORDS.items() for word in words}
CONTENT_OF_WORD = {word: content for content, words in CONTENT_WORDS.items() for word in words}


@dataclass(frozen=True)
class NameParts:
    """What the words of a file or array name mean. part, content: None if no word states it. set_name: other words."""

    part: Part | None
    content: Content | None
    set_name: str


def name_parts(name: str) -> NameParts:
    """Read the words of a name, such as `x_train`, `kmnist-test-labels` or `valImages`, in any case.

    If a name has several words for the content, such as `image_labels`, labels win.
    """
    words = [word for word in SEPARATORS.split(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()) if word]
    parts = [PART_OF_WORD[word] for word in words if word in PART_OF_WORD]
    contents = [CONTENT_OF_WORD[word] for word in words if word in CONTENT_OF_WORD]
    content: Content | None = "labels" if "labels" in contents else contents[0] if contents else None
    others = [word for word in words if word not in PART_OF_WORD and word not in CONTENT_OF_WORD]
    return NameParts(parts[0] if parts else None, content, "-".join(others))
