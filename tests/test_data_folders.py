"""Folders and archives are read in every layout in which data sets are published, with their parts and classes."""

import gzip
import io
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from aegen.data.datasets import load
from aegen.data.inputs import read_inputs
from aegen.files.unpacking import Limits, is_archive, unpacked
from aegen.runtime.errors import InputError
from PIL import Image

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (60, 6, 6), np.uint8)
LABELS = np.arange(60) % 3
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
ARRAYS = (IMAGES[:48], LABELS[:48], IMAGES[48:], LABELS[48:])


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def write_idx(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(FILES, ARRAYS, strict=True):
        (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))


def write_images(folder: Path, rows, names=("ant", "bee", "cat")) -> None:
    """Write some of IMAGES as PNG files into one sub-folder for each class. rows: indices of the images."""
    for i in rows:
        path = folder / names[LABELS[i]] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(IMAGES[i]).save(path)


def labels_belong(part) -> bool:
    label_of = {image.tobytes(): label for image, label in zip(IMAGES, LABELS, strict=True)}
    return all(label_of[image.tobytes()] == label for image, label in zip(part.images, part.labels, strict=True))


@pytest.mark.parametrize("inner", ["raw", "MNIST/raw", "a/b/c"])
def test_idx_files_are_found_in_folders_below_and_a_remark_says_where(tmp_path, inner):
    write_idx(tmp_path / inner)
    dataset = load(str(tmp_path))
    assert np.array_equal(dataset.test.images, IMAGES[48:])
    assert str(tmp_path / inner) in dataset.remarks[0]


def test_sets_in_two_folders_below_are_refused_with_both_named(tmp_path):
    for name in ("MNIST", "FashionMNIST"):
        write_idx(tmp_path / name / "raw")
    with pytest.raises(InputError, match="images in several folders: FashionMNIST/raw, MNIST/raw, expected one set"):
        load(str(tmp_path))


