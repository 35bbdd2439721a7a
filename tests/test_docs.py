"""The documentation is true: its blocks run, its tables agree with the library, and its links have targets."""

import ast
import gzip
import pickle
import re
import struct
import subprocess
import sys

import aegen
import numpy as np
import pytest
from aegen.evaluation.metrics import METRICS
from aegen.runtime.artifact import shipped
from pages import NOT_RUN, ROOT, Reader, blocks, command_lines, documentation, links
from PIL import Image
from scipy.io import savemat

DOCS = ROOT / "docs"
TINY = ROOT / "tests" / "tiny"
LIBRARY = (
    "runtime",
    "files",
    "images",
    "evaluation",
    "recipes",
    "data",
    "plots",
    "report",
    "search",
    "train",
    "export",
    "cli",
)


@pytest.fixture
def reader(tmp_path):
    """A Reader, in a folder with the repository and the image files that the pages name.

    All images in these files are samples of a model, so that no test needs to download anything.
    """
    for name in ("artifacts", "benchmarks", "docs", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    labels = np.arange(480) % 10
    images = aegen.load("mnist-fast").sample(480, seed=0, label=labels.tolist(), dtype="uint8")
    np.savez(tmp_path / "few.npz", images=images, labels=labels)
    header = struct.pack(">4B3I", 0, 0, 8, 3, *images.shape)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + images.tobytes(), 1))
    return Reader(tmp_path)


@pytest.fixture
def bad_files(reader):
    """Write the damaged files that the page about errors names into the folder of `reader`."""
    images = np.arange(4 * 28 * 28).reshape(4, 28, 28)
    np.save(reader.folder / "small.npy", np.zeros((4, 20, 20), np.uint8))
    np.save(reader.folder / "levels.npy", images % 201 * 0.75)
    np.save(reader.folder / "integers.npy", images)
    np.save(reader.folder / "odd.npy", np.arange(60 * 27 * 27, dtype=np.uint8).reshape(60, 27, 27))
    np.savez(reader.folder / "two.npz", a=images, b=images)
    (reader.folder / "notes.txt").write_text("no image")
    (reader.folder / "bad.toml").write_text("lr = 1\n")
    (reader.folder / "my-images").mkdir()
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(reader.folder / "my-images" / "0.png")
    for name, file, old, new in (
        ("damaged", "decoder.onnx", b"", b"x"),
        ("newer", "manifest.json", b'"format": 2', b'"format": 3'),
    ):
        folder = reader.folder / name
        folder.mkdir()
        for path in (TINY / "grey").iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        content = (folder / file).read_bytes()
        (folder / file).write_bytes(content.replace(old, new, 1))


@pytest.fixture
def foreign_files(reader):
    """Write the files that the page about data converts, and a folder of images, into the folder of `reader`."""
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (20, 3, 32, 32), np.uint8), np.arange(20, dtype=np.uint8) % 10
    for i in range(1, 6):
        np.column_stack([labels, images.reshape(20, -1)]).tofile(reader.folder / f"data_batch_{i}.bin")
    stored = {"X": images.transpose(2, 3, 1, 0), "y": labels[:, None] + 1}
    savemat(reader.folder / "train_32x32.mat", stored)
    content = {"data": images.reshape(20, -1), "labels": labels.tolist()}
    (reader.folder / "data_batch_1").write_bytes(pickle.dumps(content))
    (reader.folder / "my-images").mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image.transpose(1, 2, 0)).save(reader.folder / "my-images" / f"{i}.png")


@pytest.mark.parametrize("page", documentation(), ids=lambda page: page.name)
def test_every_block_of_a_page_does_what_the_page_says(page, request):
    runnable = [block for block in blocks(page) if block.language in ("bash", "console", "python", "pycon")]
    if not {line for block in runnable for line in block.text.splitlines()} - {*NOT_RUN}:
        return
    reader = request.getfixturevalue("reader")
    if page.name == "troubleshooting.md":
        request.getfixturevalue("bad_files")
    if page.name == "data.md":
        request.getfixturevalue("foreign_files")
    for block in blocks(page):
        reader.run(block)


