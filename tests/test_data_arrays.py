"""Arrays are read in every usual layout: the parts of Keras and MedMNIST sets, other axes, number types and labels."""

import pickle

import numpy as np
import pytest
from aegen.data.datasets import load
from aegen.images.reading import read_images
from aegen.runtime.errors import InputError, ShapeError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (60, 6, 6), np.uint8)
LABELS = np.arange(60) % 3


def saved(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


def same_images(part, images) -> bool:
    """Whether a part holds exactly these images, in any order."""
    return sorted(image.tobytes() for image in part) == sorted(image.tobytes() for image in images)


def labels_belong(part) -> bool:
    """Whether each image of a part has the label that IMAGES and LABELS give it."""
    label_of = {image.tobytes(): label for image, label in zip(IMAGES, LABELS, strict=True)}
    return all(label_of[image.tobytes()] == label for image, label in zip(part.images, part.labels, strict=True))


@pytest.mark.parametrize(
    ("train", "labels", "test", "test_labels"),
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("X_train", "Y_train", "X_test", "Y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("trainImages", "trainLabels", "testImages", "testLabels"),
        ("images", "labels", "test_images", "test_labels"),
    ],
)
def test_the_training_and_test_images_of_an_npz_are_its_parts(tmp_path, train, labels, test, test_labels):
    arrays = {train: IMAGES[:48], labels: LABELS[:48], test: IMAGES[48:], test_labels: LABELS[48:]}
    dataset = load(saved(tmp_path / "keras.npz", **arrays))
    assert np.array_equal(dataset.test.images, IMAGES[48:])
    assert np.array_equal(dataset.test.labels, LABELS[48:])
    assert dataset.facts.test_images == 12
    assert same_images([*dataset.train.images, *dataset.validation.images], IMAGES[:48])
    assert labels_belong(dataset.train)
    assert labels_belong(dataset.validation)


@pytest.mark.parametrize("validation", ["val", "valid", "validation"])
def test_three_stored_parts_stay_as_they_are_and_columns_of_labels_are_flattened(tmp_path, validation):
    rows = {"train": slice(0, 30), validation: slice(30, 40), "test": slice(40, 60)}
    arrays = {f"{part}_images": IMAGES[window] for part, window in rows.items()}
    arrays |= {f"{part}_labels": LABELS[window, None].astype(np.uint8) for part, window in rows.items()}
    dataset = load(saved(tmp_path / "medmnist.npz", **arrays))
    for part, window in zip((dataset.train, dataset.validation, dataset.test), rows.values(), strict=True):
        assert np.array_equal(part.images, IMAGES[window])
        assert np.array_equal(part.labels, LABELS[window])
    assert (dataset.facts.training_images, dataset.facts.validation_images, dataset.facts.test_images) == (30, 10, 20)
    assert not dataset.facts.shuffled


@pytest.mark.parametrize(("name", "suffix"), [("kmnist", "npz"), ("k49", "npz"), ("", "npy")])
def test_a_folder_of_files_with_one_array_each_is_one_set_with_its_test_part(tmp_path, name, suffix):
    for part, window in (("train", slice(0, 48)), ("test", slice(48, 60))):
        for content, array in (("imgs", IMAGES[window]), ("labels", LABELS[window].astype(np.uint8))):
            path = tmp_path / "-".join(filter(None, [name, part, f"{content}.{suffix}"]))
            np.savez(path, array) if suffix == "npz" else np.save(path, array)
    dataset = load(str(tmp_path))
    assert np.array_equal(dataset.test.images, IMAGES[48:])
    assert np.array_equal(dataset.test.labels, LABELS[48:])
    assert labels_belong(dataset.train)


def test_array_files_of_two_sets_in_one_folder_are_refused(tmp_path):
    for name in ("kmnist", "k49"):
        np.savez(tmp_path / f"{name}-train-imgs.npz", IMAGES)
    with pytest.raises(InputError, match="found files of several sets: k49, kmnist, expected those of one"):
        load(str(tmp_path))


def test_two_arrays_that_may_be_the_same_part_are_refused_with_their_names(tmp_path):
    path = saved(tmp_path / "twice.npz", x_train=IMAGES, train_images=IMAGES)
    with pytest.raises(InputError, match="found arrays x_train and train_images, which both may be the images"):
        load(path)


LAYOUTS = {
    "one row an image": IMAGES.reshape(60, 36),
    "channel last": IMAGES[..., None],
    "channel first": IMAGES[:, None],
    "three equal channels first": np.repeat(IMAGES[:, None], 3, 1),
    "three equal channels last": np.repeat(IMAGES[..., None], 3, -1),
    "int64": IMAGES.astype(np.int64),
    "uint16": IMAGES.astype(np.uint16),
    "float whole numbers": IMAGES.astype(np.float32),
    "float in [0, 1]": IMAGES / 255,
}


@pytest.mark.parametrize("array", LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_and_number_type_gives_the_same_images(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    dataset = load(str(tmp_path / "a.npy"))
    assert dataset.train.images.dtype == np.uint8
    assert same_images([*dataset.train.images, *dataset.validation.images], IMAGES)
    inputs = read_images(tmp_path / "a.npy", shape=None).images
    levels = np.rint(inputs * 255).astype(np.uint8) if inputs.dtype.kind == "f" else inputs
    assert np.array_equal(levels if levels.ndim == 3 else levels[..., 0], IMAGES)


def test_colour_with_the_channels_first_is_colour(tmp_path):
    colour = RANDOM.integers(0, 256, (12, 3, 6, 5), np.uint8)
    np.save(tmp_path / "a.npy", colour)
    dataset = load(str(tmp_path / "a.npy"))
    assert dataset.shape == (3, 6, 5)
    assert same_images([*dataset.train.images, *dataset.validation.images], colour.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("array", [IMAGES > 127, (IMAGES > 127).astype(np.uint8), (IMAGES > 127).astype(np.int32)])
def test_booleans_and_numbers_of_0_and_1_are_black_and_white(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    dataset = load(str(tmp_path / "a.npy"))
    assert set(np.unique(dataset.train.images)) == {0, 255}
    assert (dataset.remarks == ()) == (array.dtype == bool)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((60, 30), np.uint8), r"found shape \(60, 30\).*30 pixels make no square image"),
        (np.zeros((60, 3072), np.uint8), r"3,072 pixels make no square image\. If .*reshape\(-1, 3, 32, 32\)"),
        (np.zeros((60, 3, 8, 3), np.uint8), "whose channels may be the second or the last axis"),
        (np.zeros((60, 8, 8, 4), np.uint8), "An alpha channel must be removed first"),
        (np.zeros((60, 2, 8, 8, 3), np.uint8), r"found shape \(60, 2, 8, 8, 3\)"),
    ],
)
def test_a_shape_that_is_no_set_of_images_is_refused_with_the_reason(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ShapeError, match=message):
        load(str(tmp_path / "a.npy"))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (IMAGES.astype(np.int16) - 128, "found int16 from -128 to 127"),
        (IMAGES.astype(np.uint16) * 257, r"found uint16 from 0 to 65535.*images / 65535"),
        (np.full((60, 6, 6), "a"), "found dtype <U1"),
    ],
)
def test_numbers_outside_of_the_range_are_refused_with_the_range_found(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match=message):
        load(str(tmp_path / "a.npy"))


