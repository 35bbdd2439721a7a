"""Data sets are loaded by name or from files, and always split in the same way; unusable data is a clear error."""

import functools
import gzip
import hashlib
import http.server
import os
import struct
import threading

import numpy as np
import pytest
from aegen.data import datasets, downloads
from aegen.data.datasets import load
from aegen.data.downloads import IDX_FILES, KNOWN, KnownSet
from aegen.runtime.errors import InputError, NotFoundError, OutputError, ShapeError
from PIL import Image

TRAIN = np.random.default_rng(0).integers(0, 256, (60, 6, 5), np.uint8)
TEST = np.random.default_rng(1).integers(0, 256, (12, 6, 5), np.uint8)


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


NOBODY = 65534  # ID of a user without privileges
CONTENTS = dict(zip(IDX_FILES, map(idx_bytes, (TRAIN, np.arange(60) % 10, TEST, np.arange(12) % 10)), strict=True))


@pytest.fixture
def folder(tmp_path):
    """A folder of IDX files, compressed with gzip as MNIST is published."""
    path = tmp_path / "my images"
    path.mkdir()
    for name, content in CONTENTS.items():
        (path / name).write_bytes(gzip.compress(content))
    return path


def test_real_mnist_is_recognised_and_split(mnist):
    dataset = load(str(mnist))
    assert (dataset.facts.name, dataset.facts.licence) == ("mnist", "CC BY-SA 3.0")
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (50_000, 10_000, 10_000)
    assert dataset.shape == (1, 28, 28)
    assert dataset.train.images.dtype == np.uint8
    assert dataset.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert dataset.test.labels[:5].tolist() == [7, 2, 1, 0, 4]


def test_validation_is_the_last_sixth(folder):
    dataset = load(str(folder))
    assert np.array_equal(dataset.train.images, TRAIN[:50])
    assert np.array_equal(dataset.validation.images, TRAIN[50:])
    assert np.array_equal(dataset.validation.labels, np.arange(50, 60) % 10)
    assert np.array_equal(dataset.test.images, TEST)
    assert (dataset.facts.name, dataset.facts.licence) == ("my-images", "not stated")


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name.removesuffix(".gz"),
        lambda name: name.replace("-idx", ".idx").removesuffix(".gz"),
        lambda name: "some-set-" + name.replace("t10k", "test"),
    ],
)
def test_other_spellings_of_idx_file_names_are_understood(tmp_path, rename):
    for name, content in CONTENTS.items():
        (tmp_path / rename(name)).write_bytes(gzip.compress(content) if rename(name).endswith(".gz") else content)
    dataset = load(str(tmp_path))
    assert np.array_equal(dataset.train.images, TRAIN[:50])
    assert np.array_equal(dataset.test.images, TEST)


