"""Data sets that a user names on the command line."""

from typing import TYPE_CHECKING

from .messages import note

if TYPE_CHECKING:
    from ..data.datasets import Dataset


def load_data(data: str) -> "Dataset":
    """Load a data set by its name or path, and print its remarks. Raises the errors of `load` in data/datasets.py."""
    from ..data.datasets import load

    dataset = load(data)
    for remark in dataset.remarks:
        note(remark)
    return dataset
