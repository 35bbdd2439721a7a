"""The pages of `aegen report` in a real browser: layout, colours, alternative texts, no requests, no errors.

The browser is Chromium; it must be installed, and the variable AEGEN_CHROMIUM may name its program.
"""

import os
import re
import shutil

import numpy as np
import pytest
from command_line import run_here
from playwright.sync_api import sync_playwright
from report_pages import TINY, colour_model

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTHS, SCHEMES = (360, 1280), ("light", "dark")
MIN_TEXT, MIN_CONTRAST = 12, 4.5  # CSS pixels; contrast of normal text by WCAG 2.2, criterion 1.4.3

# JavaScript that returns, for every element with text: the text, its size in CSS pixels, its colour, and the colours
# behind it.
TEXTS = """() => {
  const texts = [];
  for (const element of document.body.querySelectorAll('*')) {
    if (element.closest('svg')) continue;
    const own = [...element.childNodes].filter(node => node.nodeType === 3).map(node => node.data).join('').trim();
    if (!own || !element.checkVisibility()) continue;
    const style = getComputedStyle(element), behind = [];
    for (let parent = element; parent; parent = parent.parentElement)
      behind.push(getComputedStyle(parent).backgroundColor);
    texts.push([own, parseFloat(style.fontSize), style.color, behind]);
  }
  return texts;
}"""
# JavaScript that returns the elements that reach over the right side of the page, except in parts that scroll.
TOO_WIDE = """() => [...document.body.querySelectorAll('*')].filter(element =>
  !element.closest('svg') && !element.closest('.scroll > *') && element.getBoundingClientRect().right > innerWidth + 0.5
).map(element => element.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def browser():
    program = os.environ.get("AEGEN_CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program)
        yield running
        running.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The files of two reports: of a grey model with labelled images, and of a 64x64 colour model without images."""
    folder = tmp_path_factory.mktemp("pages")
    images = np.random.default_rng(0).integers(0, 256, (120, 6, 5), np.uint8)
    np.savez(folder / "few.npz", images=images, labels=np.arange(120) % 3)
    colour_model(folder / "waves")
    commands = {
        "labelled.html": ["report", str(TINY / "grey"), "--data", "few.npz"],
        "unlabelled.html": ["report", "./waves"],
    }
    for name, command in commands.items():
        done = run_here([*command, "--no-speed", "-o", name], folder, {"AEGEN_MODEL": ""})
        assert done.returncode == 0, done.stderr
    return {name: folder / name for name in commands}


@pytest.fixture(params=["labelled.html", "unlabelled.html"])
def file(request, pages):
    return pages[request.param]


@pytest.fixture
def opened(browser, file):
    """`opened(width, scheme)` opens the report in a new window; at the end there must be no error and no request."""
    problems, contexts = [], []

    def refuse(route):
        if route.request.url != file.as_uri() and not route.request.url.startswith("data:"):
            problems.append(f"request {route.request.url}")
            route.abort()
        else:
            route.continue_()

    def open_page(width, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        contexts.append(context)
        context.route("**/*", refuse)
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("requestfailed", lambda request: problems.append(f"failed {request.url[:80]}"))
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_the_window_and_its_text_can_be_read(opened, width):
    page = opened(width)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(TOO_WIDE) == []
    small = [text for text, size, _, _ in page.evaluate(TEXTS) if size < MIN_TEXT]
    assert small == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_text_has_enough_contrast_in_light_and_dark(opened, scheme):
    page = opened(1280, scheme)
    texts = page.evaluate(TEXTS)
    assert len(texts) > 50
    for text, _, colour, behind in texts:
        found = contrast(channels(colour), background(behind))
        assert found >= MIN_CONTRAST, f"{found:.2f}: {text}"
    is_dark = luminance(background(texts[0][3])) < 0.2
    assert is_dark == (scheme == "dark")


def test_every_image_is_decoded_and_has_an_alternative_text(opened):
    page = opened(1280)
    images = page.evaluate("[...document.images].map(image => [image.alt, image.complete && image.naturalWidth > 0])")
    assert len(images) >= 14
    assert all(alt and decoded for alt, decoded in images)
    named = "[...document.querySelectorAll('svg')].map(svg => svg.closest('[role=img]')?.ariaLabel)"
    assert all(page.evaluate(named))


def test_every_entry_of_the_contents_leads_to_a_section(opened):
    page = opened(360)
    names = page.evaluate("[...document.querySelectorAll('nav a')].map(a => [a.hash, a.textContent])")
    assert len(names) == 10
    for target, title in names:
        assert page.locator(f"{target} > h2").text_content() == title


def test_the_page_can_be_printed(opened):
    page = opened(1280, "dark")
    pdf = page.pdf()
    assert pdf.startswith(b"%PDF")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 20
    page.emulate_media(media="print")
    assert channels(page.evaluate("getComputedStyle(document.body).backgroundColor"))[:3] == [255, 255, 255]
    assert not page.is_visible("nav")


def channels(colour: str) -> list[float]:
    """The red, green and blue (0 to 255) and the alpha (0 to 1) of a colour as browsers compute it."""
    numbers = [float(number) for number in re.findall(r"[\d.]+", colour)]
    return numbers if len(numbers) == 4 else [*numbers, 1.0]


def background(behind: list[str]) -> list[float]:
    """The visible background colour of an element: the first in `behind` that is not transparent.

    behind: the background colours of the element and of the elements around it, from the inside out.
    """
    return next((colour for colour in map(channels, behind) if colour[3] == 1), [255, 255, 255, 1.0])


def luminance(colour: list[float]) -> float:
    """Relative luminance of a colour as WCAG 2.2 defines it."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in colour[:3])]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: list[float], b: list[float]) -> float:
    """Contrast of two colours as WCAG 2.2 defines it, from 1 to 21."""
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
