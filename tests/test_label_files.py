"""Label files with any usual name are read; a label file that cannot be used is named in an error or a remark."""

import gzip
import struct

import numpy as np
import pytest
from aegen.data.datasets import load
from aegen.runtime.errors import InputError
from PIL import Image

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 4, 4), np.uint8)
LABELS = np.arange(60) % 3
TYPES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx(array: np.ndarray, kind: str = "u1") -> bytes:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, TYPES[kind], array.ndim, *array.shape)
    return header + array.astype(f">{kind}").tobytes()


def labels_of(folder) -> list[int]:
    dataset = load(str(folder))
    assert np.array_equal(dataset.train.images, IMAGES[:50])
    return None if dataset.train.labels is None else dataset.train.labels.tolist()


@pytest.mark.parametrize("kind", TYPES)
def test_labels_of_every_type_are_read(tmp_path, kind):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(IMAGES))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS, kind))
    assert labels_of(tmp_path) == LABELS[:50].tolist()


@pytest.mark.parametrize(
    "names",
    [
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
        ("train-images.idx3-ubyte", "train-labels.idx1-ubyte"),
        ("Train-Images-idx3-ubyte", "Train-Labels-idx1-ubyte"),
        ("train_images.idx3", "train_labels.idx1"),
        ("train-images.idx", "train-labels.idx"),
        ("qmnist-train-images-idx3-ubyte.gz", "qmnist-train-labels-idx1-int.gz"),
        ("X_kannada_MNIST_train-idx3-ubyte.gz", "y_kannada_MNIST_train-idx1-ubyte.gz"),
    ],
)
def test_published_spellings_are_understood(tmp_path, names):
    for name, array, kind in zip(names, (IMAGES, LABELS), ("u1", "i4" if "int" in names[1] else "u1"), strict=True):
        content = idx(array, kind)
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert labels_of(tmp_path) == LABELS[:50].tolist()


@pytest.mark.parametrize("columns", [2, 8])
def test_the_class_is_the_first_column_of_a_label_table_and_a_remark_says_so(tmp_path, columns):
    table = np.random.default_rng(1).integers(5, 4000, (60, columns))
    table[:, 0] = LABELS
    (tmp_path / "qmnist-train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(IMAGES)))
    (tmp_path / "qmnist-train-labels-idx2-int.gz").write_bytes(gzip.compress(idx(table, "i4")))
    assert labels_of(tmp_path) == LABELS[:50].tolist()
    assert any(
        f"the first of {columns} columns is taken for the class" in remark for remark in load(str(tmp_path)).remarks
    )


def test_one_hot_rows_are_read_as_class_indices_and_a_remark_says_so(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(IMAGES))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.eye(3)[LABELS]))
    assert labels_of(tmp_path) == LABELS[:50].tolist()
    assert "one-hot rows of 3 columns are read as class indices" in load(str(tmp_path)).remarks[0]


def test_fractions_are_refused_as_labels(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(IMAGES))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS / 2, "f4"))
    with pytest.raises(InputError, match="train-labels-idx1-ubyte: found numbers that are not whole"):
        load(str(tmp_path))


@pytest.mark.parametrize("name", ["train-labels.csv", "Labels.txt", "train-labels-idx1-ubyte.xz", "targets.npy"])
def test_an_unreadable_label_file_beside_idx_images_is_an_error(tmp_path, name):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(IMAGES))
    (tmp_path / name).write_bytes(b"0\n1\n")
    with pytest.raises(
        InputError, match="looks like labels and is no IDX file, expected labels in an IDX file"
    ) as caught:
        load(str(tmp_path))
    assert str(tmp_path / name) in str(caught.value)


def test_a_second_label_file_is_named_in_a_remark(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(IMAGES))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS))
    (tmp_path / "train-labels.tsv").write_bytes(b"0\n1\n")
    assert any("train-labels.tsv is not read" in remark for remark in load(str(tmp_path)).remarks)


@pytest.mark.parametrize("name", ["labels.csv", "train_labels.json", "TARGETS.txt", "y_train.npy"])
def test_a_label_file_beside_image_files_is_an_error(tmp_path, name):
    for i in range(12):
        Image.fromarray(IMAGES[i]).save(tmp_path / f"{i}.png")
    (tmp_path / name).write_text("x")
    with pytest.raises(InputError, match="looks like labels, expected images in sub-folders named as their") as caught:
        load(str(tmp_path))
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["Labels", "y", "targets", "label"])
def test_labels_with_another_usual_name_are_read_from_an_npz(tmp_path, name):
    np.savez(tmp_path / "a.npz", images=np.repeat(LABELS.astype(np.uint8), 16).reshape(60, 4, 4), **{name: LABELS})
    dataset = load(str(tmp_path / "a.npz"))
    assert np.array_equal(dataset.train.images[:, 0, 0], dataset.train.labels)


@pytest.mark.parametrize(
    "arrays",
    [{"digit": LABELS}, {"y_train": LABELS}, {"my_labels": LABELS[:5]}, {"labels_a": LABELS, "labels_b": LABELS}],
)
def test_an_array_that_may_be_labels_and_cannot_be_read_is_an_error(tmp_path, arrays):
    np.savez(tmp_path / "a.npz", images=IMAGES, **arrays)
    with pytest.raises(InputError, match="which may be labels, expected labels, whole numbers") as caught:
        load(str(tmp_path / "a.npz"))
    assert next(iter(arrays)) in str(caught.value)


def test_a_slice_of_an_npz_keeps_its_labels(tmp_path):
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    assert len(load(f"{tmp_path / 'a.npz'}[:30]").train.labels) == 25


def test_another_table_beside_image_files_is_named_in_a_remark(tmp_path):
    for i in range(12):
        Image.fromarray(np.full((6, 6), 20 * i, np.uint8)).save(tmp_path / f"{i}.png")
    (tmp_path / "metadata.csv").write_text("file,animal\n0.png,cat\n")
    assert any("metadata.csv is not read" in remark for remark in load(str(tmp_path)).remarks)
