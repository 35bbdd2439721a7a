"""Images of a large file stay in the file, and give the same data set as images in memory."""

import subprocess
import sys

import numpy as np
import pytest
from aegen.data import stored_images
from aegen.data.datasets import load
from aegen.data.stored_images import StoredImages
from peak_memory import PEAK

MEASURE = f"""{PEAK}
import sys
from aegen.data.datasets import load
before = peak()
images = load(sys.argv[1]).train.images
for start in range(0, len(images), 4000):
    images[start : start + 128]
print((peak() - before) * 1024)
"""


@pytest.fixture
def stored(tmp_path):
    """A folder of memory-mapped images (60, 6, 5) with labels."""
    np.save(tmp_path / "train-imgs.npy", np.random.default_rng(0).integers(0, 256, (60, 6, 5), np.uint8))
    np.save(tmp_path / "train-labels.npy", np.arange(60) % 3)
    return str(tmp_path)


def test_images_that_stay_in_the_file_are_those_that_are_copied(stored, monkeypatch):
    copied = load(stored)
    monkeypatch.setattr(stored_images, "MAX_COPIED_BYTES", 0)
    kept = load(stored)
    assert isinstance(kept.train.images, StoredImages)
    assert kept.facts == copied.facts
    for part in ("train", "validation", "test"):
        found, expected = getattr(kept, part), getattr(copied, part)
        assert np.array_equal(found.images, expected.images)
        assert np.array_equal(found.labels, expected.labels)
        assert found.shape == expected.shape


@pytest.mark.parametrize(
    "rows", [3, -1, slice(2, 9), np.array([5, 1, 1]), np.arange(50) % 4 == 1, (slice(0, 4), slice(None), 2), (7, 3)]
)
def test_stored_images_are_indexed_as_an_array_is(stored, monkeypatch, rows):
    expected = load(stored).train.images
    monkeypatch.setattr(stored_images, "MAX_COPIED_BYTES", 0)
    images = load(stored).train.images
    assert (images.shape, images.ndim, images.dtype, len(images)) == ((50, 6, 5), 3, np.uint8, 50)
    assert (images.min(), images.max()) == (expected.min(), expected.max())
    assert np.array_equal(images[rows], expected[rows])
    assert type(images[rows]) is type(np.asarray(expected)[rows])


def test_few_of_many_stored_images_are_read_into_memory(stored, monkeypatch):
    monkeypatch.setattr(stored_images, "MAX_COPIED_BYTES", 20 * 30)
    dataset = load(stored)
    assert isinstance(dataset.train.images, StoredImages)
    assert isinstance(dataset.validation.images, np.ndarray)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted otherwise there")
def test_a_large_file_is_not_read_into_memory(tmp_path):
    path = tmp_path / "large.npy"
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (400_000, 28, 28))  # a sparse file takes no space
    assert images.nbytes > stored_images.MAX_COPIED_BYTES
    images[::1000] = 200
    images.flush()
    done = subprocess.run([sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < images.nbytes / 3