@pytest.mark.parametrize(
    ("stored", "names"),
    [
        (np.eye(3, dtype=np.float32)[LABELS], ()),
        (np.eye(3, dtype=bool)[LABELS], ()),
        (LABELS.astype(np.float64), ()),
        (LABELS[:, None], ()),
        (np.array(["0", "1", "2"])[LABELS], ()),
        (np.array(["ant", "bee", "cat"])[LABELS], ("ant", "bee", "cat")),
        (np.array([b"ant", b"bee", b"cat"])[LABELS], ("ant", "bee", "cat")),
        (np.array(["class1", "class2", "class10"])[LABELS], ("class1", "class2", "class10")),
    ],
)
def test_labels_of_every_kind_become_class_indices_and_names_are_kept(tmp_path, stored, names):
    dataset = load(saved(tmp_path / "a.npz", images=IMAGES, labels=stored))
    assert labels_belong(dataset.train)
    assert labels_belong(dataset.validation)
    assert dataset.class_names == names


def test_classes_of_texts_are_numbered_alike_in_all_parts(tmp_path):
    names = np.array(["ant", "bee", "cat"])
    arrays = {"x_train": IMAGES, "y_train": names[LABELS], "x_test": IMAGES[:12], "y_test": np.array(["cat"] * 12)}
    dataset = load(saved(tmp_path / "a.npz", **arrays))
    assert set(dataset.test.labels) == {2}


