"""CSV tables with a column for each pixel are read with their labels."""

import numpy as np
import pytest
from aegen.data.datasets import load
from aegen.runtime.errors import InputError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (60, 6, 6), np.uint8)
LABELS = np.arange(60) % 3
ROWS = IMAGES.reshape(60, 36)
PIXELS = [f"pixel{i}" for i in range(36)]


def labels_belong(part) -> bool:
    label_of = {image.tobytes(): label for image, label in zip(IMAGES, LABELS, strict=True)}
    return all(label_of[image.tobytes()] == label for image, label in zip(part.images, part.labels, strict=True))


def csv(header, rows, delimiter=",") -> str:
    lines = [delimiter.join(map(str, row)) for row in ([header] if header else []) + [list(row) for row in rows]]
    return "\n".join(lines) + "\n"


WITH_LABELS = {
    "label first": csv(["label", *PIXELS], np.column_stack([LABELS, ROWS])),
    "label last": csv([*PIXELS, "class"], np.column_stack([ROWS, LABELS])),
    "no header": csv(None, np.column_stack([LABELS, ROWS])),
    "columns that are counted": csv(["label", *range(36)], np.column_stack([LABELS, ROWS])),
    "column of row numbers": csv(["", *PIXELS, "label"], np.column_stack([np.arange(60), ROWS, LABELS])),
    "semicolons": csv(["label", *PIXELS], np.column_stack([LABELS, ROWS]), ";"),
    "quotes": csv(['"label"', *PIXELS], [[f'"{label}"', *row] for label, row in zip(LABELS, ROWS, strict=True)]),
    "byte order mark": "\ufeff" + csv(["label", *PIXELS], np.column_stack([LABELS, ROWS])),
}


@pytest.mark.parametrize("text", WITH_LABELS.values(), ids=WITH_LABELS)
def test_a_table_gives_images_and_labels(tmp_path, text):
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    dataset = load(str(tmp_path / "a.csv"))
    assert len(dataset.train) == 50
    assert labels_belong(dataset.train)
    assert any("label" in remark for remark in dataset.remarks) == text.startswith("0,")


def test_labels_that_are_texts_are_class_names(tmp_path):
    names = ["ant", "bee", "cat"]
    (tmp_path / "a.csv").write_text(csv(None, [[names[y], *row] for y, row in zip(LABELS, ROWS, strict=True)]))
    dataset = load(str(tmp_path / "a.csv"))
    assert dataset.class_names == ("ant", "bee", "cat")
    assert labels_belong(dataset.train)


@pytest.mark.parametrize("header", [PIXELS, None])
def test_a_table_without_labels_has_none(tmp_path, header):
    (tmp_path / "a.csv").write_text(csv(header, ROWS))
    assert load(str(tmp_path / "a.csv")).train.labels is None


def test_floats_in_0_to_1_are_grey_levels(tmp_path):
    (tmp_path / "a.csv").write_text(csv(PIXELS, ROWS / 255))
    assert {image.tobytes() for image in load(str(tmp_path / "a.csv")).train.images} <= {i.tobytes() for i in IMAGES}


def test_tables_named_train_and_test_are_the_parts(tmp_path):
    for name, rows in (("mnist_train.csv", slice(0, 48)), ("mnist_test.csv", slice(48, 60))):
        (tmp_path / name).write_text(csv(["label", *PIXELS], np.column_stack([LABELS[rows], ROWS[rows]])))
    dataset = load(str(tmp_path))
    assert np.array_equal(dataset.test.images, IMAGES[48:])
    assert labels_belong(dataset.test)
    assert labels_belong(dataset.train)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,animal\n0.png,cat\n", r"found 2 columns besides no label, expected as many"),
        (csv(None, ROWS[:, :30]), "found 30 columns without a header"),
        (
            csv(["label", "target", *PIXELS], np.column_stack([LABELS, LABELS, ROWS])),
            "columns label, target, which",
        ),
        (csv(PIXELS, ROWS) + "1,2,3\n", "after line 2"),
        (csv(PIXELS, ROWS) + ",".join(["x"] * 36) + "\n", "after line 2"),
        (csv(PIXELS, []), "found no rows"),
        (csv(PIXELS, ROWS.astype(int) * 3), "found values from 0 to 765"),
        ("", "found 0 columns"),
    ],
)
def test_a_table_that_holds_no_images_is_refused_with_the_reason(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        load(str(tmp_path / "a.csv"))


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00label")
    with pytest.raises(InputError, match="no text"):
        load(str(tmp_path / "a.csv"))
