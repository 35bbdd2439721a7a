"""In a notebook a model shows a card with its sample grid, and `aegen.show` shows images."""

import base64
from html.parser import HTMLParser

import aegen
import numpy as np
import pytest
from aegen.images.grid import tile


class Elements(HTMLParser):
    """Collects the elements of a piece of HTML and its text. Fails if an element is not closed by its own end tag."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open, self.images, self.tags, self.text = [], [], [], ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        elif tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_a_model_shows_its_facts_beside_the_preview_of_its_artifact(tiny):
    model = aegen.load(tiny)
    card = Elements(model._repr_html_())
    (image,) = card.images
    assert base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) == (tiny / "preview.png").read_bytes()
    assert image["alt"] == f"Samples of {model.name}"
    assert model.name in card.text
    for prior in model.priors:
        assert prior in card.text


def test_names_in_the_card_are_escaped(alter):
    hostile = '<script>alert("1")</script>&'

    def rename(manifest):
        manifest.update(name=hostile, labels=[0, 1], class_names=[hostile, "'\"><img src=x>"])
        manifest["data"].update(name=hostile, licence=hostile)

    card = Elements(aegen.load(alter(change=rename))._repr_html_())
    assert "script" not in card.tags
    assert [image["alt"] for image in card.images] == [f"Samples of {hostile}"]
    assert card.text.count(hostile) == 4  # as name of the model, of the data, of a class and of the licence


def test_a_model_without_a_preview_shows_its_facts_alone(alter):
    folder = alter(change=lambda manifest: manifest["files"].pop("preview.png"))
    model = aegen.load(folder)
    card = Elements(model._repr_html_())
    assert card.images == []
    assert model.name in card.text


@pytest.mark.parametrize("shape", [(5, 4, 6), (5, 4, 6, 3)])
def test_shown_images_are_the_pixels_of_a_grid(shape):
    images = np.random.default_rng(0).random(shape, np.float32)
    shown = aegen.show(images, columns=2, scale=3)
    assert np.array_equal(np.asarray(shown), tile(images, columns=2, scale=3))
    assert shown._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3)])
def test_one_image_is_shown_as_a_grid_of_one(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert np.array_equal(np.asarray(aegen.show(image, scale=1)), tile(image[None], scale=1))


def test_each_path_is_shown_as_a_row():
    paths = np.random.default_rng(0).random((2, 7, 4, 6), np.float32)
    shown = aegen.show(paths, scale=1)
    assert np.array_equal(np.asarray(shown), tile(paths.reshape(14, 4, 6), columns=7, scale=1))


@pytest.mark.parametrize("option", ["columns", "scale"])
def test_a_grid_without_columns_or_pixels_is_refused(option):
    with pytest.raises(aegen.AegenError, match=f"{option}: found 0, expected at least 1"):
        aegen.show(np.zeros((2, 4, 4), np.uint8), **{option: 0})


def test_shown_images_are_large_enough_to_see():
    assert max(aegen.show(np.zeros((1, 28, 28), np.uint8)).size) >= 200


@pytest.mark.parametrize(
    ("images", "found"),
    [
        (np.zeros(7, np.uint8), "shape (7,)"),
        (np.zeros((0, 4, 4), np.uint8), "shape (0, 4, 4)"),
        (np.zeros((1, 1, 1, 4, 4), np.uint8), "shape (1, 1, 1, 4, 4)"),
        (np.zeros((1, 4, 4), np.int64), "dtype int64"),
        (np.full((1, 4, 4), 9.0), "values from 9 to 9"),
        (np.full((1, 4, 4), np.nan), "NaN"),
    ],
)
def test_images_that_cannot_be_shown_are_refused(images, found):
    with pytest.raises(aegen.AegenError) as caught:
        aegen.show(images)
    assert found in str(caught.value)
