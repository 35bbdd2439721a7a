"""The page: its sections in order, and its HTML.

The HTML is one file that needs no other files: it contains the style sheet, images are `data:` URIs, and there are no
scripts.
"""

from collections.abc import Callable

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from .blocks import Page, Section, embedded
from .images import interpolation_section, nearest_section, reconstructions_section, samples_section
from .latents import scatter_section, traversals_section
from .measurements import metrics_section, parity_section, speed_section
from .provenance import key_facts, made_by, provenance_section
from .subject import Subject
from .wording import image_subjects, lead

SECTIONS: tuple[Callable[[Subject], Section], ...] = (
    samples_section,
    reconstructions_section,
    interpolation_section,
    scatter_section,
    traversals_section,
    nearest_section,
    metrics_section,
    speed_section,
    parity_section,
    provenance_section,
)
GRID_IMAGES, GRID_COLUMNS, GRID_WIDTH = 36, 6, 420
MAX_WORD = 30  # longer words of source code may be broken at hyphens, on narrow screens


def page(subject: Subject, progress: Callable[[str, int, int], None] = lambda step, done, total: None) -> Page:
    """Compute everything that the page shows.

    progress: called before each section and at the end, with the name of this step, the number of finished sections,
    and the number of all sections.
    """
    sections = []
    for index, section in enumerate(SECTIONS):
        progress("report", index, len(SECTIONS))
        sections.append(section(subject))
    progress("report", len(SECTIONS), len(SECTIONS))
    manifest = subject.manifest
    samples = subject.model.sample(GRID_IMAGES, seed=subject.seed, dtype="uint8")
    alt = f"{GRID_IMAGES} samples of {manifest.name}: {image_subjects(manifest)}"
    grid = embedded(samples, alt, columns=GRID_COLUMNS, width=GRID_WIDTH)
    return Page(manifest.name, lead(manifest), grid, key_facts(subject), sections, made_by(subject))


def html(page: Page) -> str:
    """The page as HTML. Every text is escaped, so names cannot add markup. Equal pages give equal HTML."""
    loader = PackageLoader(__package__, ".")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(parts=_parts, words=_words)
    environment.tests["block"] = lambda value, name: type(value).__name__ == name
    return environment.get_template("page.html").render(page=page) + "\n"


def _parts(text: str) -> list[str]:
    """Split a text at its backticks. The parts are plain text and source code in turn."""
    return text.split("`")


def _words(text: str) -> Markup:
    """Escape source code, and mark its short words, so that browsers do not break them at hyphens."""
    short = Markup("<span>{}</span>")
    return Markup(" ").join(short.format(word) if len(word) <= MAX_WORD else escape(word) for word in text.split(" "))
