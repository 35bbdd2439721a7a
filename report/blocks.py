"""The parts of a page: sections, which hold texts, images, tables and figures. The template renders each kind.

Texts are plain text, not HTML; a part between backticks is shown as source code. Only a Figure holds markup: its SVG.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..images.encoding import image_bytes
from ..images.grid import tile

SMALL_SIDE = 48  # images with sides of at most this many pixels are enlarged with sharp pixels
ROW_WIDTH = 640  # maximum width of a row of images on a wide screen, in CSS pixels


@dataclass(frozen=True)
class EmbeddedImage:
    """One image file in a page.

    data: the bytes of a PNG. width, height: size in CSS pixels on a wide screen. pixelated: whether to enlarge the
    image with sharp pixels. alt: alternative text, which says what the image shows.
    """

    data: bytes
    width: int
    height: int
    pixelated: bool
    alt: str

    @property
    def uri(self) -> str:
        """The image as a `data:` URI."""
        return "data:image/png;base64," + base64.b64encode(self.data).decode()


def embedded(
    images: np.ndarray, alt: str, *, columns: int | None = None, width: int = ROW_WIDTH, gaps: bool = True
) -> EmbeddedImage:
    """Show images (n, H, W) or (n, H, W, 3), uint8 or float in [0, 1], as one image.

    columns: images in a row; by default, the result is about a square. width: the largest width in CSS pixels; small
    images are enlarged by a whole number within it. gaps: False for a single image without a border.
    """
    canvas = tile(images, columns=columns) if gaps else images[0]
    scale = max(1, width // canvas.shape[1])
    small = max(images.shape[1:3]) <= SMALL_SIDE
    return EmbeddedImage(image_bytes(canvas), canvas.shape[1] * scale, canvas.shape[0] * scale, small, alt)


@dataclass(frozen=True)
class Text:
    """A paragraph. warning: whether to highlight it as a warning."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Absent:
    """A paragraph that says why a section, or a part of a section, is not shown."""

    reason: str


@dataclass(frozen=True)
class Row:
    """A row of images with its title and a note, such as a number."""

    title: str
    note: str
    image: EmbeddedImage


@dataclass(frozen=True)
class Rows:
    """Rows of images below each other."""

    rows: Sequence[Row]


@dataclass(frozen=True)
class Tile:
    """A small image, or several below each other, with a caption."""

    image: EmbeddedImage
    caption: str


@dataclass(frozen=True)
class Tiles:
    """Small images with captions, side by side, in as many columns as fit."""

    tiles: Sequence[Tile]


@dataclass(frozen=True)
class Table:
    """A table. caption: one sentence. The first cell of a row is its title. text_columns: indices of columns of text.

    All other columns after the first hold numbers and are aligned to the right.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    text_columns: Sequence[int] = ()


@dataclass(frozen=True)
class Facts:
    """A list of facts, (name, text) each, in several columns. caption: the title of the list."""

    caption: str
    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Figure:
    """A drawing. svg: an SVG element. alt: alternative text, which says what it shows. caption: one sentence."""

    svg: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Lines:
    """Lines of text that are shown unchanged, such as commands. caption: their title."""

    caption: str
    lines: Sequence[str]


Block = Text | Absent | Rows | Tiles | Table | Facts | Figure | Lines


@dataclass(frozen=True)
class Section:
    """A part of the page. id: its HTML id, the target of links. intro: one or two sentences that explain it."""

    id: str
    title: str
    intro: str
    blocks: Sequence[Block]

    @property
    def is_absent(self) -> bool:
        """Whether the section shows only the reasons why its content is absent."""
        return all(isinstance(block, Absent) for block in self.blocks)


@dataclass(frozen=True)
class Page:
    """The whole page. title: the model's name. lead: what the model is. grid: samples. facts: name and text of each."""

    title: str
    lead: str
    grid: EmbeddedImage
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    made_by: str
