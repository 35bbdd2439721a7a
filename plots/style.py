"""The look that all figures share, and the bytes of a figure.

Figures are made without pyplot. Therefore no window is opened, and several threads may make figures.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.style
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath

from ..files.atomic import write_bytes
from ..files.output_errors import checked_output
from ..runtime.errors import InputError

# Ten colours that colour-blind people can tell apart. Source: M. Petroff, Accessible Color Sequences for Data
# Visualization, 2021, arXiv 2107.02270, table 1.
COLOURS = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*", ">")
INK, FAINT = "#222222", "#6b6b6b"  # colour of main text; colour of lines and of less important text
DPI = 150  # pixels per inch in PNG files

STYLE = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "text.color": INK,
    "text.parse_math": False,  # show a $ in a class name as it is
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "legend.frameon": False,
    "savefig.dpi": DPI,
    "figure.dpi": DPI,
    "svg.hashsalt": "aegen",  # without this salt, identifiers in an SVG are random
}

# Leave out dates and the version of matplotlib, so that equal figures give equal bytes.
METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Context manager in which figures get the style of this package, whatever the user's settings of matplotlib are.

    Letters that the font lacks, such as those of Chinese class names, become boxes without a warning.
    """
    with matplotlib.style.context(["default", STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def figure_suffix(output: str) -> str:
    """The suffix of a figure's file: `.png`, `.svg` or `.pdf`. Raises InputError for any other."""
    suffix = checked_output(output).suffix.lower()
    if suffix not in METADATA:
        raise InputError(output, found=suffix or "no suffix", expected=", ".join(METADATA))
    return suffix


def figure_bytes(figure: Figure, suffix: str) -> bytes:
    """The content of a file that shows a figure. Equal figures give equal bytes. suffix: `.png`, `.svg` or `.pdf`."""
    stream = io.BytesIO()
    with figure_style():
        figure.savefig(stream, format=suffix[1:], metadata=METADATA[suffix])
    return stream.getvalue()


def text_size(text: str, points: float) -> tuple[float, float]:
    """Width and height of a line of text in pixels, at DPI. points: the font size."""
    width = TextPath((0, 0), text, size=points).get_extents().width if text.strip() else 0.0
    return width * DPI / 72, 1.25 * points * DPI / 72


def svg_text(figure: Figure) -> str:
    """A figure as an SVG element for an HTML page, without the XML declarations of an SVG file."""
    text = figure_bytes(figure, ".svg").decode()
    return text[text.index("<svg") :]


def write_figure(figure: Figure, output: str | Path) -> None:
    """Write a figure to a file, atomically. The suffix selects PNG, SVG or PDF.

    Raises InputError for another suffix, NotFoundError and OutputError when the file cannot be written.
    """
    write_bytes(output, figure_bytes(figure, figure_suffix(str(output))))
