"""Parquet files with encoded images, as Hugging Face publishes them, are read with their labels and class names."""

import io
import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aegen.data.datasets import load
from aegen.images.read_options import ReadOptions
from aegen.runtime import extras
from aegen.runtime.errors import InputError, MissingExtraError
from PIL import Image

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (60, 6, 6), np.uint8)
LABELS = np.arange(60) % 3


def labels_belong(part) -> bool:
    label_of = {image.tobytes(): label for image, label in zip(IMAGES, LABELS, strict=True)}
    return all(label_of[image.tobytes()] == label for image, label in zip(part.images, part.labels, strict=True))


def png(image) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


def write_parquet(path, rows, *, image="struct", labels="names", metadata=True) -> None:
    """Write images as Hugging Face does. labels: "names" (numbers with names in the schema), "texts", or "none"."""

    encoded = [png(IMAGES[i]) for i in rows]
    columns = {"image": pa.array(encoded, pa.binary())}
    if image == "struct":
        columns["image"] = pa.array([{"bytes": each, "path": None} for each in encoded])
    features = {"image": {"_type": "Image"}}
    if labels == "names":
        columns["label"] = pa.array([LABELS[i] for i in rows], pa.int64())
        features["label"] = {"names": ["ant", "bee", "cat"], "_type": "ClassLabel"}
    elif labels == "texts":
        columns["label"] = pa.array([["ant", "bee", "cat"][LABELS[i]] for i in rows])
    table = pa.table(columns)
    if metadata:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path)


@pytest.mark.parametrize("image", ["struct", "bytes"])
@pytest.mark.parametrize("labels", ["names", "texts"])
def test_a_parquet_file_gives_images_labels_and_class_names(tmp_path, image, labels):
    write_parquet(tmp_path / "a.parquet", range(60), image=image, labels=labels)
    dataset = load(str(tmp_path / "a.parquet"))
    assert labels_belong(dataset.train)
    assert set(dataset.validation.labels) == {0, 1, 2}
    assert dataset.class_names == ("ant", "bee", "cat")


def test_parquet_without_metadata_or_labels_is_read(tmp_path):
    write_parquet(tmp_path / "a.parquet", range(60), metadata=False)
    assert load(str(tmp_path / "a.parquet")).class_names == ()
    assert labels_belong(load(str(tmp_path / "a.parquet")).train)
    write_parquet(tmp_path / "b.parquet", range(60), labels="none")
    assert load(str(tmp_path / "b.parquet")).train.labels is None


def test_a_folder_of_parquet_files_is_joined_by_part(tmp_path):
    write_parquet(tmp_path / "train-00000-of-00002.parquet", range(30))
    write_parquet(tmp_path / "train-00001-of-00002.parquet", range(30, 48))
    write_parquet(tmp_path / "test-00000-of-00001.parquet", range(48, 60))
    dataset = load(str(tmp_path))
    assert (len(dataset.train) + len(dataset.validation), dataset.facts.test_images) == (48, 12)
    assert np.array_equal(dataset.test.images, IMAGES[48:])
    assert labels_belong(dataset.train)


def test_parquet_that_holds_no_images_or_several_is_refused_with_the_columns(tmp_path):

    pq.write_table(pa.table({"text": ["a", "b"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="found columns text, expected one column with images"):
        load(str(tmp_path / "a.parquet"))
    pq.write_table(pa.table({"left": [b"a"], "right": [b"b"]}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match="found columns left, right, expected one column with images"):
        load(str(tmp_path / "b.parquet"))
    pq.write_table(pa.table({"image": pa.array([png(IMAGES[0]), None], pa.binary())}), tmp_path / "c.parquet")
    with pytest.raises(InputError, match="found an image without bytes"):
        load(str(tmp_path / "c.parquet"))
    write_parquet(tmp_path / "d.parquet", range(60))
    (tmp_path / "d.parquet").write_bytes((tmp_path / "d.parquet").read_bytes()[:-20])
    with pytest.raises(InputError, match=r"d\.parquet is damaged"):
        load(str(tmp_path / "d.parquet"))


def write_two_labels(path, *, metadata: bool) -> None:
    """Write images with two label columns, as CIFAR-100 has them."""
    encoded = [{"bytes": png(image), "path": None} for image in IMAGES]
    table = pa.table({"img": encoded, "fine_label": LABELS, "coarse_label": LABELS // 2})
    features = {"fine_label": {"names": ["ant", "bee", "cat"], "_type": "ClassLabel"}}
    features |= {"img": {"_type": "Image"}, "coarse_label": {"names": ["insect", "mammal"], "_type": "ClassLabel"}}
    if metadata:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path)


@pytest.mark.parametrize("metadata", [True, False])
def test_of_two_label_columns_neither_is_read_and_the_conversion_in_the_message_works(tmp_path, monkeypatch, metadata):
    monkeypatch.chdir(tmp_path)
    write_two_labels(tmp_path / "a.parquet", metadata=metadata)
    with pytest.raises(InputError, match="found columns fine_label, coarse_label, expected one column") as caught:
        load("a.parquet")
    eval(re.search(r"pq\.write_table.*'copy\.parquet'\)", str(caught.value))[0], {"pq": pq})
    dataset = load("copy.parquet")
    assert labels_belong(dataset.train)
    assert dataset.class_names == (("ant", "bee", "cat") if metadata else ())
    assert any("the column fine_label is taken for the label" in each for each in dataset.remarks) != metadata


def test_a_damaged_image_in_parquet_is_named_by_its_row_and_can_be_left_out(tmp_path):

    encoded = [png(image) for image in IMAGES]
    encoded[7] = encoded[7][:40]
    pq.write_table(pa.table({"image": encoded, "label": pa.array(LABELS)}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet: row 7"):
        load(str(tmp_path / "a.parquet"))
    dataset = load(str(tmp_path / "a.parquet"), ReadOptions(skip_bad=True))
    assert len(dataset.train) + len(dataset.validation) == 59
    assert labels_belong(dataset.train)


def test_without_the_package_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    write_parquet(tmp_path / "a.parquet", range(60))
    monkeypatch.setattr(extras, "installed_version", lambda project: None)
    with pytest.raises(MissingExtraError, match=r"to read Parquet: found no pyarrow.*aegen\[data\]"):
        load(str(tmp_path / "a.parquet"))
