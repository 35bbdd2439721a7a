"""A folder with a `.npy` file for each class, as QuickDraw is published, is one set with class names."""

import json
import zipfile

import numpy as np
import pytest
from aegen.data.datasets import load
from aegen.data.inputs import read_inputs
from aegen.runtime.errors import InputError
from PIL import Image

ROWS = np.random.default_rng(0).integers(0, 256, (60, 36), np.uint8)
LABELS = np.arange(60) % 3


def save_classes(folder, names, rows=ROWS) -> None:
    """Write the rows of each label of LABELS to a file. names: the names of the files of the labels 0, 1 and 2."""
    folder.mkdir(parents=True, exist_ok=True)
    for label, name in enumerate(names):
        np.save(folder / f"{name}.npy", rows[np.equal(LABELS, label)])


def labels_belong(part) -> bool:
    label_of = {image.tobytes(): label for image, label in zip(ROWS, LABELS, strict=True)}
    return all(label_of[image.tobytes()] == label for image, label in zip(part.images, part.labels, strict=True))


@pytest.mark.parametrize(
    ("names", "class_names"),
    [
        (("cat", "dog", "hot dog"), ("cat", "dog", "hot dog")),
        (tuple(f"full_numpy_bitmap_{name}" for name in ("alarm clock", "cat", "dog")), ("alarm clock", "cat", "dog")),
        (("bus", "car", "train"), ("bus", "car", "train")),
        (("cat", "cat-fish", "catalogue"), ("cat", "cat-fish", "catalogue")),
    ],
)
def test_each_file_is_a_class_with_the_name_of_the_file(tmp_path, names, class_names):
    save_classes(tmp_path, names)
    dataset = load(str(tmp_path))
    assert dataset.class_names == class_names
    assert dataset.shape == (1, 6, 6)
    for part in (dataset.train, dataset.validation):
        assert labels_belong(part)
        assert set(part.labels) == {0, 1, 2}
    assert f"{tmp_path}: each .npy file is a class: {', '.join(class_names)}" in dataset.remarks


def test_colour_floats_in_a_folder_below_or_in_an_archive_are_read(tmp_path):
    colour = np.random.default_rng(0).random((60, 5, 4, 3)).astype(np.float32)
    save_classes(tmp_path / "set" / "bitmaps", ("ant", "bee", "cat"), colour)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for path in (tmp_path / "set").rglob("*.npy"):
            packed.write(path, path.relative_to(tmp_path / "set"))
    for path in ("set", "a.zip"):
        dataset = load(str(tmp_path / path))
        assert (dataset.shape, dataset.class_names) == ((3, 5, 4), ("ant", "bee", "cat"))
    assert len(read_inputs(tmp_path / "set", shape=(3, 5, 4)).images) == 60


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("train", "test"), r"found files test\.npy, train\.npy, expected names with part and content"),
        (("cat", "train"), r"found files cat\.npy, train\.npy, expected names with part and content"),
        (
            ("cat", "dog", "labels"),
            r"found files cat\.npy, dog\.npy, labels\.npy, expected names with part and content",
        ),
        (("0", "1", "2"), r"found files 0\.npy, 1\.npy, 2\.npy, which may be classes, or pieces of one set"),
        (("data_1", "data_2"), "found files of several sets: 1, 2"),
        (("part_1", "part_2"), "which may be classes, or pieces of one set, expected names that show which"),
        (("Cat", "cat", "dog"), "found classes Cat and cat"),
    ],
)
def test_names_that_may_mean_something_else_are_refused_with_the_choices(tmp_path, names, message):
    save_classes(tmp_path, names)
    with pytest.raises(InputError, match=message):
        load(str(tmp_path))


@pytest.mark.parametrize("other", [np.zeros((9, 49), np.uint8), np.zeros((9, 36)), np.zeros(9, np.uint8), np.uint8(0)])
def test_files_that_differ_in_size_or_type_are_named_with_both_shapes(tmp_path, other):
    np.save(tmp_path / "cat.npy", ROWS)
    np.save(tmp_path / "dog.npy", other)
    with pytest.raises(
        InputError, match=r"uint8 of shape \(60, 36\) in cat\.npy, and .* in dog\.npy, expected images of"
    ):
        load(str(tmp_path))


def test_images_and_labels_and_image_files_beside_statistics_keep_their_meaning(tmp_path):
    arrays = tmp_path / "arrays"
    arrays.mkdir()
    np.save(arrays / "images.npy", ROWS)
    np.save(arrays / "labels.npy", LABELS)
    assert load(str(arrays)).class_names == ()
    assert labels_belong(load(str(arrays)).train)
    for i in range(12):
        path = tmp_path / "files" / "all" / ("ant", "bee")[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(ROWS[i].reshape(6, 6)).save(path)
    np.save(tmp_path / "files" / "mean.npy", ROWS)
    np.save(tmp_path / "files" / "std.npy", ROWS)
    assert load(str(tmp_path / "files")).class_names == ("ant", "bee")


def test_info_shows_the_classes_and_says_that_they_are_files(cli, tmp_path):
    save_classes(tmp_path / "drawings", ("full_numpy_bitmap_ant", "full_numpy_bitmap_bee", "full_numpy_bitmap_cat"))
    done = cli("info", "--data", "drawings", "--json")
    assert [each["name"] for each in json.loads(done.stdout)["classes"]] == ["ant", "bee", "cat"]
    assert "drawings: each .npy file is a class: ant, bee, cat" in json.loads(done.stdout)["remarks"]
