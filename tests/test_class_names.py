"""Each sub-folder of a data set is a class, named or numbered; a data set sorted by class is shuffled."""

import gzip
import hashlib
import struct

import numpy as np
import pytest
from aegen.data.datasets import load
from aegen.data.downloads import KNOWN, KnownSet
from aegen.runtime.errors import InputError
from PIL import Image


def folders(root, names, count=12):
    """Make and load a data set with a sub-folder for each name; images of class i have grey levels 10 i to 10 i + 2."""
    for index, name in enumerate(names):
        (root / name).mkdir()
        for i in range(count):
            Image.fromarray(np.full((4, 4), 10 * index + i % 3, np.uint8)).save(root / name / f"{i}.png")
    return load(str(root))


def label_of(dataset, index):
    """Return the set of labels of the training images from one sub-folder. index: its index in `names` of `folders`."""
    return set(dataset.train.labels[dataset.train.images[:, 0, 0] // 10 == index].tolist())


def test_folder_names_that_are_numbers_are_the_labels(tmp_path):
    names = [str(number) for number in range(11)]
    dataset = folders(tmp_path, names)
    assert [label_of(dataset, index) for index in range(11)] == [{number} for number in range(11)]
    assert dataset.class_names == ()


def test_folder_numbers_need_not_begin_at_zero(tmp_path):
    dataset = folders(tmp_path, ["3", "007", "20"])
    assert [label_of(dataset, index) for index in range(3)] == [{3}, {7}, {20}]


def test_names_come_in_natural_order_and_are_kept(tmp_path):
    dataset = folders(tmp_path, ["class10", "class2", "Apple"])
    assert dataset.class_names == ("Apple", "class2", "class10")
    assert [label_of(dataset, index) for index in range(3)] == [{2}, {1}, {0}]


def test_numbers_among_names_are_names(tmp_path):
    dataset = folders(tmp_path, ["10", "9", "other"])
    assert dataset.class_names == ("9", "10", "other")
    assert label_of(dataset, 1) == {0}


@pytest.mark.parametrize("names", [("1", "01"), ("cat", "Cat"), ("caf\u00e9", "cafe\u0301")])
def test_two_spellings_of_one_name_are_refused(tmp_path, names):
    with pytest.raises(InputError, match=r"found classes .* and .*, expected one name a class"):
        folders(tmp_path, names)


def test_a_set_sorted_by_class_is_shuffled_so_that_every_class_is_trained(tmp_path):
    labels = np.repeat(np.arange(4), 30)
    images = np.broadcast_to((labels * 40).astype(np.uint8)[:, None, None], (120, 4, 4))
    np.savez(tmp_path / "sorted.npz", images=images, labels=labels)
    dataset = load(str(tmp_path / "sorted.npz"))
    for part in (dataset.train, dataset.validation):
        assert set(part.labels.tolist()) == {0, 1, 2, 3}
        assert np.array_equal(part.images[:, 0, 0], part.labels * 40)
    assert dataset.facts.sha256 == hashlib.sha256(images.tobytes()).hexdigest()
    (remark,) = dataset.remarks
    assert "shuffled before the split" in remark
    assert np.array_equal(load(str(tmp_path / "sorted.npz")).train.images, dataset.train.images)


def test_a_published_set_in_an_array_keeps_its_split(tmp_path, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (60, 4, 4), np.uint8)
    facts = KnownSet("little", "CC0", "made here", (), {}, fingerprint=hashlib.sha256(images.tobytes()).hexdigest())
    monkeypatch.setitem(KNOWN, "little", facts)
    np.save(tmp_path / "mine.npy", images)
    dataset = load(str(tmp_path / "mine.npy"))
    assert dataset.facts.name == "little"
    assert np.array_equal(dataset.train.images, images[:50])


def test_idx_files_sorted_by_class_are_shuffled_with_a_remark(tmp_path):
    labels = np.repeat(np.arange(4, dtype=np.uint8), 30)
    images = np.broadcast_to((labels * 40)[:, None, None], (120, 4, 4))
    for name, array in (("train-images-idx3-ubyte", images), ("train-labels-idx1-ubyte", labels)):
        header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(header + array.tobytes()))
    dataset = load(str(tmp_path))
    assert set(dataset.train.labels.tolist()) == set(dataset.validation.labels.tolist()) == {0, 1, 2, 3}
    assert len(dataset.remarks) == 1
    assert "shuffled before the split" in dataset.remarks[0]


def test_a_class_that_validation_or_training_lacks_is_remarked(tmp_path):
    labels = np.zeros(60, np.int64)
    labels[0] = 1
    images = np.arange(960, dtype=np.uint8).reshape(60, 4, 4)
    np.savez(tmp_path / "rare.npz", images=images, labels=labels)
    (remark,) = load(str(tmp_path / "rare.npz")).remarks
    assert "has no image of class 1" in remark
