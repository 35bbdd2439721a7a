"""Texts in a grid: captions below its images and titles beside its rows, in the font that Pillow brings."""

import functools
import itertools
import unicodedata
from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..runtime.errors import InputError
from .grid import GAP_LEVEL, Grid, Margins

TEXT_LEVEL = 232  # grey level of texts; almost white, for contrast with the dark grey of the gaps
MIN_FONT_PIXELS, MAX_FONT_PIXELS = 11, 16
IMAGE_PIXELS_PER_FONT_PIXEL = 4  # the font is a fourth as high as the images, from MIN_FONT_PIXELS to MAX_FONT_PIXELS
SHORT_TITLE_PIXELS = 60  # two lines of a title are joined if the result is at most this wide, in pixels
MAX_CAPTION_PIXELS = 120  # cells become as wide as their captions, up to this width
ELLIPSIS, UNKNOWN = "…", "?"
NO_GLYPH = "\uffff"  # a code point that no font has a glyph for


class GridTexts:
    """The texts of one grid, and the margins that they need.

    captions: one text of one or more lines for each cell of the grid, shown below it; may be empty. row_titles: texts
    of one or more lines shown left of the rows, repeated from the first one when there are more rows; each repetition
    is a group of rows, with more space below it. count, columns: number of images, and of images in a row. size:
    (height, width) in pixels of the images as the grid shows them. gap: space between images in pixels. Letters that
    the font lacks are replaced as `legible` describes. Raises InputError if there is not one caption for each image.
    """

    def __init__(
        self,
        captions: Sequence[str],
        row_titles: Sequence[str],
        *,
        count: int,
        columns: int,
        size: tuple[int, int],
        gap: int,
    ) -> None:
        if captions and len(captions) != count:
            raise InputError("captions", found=len(captions), expected=f"{count}, one for each image")
        height, width = size
        pixels = min(max(min(size) // IMAGE_PIXELS_PER_FONT_PIXEL, MIN_FONT_PIXELS), MAX_FONT_PIXELS)
        self._font, self._padding = _font(pixels), pixels // 3
        limit = max(width, MAX_CAPTION_PIXELS)
        texts = [text.split("\n") if text else [] for text in captions]
        self._captions = [[self._shortened(legible(line), limit) for line in lines] for lines in texts]
        self._titles = [self._lines(text, height) for text in row_titles]
        widest_title = max((self._width(line) for title in self._titles for line in title), default=0)
        widest_caption = max((self._width(line) for lines in self._captions for line in lines), default=0)
        self.margins = Margins(
            left=widest_title + 2 * self._padding if widest_title else 0,
            below=tuple(self._below(count, columns, gap)),
            cell_width=widest_caption + self._padding if widest_caption else 0,
        )

    def _below(self, count: int, columns: int, gap: int) -> Iterator[int]:
        """Yield the height of the strip below each row, which holds captions, and a gap after each group of rows."""
        for row, start in enumerate(range(0, count, columns)):
            has_captions = any(self._captions[start : start + columns])
            ends_group = len(self._titles) > 1 and (row + 1) % len(self._titles) == 0 and start + columns < count
            yield self._caption_height * has_captions + gap * ends_group

    def write_on(self, grid: Grid) -> None:
        """Write the texts on the canvas of the grid."""
        for index, lines in enumerate(self._captions):
            if lines:
                box = grid.caption_box(index)[: self._caption_height]
                box[:] = _as_colour(self._text_image(lines, box.shape[:2], "center"), box)
        if self.margins.left:
            for row in range(grid.rows):
                box = grid.title_box(row)
                title = self._titles[row % len(self._titles)]
                box[:] = _as_colour(self._text_image(title, box.shape[:2], "right"), box)

    @property
    def _line_height(self) -> int:
        """The height in pixels of a line of text."""
        return sum(self._font.getmetrics())

    @property
    def _caption_height(self) -> int:
        """The height in pixels of the strip with the captions of a row."""
        return self._line_height * max(map(len, self._captions), default=0) + self._padding

    def _width(self, text: str) -> int:
        """The width in pixels of a line of text."""
        return int(np.ceil(self._font.getlength(text)))

    def _shortened(self, text: str, limit: int) -> str:
        """Replace the middle of a text by an ellipsis if the text is wider than `limit` pixels."""
        kept = len(text)
        shortened = text
        while kept and self._width(shortened) > limit:
            kept -= 1
            shortened = text[: (kept + 1) // 2] + ELLIPSIS + text[len(text) - kept // 2 :]
        return shortened

    def _lines(self, title: str, height: int) -> list[str]:
        """Break a title into short lines that fit into `height` pixels.

        A title is broken at its line breaks, or between words if it has no line breaks.
        """
        max_lines, has_breaks = max(height // self._line_height, 1), "\n" in title
        lines = [legible(line) for line in (title.splitlines() if has_breaks else title.split())]
        while len(lines) > 1:
            # Join the two adjacent lines that make the shortest line together.
            pairs = [" ".join(pair) for pair in itertools.pairwise(lines)]
            shortest = min(range(len(pairs)), key=lambda i: self._width(pairs[i]))
            is_short = not has_breaks and self._width(pairs[shortest]) <= SHORT_TITLE_PIXELS
            if len(lines) <= max_lines and not is_short:
                break
            lines = [*lines[:shortest], pairs[shortest], *lines[shortest + 2 :]]
        return lines

    def _text_image(self, lines: Sequence[str], shape: tuple[int, ...], align: str) -> np.ndarray:
        """An image, uint8 of this shape, with lines of text in its middle. align: "center" or "right"."""
        image = Image.new("L", (shape[1], shape[0]), GAP_LEVEL)
        pen = ImageDraw.Draw(image)
        top = (shape[0] - len(lines) * self._line_height) / 2
        for number, line in enumerate(lines):
            left = shape[1] - self._padding - self._width(line)
            if align == "center":
                left = (shape[1] - self._width(line)) // 2
            pen.text((left, round(top) + number * self._line_height), line, TEXT_LEVEL, self._font)
        return np.asarray(image)


def legible(text: str) -> str:
    """Replace what the font cannot show: accents are left out, and any other letter without a glyph becomes "?"."""
    if all(map(_has_glyph, text)):
        return text
    letters = (letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return "".join(letter if _has_glyph(letter) else UNKNOWN for letter in letters)


def is_legible(text: str) -> bool:
    """Whether every letter of a text can be shown, apart from accents."""
    return legible(text).count(UNKNOWN) == text.count(UNKNOWN)


@functools.cache
def _has_glyph(letter: str) -> bool:
    """Whether the font has a glyph for a letter."""
    font = _font(MIN_FONT_PIXELS)
    return letter.isprintable() and bytes(font.getmask(letter)) != bytes(font.getmask(NO_GLYPH))


@functools.cache
def _font(pixels: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font at a size in pixels. The font is the same on all machines."""
    return cast(ImageFont.FreeTypeFont, ImageFont.load_default(pixels))


def _as_colour(text_image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Add an axis of size 1 to a grey image (H, W) if the array `box` has three axes, to copy it there."""
    return text_image if box.ndim == 2 else text_image[..., None]