def test_every_line_that_no_test_runs_is_still_in_a_page():
    lines = [
        line
        for page in documentation()
        for block in blocks(page)
        if block.language == "bash"
        for line in command_lines(block)
    ]
    assert {*NOT_RUN} <= {*lines}


STALE_PAGES = """
import pathlib, runpy, sys
docs = pathlib.Path(sys.argv[1])
up_to_date = runpy.run_path(str(docs / "generate.py"))["up_to_date"]
print(*(page.name for page in sorted(docs.glob("*.md")) if up_to_date(page.read_text()) != page.read_text()))
"""


def test_the_generated_parts_of_pages_are_up_to_date():
    # Run in a new process, because click keeps the help option that a command got in an earlier test.
    done = subprocess.run([sys.executable, "-c", STALE_PAGES, DOCS], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert not done.stdout.split(), f"run: python docs/generate.py (it writes {done.stdout.strip()})"


def test_the_messages_that_are_quoted_but_not_produced_are_in_the_library():
    """In a page, `...` in a message stands for any text. The texts between must be in a string of the library."""
    texts = [text for folder in LIBRARY for file in (ROOT / folder).rglob("*.py") for text in strings(file)]
    quoted = [block.text for block in blocks(DOCS / "troubleshooting.md") if block.language == "text"]
    assert quoted
    for message in quoted:
        for part in re.split(r"\.\.\.|: found |, found |, expected |: |\. ", message):
            words = " ".join(part.split()).strip(" .,']")
            assert not words or any(words in text for text in texts), words


def strings(file):
    return [
        node.value
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def test_the_table_of_models_lists_all_shipped_models_with_their_size_and_error():
    page = (DOCS / "models.md").read_text()
    rows = re.findall(r"^\| (mnist[\w-]*) \| (\w+) \| ([\d.]+) \| ([\d.]+) \|", page, re.MULTILINE)
    assert {model for model, *_ in rows} == set(shipped())
    for model, prior, megabytes, error in rows:
        manifest = aegen.load(model).manifest
        assert prior in manifest.priors
        assert f"{model}:{prior}" in page
        assert float(megabytes) == pytest.approx(manifest.total_bytes / 1e6, abs=0.051)
        assert float(error) == pytest.approx(manifest.quality["reconstruction_mse"], abs=1e-4)


def test_the_page_about_metrics_explains_every_metric_once():
    rows = re.findall(
        r"^\| `(\w+)` \| (lower|higher|near 0) \| (\S.*?) \|$", (DOCS / "measure.md").read_text(), re.MULTILINE
    )
    directions = {metric.name: metric.better.replace("zero", "near 0") for metric in METRICS}
    assert [name for name, *_ in rows] == [*directions]
    assert {name: better for name, better, _ in rows} == directions


@pytest.mark.parametrize("page", documentation(), ids=lambda page: page.name)
def test_every_link_has_a_target(page):
    for link in links(page):
        if re.match(r"\w+:", link):
            assert re.fullmatch(r"https://[\w.-]+\.[a-z]{2,}(/[\w./%~#?=&+:@-]*)?", link), link
            continue
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not fragment or fragment in heading_ids(target), link


def heading_ids(page):
    """The ids of a page's headings, which are the targets of links to parts of the page."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.S | re.M), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_site_is_built_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "docs", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    pages = {page.stem for page in DOCS.glob("*.md")}
    assert pages <= {page.stem for page in (tmp_path / "site").glob("*.html")}
    api = (tmp_path / "site" / "api.html").read_text()
    assert all(f'id="aegen.{name}"' in api for name in ("load", "Autoencoder", "Autoencoder.sample"))
    assert "automodule" not in api