@pytest.mark.parametrize("beside", [True, False], ids=["beside the file", "instead of the file"])
def test_a_folder_named_like_an_idx_file_does_no_harm_and_is_looked_into(tmp_path, beside):
    for name, array in zip(FILES, ARRAYS, strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_bytes(idx(array))
        if beside:
            (tmp_path / name.replace("-idx", ".idx")).write_bytes(idx(array))
    dataset = load(str(tmp_path))
    assert np.array_equal(dataset.test.images, IMAGES[48:])
    assert labels_belong(dataset.train)


@pytest.mark.parametrize("test_name", ["test", "testing"])
def test_train_and_test_folders_are_the_parts_of_a_set(tmp_path, test_name):
    write_images(tmp_path / "train", range(48))
    write_images(tmp_path / test_name, range(48, 60))
    dataset = load(str(tmp_path))
    assert dataset.facts.test_images == 12
    assert len(dataset.train) + len(dataset.validation) == 48
    assert dataset.class_names == ("ant", "bee", "cat")
    for part in (dataset.train, dataset.validation, dataset.test):
        assert labels_belong(part)


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_a_folder_of_validation_images_is_the_validation_part(tmp_path, name):
    write_images(tmp_path / "train", range(40))
    write_images(tmp_path / name, range(40, 60))
    dataset = load(str(tmp_path))
    assert (len(dataset.train), len(dataset.validation), dataset.facts.test_images) == (40, 20, 0)
    assert labels_belong(dataset.validation)


def test_a_class_that_the_test_folder_lacks_does_not_change_the_numbers_of_the_others(tmp_path):
    write_images(tmp_path / "train", range(48))
    write_images(tmp_path / "test", [i for i in range(48, 60) if LABELS[i] != 0])
    assert labels_belong(load(str(tmp_path)).test)


def test_parts_without_classes_have_no_labels(tmp_path):
    for part, rows in (("train", range(48)), ("test", range(48, 60))):
        (tmp_path / part).mkdir()
        for i in rows:
            Image.fromarray(IMAGES[i]).save(tmp_path / part / f"{i}.png")
    dataset = load(str(tmp_path))
    assert dataset.train.labels is None
    assert dataset.facts.test_images == 12


def test_a_class_folder_beside_the_folders_of_parts_is_refused_with_its_name(tmp_path):
    write_images(tmp_path / "train", range(48))
    write_images(tmp_path, range(48, 60), names=("extra",) * 3)
    with pytest.raises(InputError, match="found sub-folder extra beside train, expected either classes, or train"):
        load(str(tmp_path))


def test_folders_0_to_10_are_those_numbers_and_each_part_has_all_of_them(tmp_path):
    for label in range(11):
        (tmp_path / str(label)).mkdir()
        for i in range(12):
            image = np.full((8, 8), 20 * label + i % 4, np.uint8)
            Image.fromarray(image).save(tmp_path / str(label) / f"{i}.png")
    dataset = load(str(tmp_path))
    assert dataset.class_names == ()
    for part in (dataset.train, dataset.validation):
        assert np.array_equal(part.labels, part.images[:, 0, 0] // 20)
        assert set(part.labels) == set(range(11))


@pytest.mark.parametrize("ending", ["[0:12]", "/[0:12]"])
def test_a_slice_of_a_folder_selects_images_in_natural_order(tmp_path, ending):
    (tmp_path / "scans").mkdir()
    for i in range(60):
        Image.fromarray(IMAGES[i]).save(tmp_path / "scans" / f"{i}.png")
    dataset = load(f"{tmp_path / 'scans'}{ending}")
    found = [*dataset.train.images, *dataset.validation.images]
    assert sorted(image.tobytes() for image in found) == sorted(image.tobytes() for image in IMAGES[:12])
    assert dataset.facts.name == "scans-0-12-"
    assert np.array_equal(read_inputs(f"{tmp_path / 'scans'}{ending}", shape=(1, 6, 6)).images, IMAGES[:12])
    with pytest.raises(InputError, match="scans: found no images in the slice, expected at least one"):
        load(f"{tmp_path / 'scans'}[60:]")


@pytest.mark.parametrize("name", ["", "a.zip", "a.tar"])
def test_a_slice_of_class_folders_keeps_labels_and_the_names_of_all_classes(tmp_path, name):
    write_images(tmp_path / "set", range(60))
    path = archive(tmp_path / name, tmp_path / "set") if name else tmp_path / "set"
    dataset = load(f"{path}[20:40]")
    assert dataset.class_names == ("ant", "bee", "cat")
    assert set(dataset.train.labels) == {1}
    assert labels_belong(dataset.train)


def archive(path: Path, source: Path) -> Path:
    """Pack the files below a folder into an archive whose format is chosen by the end of its name."""
    files = [file for file in sorted(source.rglob("*")) if file.is_file()]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as packed:
            for file in files:
                packed.write(file, file.relative_to(source))
    else:
        with tarfile.open(path, "w:" + {".gz": "gz", ".xz": "xz", ".bz2": "bz2"}.get(path.suffix, "")) as packed:
            for file in files:
                packed.add(file, f"./{file.relative_to(source)}")
    return path


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.xz", "a.tar.bz2"])
def test_an_archive_of_class_folders_is_the_folder_that_it_holds(tmp_path, name):
    write_images(tmp_path / "set" / "images", range(60))
    (tmp_path / "set" / "__MACOSX").mkdir()
    (tmp_path / "set" / "__MACOSX" / "._0.png").write_bytes(b"metadata")
    path = archive(tmp_path / name, tmp_path / "set")
    dataset = load(str(path))
    assert np.array_equal(dataset.train.images, load(str(tmp_path / "set" / "images")).train.images)
    assert dataset.class_names == ("ant", "bee", "cat")
    assert all(remark.startswith(str(path)) for remark in dataset.remarks)


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
@pytest.mark.parametrize("layout", ["IDX files", "an npz", "a table"])
def test_an_archive_may_hold_any_layout(tmp_path, name, layout):
    inner = tmp_path / "set"
    inner.mkdir()
    if layout == "IDX files":
        write_idx(inner / "raw")
    elif layout == "an npz":
        np.savez(inner / "keras.npz", x_train=IMAGES, y_train=LABELS)
    else:
        rows = np.column_stack([LABELS, IMAGES.reshape(60, 36)])
        np.savetxt(inner / "a.csv", rows, "%d", ",")
    dataset = load(str(archive(tmp_path / name, inner)))
    assert labels_belong(dataset.train)


def test_errors_within_an_archive_name_the_archive_and_the_file(tmp_path):
    write_images(tmp_path / "set", range(12))
    (tmp_path / "set" / "ant" / "0.png").write_bytes(b"\x89PNG broken")
    path = archive(tmp_path / "a.zip", tmp_path / "set")
    with pytest.raises(InputError, match=rf"{path}/ant/0\.png"):
        load(str(path))


def test_an_archive_that_holds_too_much_is_refused_before_it_is_unpacked(tmp_path):
    write_images(tmp_path / "set", range(12))
    for name in ("a.zip", "a.tar.gz"):
        path = archive(tmp_path / name, tmp_path / "set")
        for limits, message in ((Limits(members=11), "more than 11 files"), (Limits(bytes=100), "more than 100 bytes")):
            with pytest.raises(InputError, match=f"found {message}.*Unpack it"), unpacked(path, limits):
                pass
        with unpacked(path, Limits(members=12)) as folder:
            assert len(list(folder.rglob("*.png"))) == 12
        assert not folder.exists()


def test_files_that_would_leave_the_folder_and_links_are_not_unpacked(tmp_path):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as packed:
        for name, kind in (("../out.png", "file"), ("/abs.png", "file"), ("link.png", "link"), ("in.png", "file")):
            info = tarfile.TarInfo(name)
            info.size = 3 if kind == "file" else 0
            if kind == "link":
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            packed.addfile(info, io.BytesIO(b"abc"))
    (tmp_path / "a.tar").write_bytes(content.getvalue())
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for name in ("../out.png", "/abs.png", "in.png"):
            packed.writestr(name, "abc")
    for name in ("a.tar", "a.zip"):
        with unpacked(tmp_path / name) as folder:
            assert [path.name for path in folder.rglob("*")] == ["in.png"]
            assert not (folder.parent / "out.png").exists()


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar"])
def test_a_damaged_archive_is_one_error_that_names_it(tmp_path, name):
    write_images(tmp_path / "set", range(40))
    path = archive(tmp_path / name, tmp_path / "set")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        load(str(path))
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes(64) + whole[middle + 64 :])
    try:
        load(str(path))
    except InputError as error:
        assert name in str(error)


def test_arrays_are_no_archives_although_an_npz_is_a_zip(tmp_path):
    np.savez(tmp_path / "a.npz", images=IMAGES)
    np.savez(tmp_path / "b.npz", images=IMAGES)
    (tmp_path / "b.npz").rename(tmp_path / "without-suffix")
    write_idx(tmp_path)
    for name in ("a.npz", "without-suffix", f"{FILES[0]}.gz"):
        assert not is_archive(tmp_path / name)