def test_emnist_is_turned_upright(tmp_path):
    (tmp_path / "emnist-digits-train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(TRAIN)))
    assert np.array_equal(load(str(tmp_path)).train.images, TRAIN[:50].transpose(0, 2, 1))


def test_without_a_test_set_the_validation_images_are_the_test_set(folder):
    for name in IDX_FILES[2:]:
        (folder / name).unlink()
    dataset = load(str(folder))
    assert np.array_equal(dataset.test.images, dataset.validation.images)


def test_arrays_are_read_with_and_without_labels(tmp_path):
    np.savez(tmp_path / "a.npz", images=TRAIN, labels=np.arange(60))
    np.save(tmp_path / "b.npy", TRAIN / 255)
    with_labels, without = load(str(tmp_path / "a.npz")), load(str(tmp_path / "b.npy"))
    assert np.array_equal(with_labels.train.images, TRAIN[with_labels.train.labels])  # the label of image TRAIN[i] is i
    assert sorted([*with_labels.train.labels, *with_labels.validation.labels]) == list(range(60))
    assert without.train.labels is None
    assert np.array_equal(with_labels.train.images, without.train.images)
    assert without.train.images.dtype == np.uint8
    assert with_labels.facts.labelled
    assert not without.facts.labelled


def test_sub_folders_are_labels_and_every_split_has_all_of_them(tmp_path):
    for label, name in enumerate(["circle", "square"]):
        (tmp_path / name).mkdir()
        for i in range(30):
            pixels = np.full((6, 5, 3), 100 * label + i, np.uint8)
            pixels[..., 2] = 200
            Image.fromarray(pixels).save(tmp_path / name / f"{i:02d}.png")
    dataset = load(str(tmp_path))
    assert dataset.shape == (3, 6, 5)
    for part in (dataset.train, dataset.validation):
        assert np.array_equal(part.labels, (part.images[:, 0, 0, 0] >= 100).astype(int))
        assert set(part.labels) == {0, 1}
    assert np.array_equal(load(str(tmp_path)).train.images, dataset.train.images)


def test_a_folder_whose_layout_is_unclear_is_refused_and_empty_sub_folders_are_no_labels(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    for i in range(12):
        Image.fromarray(TRAIN[i]).save(tmp_path / ("a" if i % 2 else "c") / f"{i}.png")
    assert set(load(str(tmp_path)).train.labels) == {0, 1}
    Image.fromarray(TRAIN[0]).save(tmp_path / "loose.png")
    with pytest.raises(InputError, match=r"images in sub-folders, and loose\.png beside them"):
        load(str(tmp_path))


def test_idx_files_of_several_sets_in_one_folder_are_refused(folder):
    (folder / "other-train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(TRAIN)))
    with pytest.raises(InputError, match="files of several sets: other, train-images"):
        load(str(folder))


def test_a_plain_folder_of_images_has_no_labels(tmp_path):
    for i, image in enumerate(TRAIN[:12]):
        Image.fromarray(image).save(tmp_path / f"{i:02d}.png")
    dataset = load(str(tmp_path))
    assert dataset.train.labels is None
    assert (len(dataset.train), len(dataset.validation)) == (10, 2)


def test_errors_name_file_found_expected_and_remedy(folder, tmp_path):
    images, labels = folder / IDX_FILES[0], folder / IDX_FILES[1]
    whole = images.read_bytes()
    images.write_bytes(whole[:-100])
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte\.gz: found a gzip file cut short.*copy it again"):
        load(str(folder))
    images.write_bytes(gzip.compress(b"\0\0\x08\x07" + idx_bytes(TRAIN)[4:]))
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte\.gz"):
        load(str(folder))
    images.write_bytes(gzip.compress(b"\1\2\3\4" + idx_bytes(TRAIN)[4:]))
    with pytest.raises(InputError, match=r"magic number: found 01020304, expected 00000801 \(labels\) or 00000803"):
        load(str(folder))
    images.write_bytes(gzip.compress(idx_bytes(np.arange(60))))
    with pytest.raises(ShapeError, match=r"train-images-idx3-ubyte\.gz: found 1 axes, expected 3"):
        load(str(folder))
    images.write_bytes(whole)
    labels.write_bytes(gzip.compress(idx_bytes(np.arange(59))))
    with pytest.raises(
        InputError, match=r"train-labels.*: found 59 labels, expected 60, as many as the images of .*train-images"
    ):
        load(str(folder))
    labels.unlink()
    images.unlink()
    with pytest.raises(NotFoundError, match=r"expected train-images-idx3-ubyte\.gz, compressed or not"):
        load(str(folder))


def test_unusable_folders_and_arrays_are_named(tmp_path):
    with pytest.raises(InputError, match="found no images, expected IDX files as MNIST has, files ending in .png"):
        load(str(tmp_path))
    with pytest.raises(
        NotFoundError, match="no such name or path, expected a file, a folder, or one of mnist, fashion-mnist"
    ):
        load("nothing-like-this")
    with pytest.raises(NotFoundError, match=r"gone\.npz': found no such name or path"):
        load(str(tmp_path / "gone.npz"))
    np.save(tmp_path / "few.npy", TRAIN[:5])
    with pytest.raises(InputError, match=r"found 5 images, expected at least 6"):
        load(str(tmp_path / "few.npy"))
    np.save(tmp_path / "ints.npy", TRAIN.astype(np.int64) + 1)
    with pytest.raises(InputError, match=r"ints\.npy: found int64 from 1 to 256, expected whole numbers from 0 to 255"):
        load(str(tmp_path / "ints.npy"))
    np.save(tmp_path / "bright.npy", np.minimum(TRAIN + 0.5, 255))
    with pytest.raises(
        InputError, match=r"bright\.npy: found values from 0.5 to 255, expected values in \[0, 1\]\. Divide"
    ):
        load(str(tmp_path / "bright.npy"))
    np.savez(tmp_path / "names.npz", first=TRAIN, second=TRAIN)
    with pytest.raises(InputError, match="found arrays first, second, expected 'images' and, optionally, 'labels'"):
        load(str(tmp_path / "names.npz"))
    np.savez(tmp_path / "labels.npz", images=TRAIN, labels=np.zeros((60, 10)))
    with pytest.raises(InputError, match=r"labels: found float64 of shape \(60, 10\), expected whole numbers"):
        load(str(tmp_path / "labels.npz"))


def test_a_file_of_another_size_in_a_sub_folder_is_named(tmp_path):
    for name, size in [("a", 5), ("b", 7)]:
        (tmp_path / name).mkdir()
        Image.fromarray(np.zeros((size, size), np.uint8)).save(tmp_path / name / "one.png")
    with pytest.raises(ShapeError, match=r"one\.png: found .x. pixels, expected .x., as one\.png has\. Choose a size"):
        load(str(tmp_path))


@pytest.fixture
def without_privileges(tmp_path, monkeypatch):
    """An empty working directory; after the test, the user ID and the permissions in this directory are restored."""
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    if os.geteuid() != os.getuid():
        os.seteuid(os.getuid())
    for path in tmp_path.iterdir():
        path.chmod(0o755)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="no such permissions here")
@pytest.mark.parametrize("mode", [0o000, 0o444, 0o111], ids=["no permission", "no entry", "no listing"])
@pytest.mark.parametrize("content", ["folder of images", "folder of classes", "folder of IDX files"])
def test_a_folder_without_permission_is_named(without_privileges, mode, content):
    folder = without_privileges / "set"
    inner = folder / "a" if content == "folder of classes" else folder
    inner.mkdir(parents=True)
    if content == "folder of IDX files":
        for name, data in CONTENTS.items():
            (folder / name).write_bytes(gzip.compress(data))
    else:
        for i in range(12):
            Image.fromarray(TRAIN[i]).save(inner / f"{i}.png")
    load("set")  # import all modules that loading needs, before permissions are removed
    inner.chmod(mode)
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
    with pytest.raises(InputError, match=r"set(/\S+)?: found permission denied, expected a .* that can be read"):
        load("set")


@pytest.fixture
def server(tmp_path):
    """A local web server for the folder `tmp_path / "mirror"`, which holds the IDX files of a data set."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    for name, content in CONTENTS.items():
        (mirror / name).write_bytes(gzip.compress(content, mtime=0))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            requested.append(self.path)

    requested: list[str] = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=mirror)) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        served.url, served.folder, served.requested = f"http://127.0.0.1:{served.server_port}/", mirror, requested
        yield served
        served.shutdown()


def known_set(server, *mirrors: str, **checksums: str) -> KnownSet:
    files = {
        name: checksums.get(name, "md5:" + hashlib.md5((server.folder / name).read_bytes()).hexdigest())
        for name in IDX_FILES
    }
    return KnownSet("little", "CC0", "made in this test", (*mirrors, server.url), files)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "aegen" / "little"


CLOSED = "http://127.0.0.1:9/"  # URL of a mirror that cannot be reached: no server listens on this port


def test_a_published_set_is_downloaded_once_from_the_first_mirror_that_answers(server, cache, monkeypatch):
    known = known_set(server, CLOSED)
    monkeypatch.setitem(KNOWN, "little", known)
    dataset = load("little")
    assert (dataset.facts.name, dataset.facts.licence, dataset.facts.source) == ("little", "CC0", "made in this test")
    assert np.array_equal(dataset.train.images, TRAIN[:50])
    assert sorted(file.name for file in cache.iterdir()) == sorted(IDX_FILES)
    assert len(server.requested) == 4
    assert np.array_equal(load("little").test.images, TEST)
    assert len(server.requested) == 4


def test_a_download_with_another_checksum_is_refused_and_not_kept(server, cache, monkeypatch):
    known = known_set(server, **{IDX_FILES[2]: "md5:" + "0" * 32})
    monkeypatch.setitem(KNOWN, "little", known)
    with pytest.raises(NotFoundError, match=r"t10k-images-idx3-ubyte\.gz cannot be downloaded.*another checksum"):
        load("little")
    assert not (cache / IDX_FILES[2]).exists()


def test_without_network_the_error_says_where_to_put_the_files_and_they_are_read_from_there(server, cache, monkeypatch):
    known = KnownSet("little", "CC0", "made in this test", (CLOSED,), known_set(server).files)
    monkeypatch.setitem(KNOWN, "little", known)
    with pytest.raises(NotFoundError) as caught:
        load("little")
    for words in (*IDX_FILES, str(cache), "give its path as the data", "ConnectionError"):
        assert words in str(caught.value)
    cache.mkdir(parents=True, exist_ok=True)
    for name, content in CONTENTS.items():
        (cache / name).write_bytes(gzip.compress(content, 1))
    assert np.array_equal(load("little").train.images, TRAIN[:50])


def test_a_cache_that_cannot_be_written_is_named(server, cache, tmp_path, monkeypatch):
    monkeypatch.setitem(KNOWN, "little", known_set(server))
    (tmp_path / "cache").write_text("a file where the cache would be")
    with pytest.raises(OutputError, match="cache/aegen/little: found Not a directory"):
        load("little")


def test_a_cache_with_other_images_is_refused(server, cache, monkeypatch):
    known = known_set(server)
    known = KnownSet(known.name, known.licence, known.source, known.mirrors, known.files, fingerprint="0" * 64)
    monkeypatch.setitem(KNOWN, "little", known)
    with pytest.raises(InputError, match="found other images, expected those of little. Delete the folder"):
        load("little")


def test_the_members_of_a_downloaded_archive_are_unpacked(server, cache, monkeypatch):
    import zipfile

    with zipfile.ZipFile(server.folder / "gzip.zip", "w") as archive:
        for name, content in CONTENTS.items():
            archive.writestr(f"gzip/{name}", gzip.compress(content))
        archive.writestr("gzip/unwanted.txt", "x")
    checksum = "md5:" + hashlib.md5((server.folder / "gzip.zip").read_bytes()).hexdigest()
    members = tuple(f"gzip/{name}" for name in IDX_FILES)
    monkeypatch.setitem(
        KNOWN, "little", KnownSet("little", "CC0", "made in this test", (server.url,), {"gzip.zip": checksum}, members)
    )
    assert np.array_equal(load("little").train.images, TRAIN[:50])
    assert not (cache / "gzip" / "unwanted.txt").exists()
    assert datasets.load("little").facts.sha256 == hashlib.sha256(TRAIN.tobytes()).hexdigest()


def test_every_published_set_has_mirrors_checksums_licence_and_source():
    for known in downloads.KNOWN.values():
        assert known.mirrors
        assert all(mirror.endswith("/") for mirror in known.mirrors)
        assert all(checksum.startswith("md5:") and len(checksum) == 36 for checksum in known.files.values())
        assert known.licence
        assert known.source


@pytest.mark.parametrize("classes", [False, True], ids=["IDX files", "image folder"])
def test_links_that_lead_in_a_circle_are_ignored_in_a_folder(folder, tmp_path, classes):
    if classes:
        folder = tmp_path / "classes"
        for name in ("a", "b"):
            (folder / name).mkdir(parents=True)
            for i in range(6):
                Image.fromarray(TRAIN[i]).save(folder / name / f"{i}.png")
    entries = sorted(folder.iterdir())
    expected = load(str(folder))
    for parent in [folder, *filter(os.path.isdir, entries)]:
        for name in ("x-images-idx3-ubyte", "x.png"):
            (parent / name).symlink_to(name)
    assert np.array_equal(load(str(folder)).train.images, expected.train.images)