def test_class_names_stored_beside_numbers_are_kept(tmp_path):
    names = np.array(["ant", "bee", "cat"])
    assert load(saved(tmp_path / "a.npz", images=IMAGES, labels=LABELS, class_names=names)).class_names == (*names,)
    too_few = saved(tmp_path / "b.npz", images=IMAGES, labels=LABELS, class_names=names[:2])
    assert load(too_few).class_names == ()


@pytest.mark.parametrize("labels", [LABELS + 0.5, np.full((60, 4), 2), np.array([np.nan] * 60)])
def test_labels_that_are_no_classes_are_refused(tmp_path, labels):
    with pytest.raises(InputError, match="labels: found .*, expected whole numbers"):
        load(saved(tmp_path / "a.npz", images=IMAGES, labels=labels))


def test_a_set_sorted_by_class_has_all_classes_in_both_parts(tmp_path):
    labels = np.repeat(np.arange(10), 6)
    dataset = load(saved(tmp_path / "a.npz", images=IMAGES, labels=labels))
    assert set(dataset.train.labels) == set(dataset.validation.labels) == set(range(10))
    (remark,) = dataset.remarks
    assert "images are shuffled before the split" in remark
    again = load(str(tmp_path / "a.npz"))
    assert np.array_equal(again.train.images, dataset.train.images)


def test_a_set_of_equal_images_is_refused_before_training(tmp_path):
    np.save(tmp_path / "a.npy", np.full((12, 8, 8), 7, np.uint8))
    with pytest.raises(InputError, match="found 12 training images that are all equal"):
        load(str(tmp_path / "a.npy"))


def run_program():
    raise AssertionError("a pickle was opened")


class Program:
    def __reduce__(self):
        return run_program, ()


@pytest.mark.parametrize("name", ["data_batch_1", "images.pkl", "images.npy"])
def test_a_pickle_is_never_opened_and_the_message_says_how_to_convert_it(tmp_path, name):
    if name.endswith(".npy"):
        np.save(tmp_path / name, np.array([Program()] * 12, object), allow_pickle=True)
    else:
        (tmp_path / name).write_bytes(pickle.dumps(Program()))
    with pytest.raises(InputError, match=name) as caught:
        load(str(tmp_path / name))
    assert name == "images.npy" or "np.savez('images.npz'" in str(caught.value)


def test_a_folder_with_pickles_alone_is_refused_in_the_same_way(tmp_path):
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps([1]))
    with pytest.raises(InputError, match="data_batch_1: found a pickle"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("train_32x32.mat", b"MATLAB 5.0 MAT-file" + bytes(200), "a MATLAB file"),
        ("set.h5", b"\x89HDF\r\n\x1a\n" + bytes(200), "an HDF5 file"),
        ("data_batch_1.bin", bytes(3073 * 2), "a binary file without a header"),
    ],
)
def test_other_foreign_files_are_named_with_the_way_to_convert_them(tmp_path, name, content, kind):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"found {kind}.*Convert it: np\.savez"):
        load(str(tmp_path / name))
