"""The README is short, and what it shows on its first screen is true. test_docs.py runs its commands and its Python."""

import re

from pages import ROOT, blocks, command_lines, documentation, links
from PIL import Image

README = ROOT / "README.md"
BASH, PYTHON = (next(block for block in blocks(README) if block.language == name) for name in ("bash", "python"))
MAX_LINES = 90  # about two screens


def test_the_readme_has_two_screens_at_most():
    assert len(README.read_text().splitlines()) <= MAX_LINES


def test_the_first_screen_has_two_commands_and_four_lines_of_python():
    first_screen = "".join(README.read_text().splitlines(keepends=True)[:25])
    assert command_lines(BASH) == ["pip install . && aegen sample -n 64 -o grid.png", 'pip install ".[test]" && pytest']
    assert BASH.text in first_screen
    assert PYTHON.text in first_screen
    assert len(PYTHON.text.splitlines()) == 4


def test_the_first_command_writes_the_image_that_is_shown(cli, tmp_path):
    cli("sample", "-n", "64", "--seed", "0", "-o", "grid.png")
    shown = re.search(r"!\[.*\]\((.*)\)", README.read_text())[1]
    written, committed = Image.open(tmp_path / "grid.png"), Image.open(ROOT / shown)
    assert written.size == committed.size
    differences = [abs(a - b) for a, b in zip(written.tobytes(), committed.tobytes(), strict=True)]
    assert max(differences) <= 1


def test_every_page_is_within_two_clicks_of_the_readme():
    first = targets(README)
    second = {target for page in first if page.suffix == ".md" for target in targets(page)}
    assert {*documentation()} <= first | second | {README}


def targets(page):
    """The files and folders that a page links to."""
    return {(page.parent / link.partition("#")[0]).resolve() for link in links(page) if ":" not in link}
