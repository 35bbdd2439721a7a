"""What a page consists of: sections, which hold texts, images, tables and figures. The template shows each kind.

Texts are plain. A part between backticks is shown as source code. Nothing here is HTML, except the SVG of a Figure.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..images.encoding import image_bytes
from ..images.grid import tile

SMALL_SIDE = 48  # images of at most this many pixels on a side are enlarged with visible pixels
ROW_WIDTH = 640  # width of a row of images on a wide screen, in CSS pixels, at most


@dataclass(frozen=True)
class EmbeddedImage:
    """One image file in a page.

    data: the bytes of a PNG. width, height: in CSS pixels on a wide screen. pixelated: whether it is enlarged with
    visible pixels. alt: what the image shows, for people who do not see it.
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

    columns: images in a row, by default as many as fit a square. width: the largest width in CSS pixels; the image is
    enlarged by a whole number if it fits. gaps: False for a single image without a border.
    """
    canvas = tile(images, columns=columns) if gaps else images[0]
    scale = max(1, width // canvas.shape[1])
    small = max(images.shape[1:3]) <= SMALL_SIDE
    return EmbeddedImage(image_bytes(canvas), canvas.shape[1] * scale, canvas.shape[0] * scale, small, alt)


@dataclass(frozen=True)
class Text:
    """A paragraph. warning: whether it must not be overlooked."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Absent:
    """A paragraph that says why a section, or a part of it, is not shown."""

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
    """A small image, or some below each other, with a caption."""

    image: EmbeddedImage
    caption: str


@dataclass(frozen=True)
class Tiles:
    """Small images side by side, in as many columns as fit."""

    tiles: Sequence[Tile]


@dataclass(frozen=True)
class Table:
    """A table. caption: one sentence. The first cell of a row names it. text_columns: indices of columns of text.

    All other columns after the first hold numbers and are aligned to the right.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    text_columns: Sequence[int] = ()


@dataclass(frozen=True)
class Facts:
    """Facts in several columns: the name and the text of each. caption: what they are."""

    caption: str
    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Figure:
    """A drawing. svg: an SVG element. alt: what it shows, for people who do not see it. caption: one sentence."""

    svg: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Lines:
    """Lines of text that are shown as they are, such as commands. caption: what they are."""

    caption: str
    lines: Sequence[str]


Block = Text | Absent | Rows | Tiles | Table | Facts | Figure | Lines


@dataclass(frozen=True)
class Section:
    """A part of the page. id: the target of links to it. intro: one or two sentences for a reader who is new to it."""

    id: str
    title: str
    intro: str
    blocks: Sequence[Block]

    @property
    def is_absent(self) -> bool:
        """Whether the section only says why it shows nothing."""
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
