"""The page of `aegen report` shows what the library computes, and says why it leaves something out."""

import hashlib
import json

import aegen
import numpy as np
import pytest
from aegen.data.datasets import load
from aegen.evaluation.feature_extractor import FeatureExtractor, find_feature_extractor
from aegen.evaluation.metrics import METRICS
from aegen.evaluation.similarity import squared_errors
from aegen.evaluation.tables import number
from aegen.report.page import html
from aegen.report.page import page as contents
from aegen.report.subject import Subject
from aegen.runtime.artifact import SHIPPED
from command_line import run_here
from report_pages import Page, colour_model, pixels

SECTIONS = [
    *("samples", "reconstructions", "interpolation", "latents", "traversals", "nearest"),
    *("metrics", "speed", "parity", "provenance"),
]
NEED_DATA = ["reconstructions", "latents", "nearest"]
COUNT = 100
SIDE, GAP = 28, 2


@pytest.fixture(scope="module")
def subject(mnist):
    """A model with a learned prior, labelled images and a feature extractor."""
    extractor = FeatureExtractor(find_feature_extractor(None, "mnist"))
    return Subject(aegen.load("mnist-fast"), load(str(mnist)), extractor, count=COUNT, speed=False)


@pytest.fixture(scope="module")
def dataset(subject):
    return subject.dataset


@pytest.fixture(scope="module")
def page(subject):
    return Page(html(contents(subject)))


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory):
    """The page of a model of 64x64 colour images, without labels, data and a learned prior."""
    folder = tmp_path_factory.mktemp("unlabelled")
    colour_model(folder / "waves")
    done = run_here(["report", "./waves", "-o", "page.html"], folder, {"AEGEN_MODEL": ""})
    assert done.returncode == 0, done.stderr
    return Page((folder / "page.html").read_text())


@pytest.fixture(params=["page", "unlabelled"])
def any_page(request):
    return request.getfixturevalue(request.param)


def test_a_page_has_all_sections_in_order_and_loads_nothing(any_page):
    assert [*any_page.sections][1:] == SECTIONS
    assert all(address.startswith(("data:", "#")) for address in any_page.addresses)
    assert "script" not in any_page.tags
    assert [level for level, _ in any_page.headings] == [1] + [2] * (len(SECTIONS) + 1)
    assert [f"#{name}" for name in SECTIONS] == [address for address in any_page.addresses if address[0] == "#"]


def test_every_image_says_what_it_shows(any_page):
    images = [image for section in any_page.sections.values() for image in section.images]
    assert len(images) >= 14
    assert all(len(image["alt"]) > 15 for image in images)
    assert all(pixels(image).size for image in images)


def test_only_what_was_not_asked_for_is_absent(page):
    assert [name for name, section in page.sections.items() if section.absent] == ["speed"]


def test_every_metric_stands_beside_the_score_of_real_images_with_its_meaning(page, subject):
    scores = subject.scores.metrics
    caption, head, rows = page.sections["metrics"].tables[0]
    assert head == ["measure", "model", "real images", "better", "what it says"]
    shown = {metric.heading: metric for metric in METRICS if metric.name in scores}
    assert [row[0] for row in rows] == [*shown]
    for title, value, reference, _, meaning in rows:
        score = scores[shown[title].name]
        assert value == (number(score.value) if np.isfinite(score.value) else "-")
        assert reference.partition(" ")[0] in ("-", number(score.reference or 0))
        assert meaning == shown[title].description
    assert f"{COUNT} samples of the prior flow" in caption


def test_rows_of_samples_go_from_the_farthest_prior_to_real_images(page):
    model, section = aegen.load("mnist-fast"), page.sections["samples"]
    _, head, rows = section.tables[0]
    assert head == ["prior", "what it is", "log-likelihood", "Frechet distance"]
    assert {row[0] for row in rows[:-1]} == {*model.priors}
    distances = [float(row[3]) for row in rows[:-1]]
    assert distances == sorted(distances, reverse=True)
    assert rows[-1][0] == "real images"
    metrics = {row[0]: row[1:3] for row in page.sections["metrics"].tables[0][2]}
    assert (
        dict(zip([row[0] for row in rows], [row[3] for row in rows], strict=True))["flow"]
        == (metrics["Frechet distance"][0])
    )
    assert metrics["Frechet distance"][1].partition(" ")[0] == rows[-1][3]
    row = [row[0] for row in rows].index("gmm")
    expected = model.sample(10, seed=0, prior="gmm", dtype="uint8")
    canvas = pixels(section.images[row])
    step = SIDE + GAP
    assert all(
        np.array_equal(canvas[GAP : GAP + SIDE, GAP + i * step : GAP + i * step + SIDE], expected[i]) for i in range(10)
    )


def test_each_reconstruction_stands_below_its_image_with_its_error(page, dataset):
    section = page.sections["reconstructions"]
    pairs = [_pair(image) for image in section.images]
    assert len(pairs) == len(section.captions) == 12
    originals, copies = (np.stack(images) for images in zip(*pairs, strict=True))
    flat = {image.tobytes() for image in dataset.test.images}
    assert all(image.tobytes() in flat for image in originals)
    assert np.array_equal(copies, aegen.load("mnist-fast").reconstruct(originals, dtype="uint8"))
    errors = [number(error) for error in squared_errors(originals, copies)]
    assert section.captions == [f"error {error}" for error in errors]
    assert errors == sorted(errors, key=float)
    assert all(
        error in image["alt"] and "class" in image["alt"] for error, image in zip(errors, section.images, strict=True)
    )


def test_below_each_sample_is_the_nearest_of_all_training_images(page, dataset):
    section = page.sections["nearest"]
    samples = aegen.load("mnist-fast").sample(len(section.images), seed=0, dtype="uint8")
    training = dataset.train.images.reshape(len(dataset.train.images), -1).astype(np.float32)
    for i in (0, 5):
        sample, neighbour = _pair(section.images[i])
        assert np.array_equal(sample, samples[i])
        distances = np.sqrt(np.square(training - sample.reshape(-1)).mean(1)) / 255
        assert np.array_equal(neighbour.reshape(-1), training[distances.argmin()])
        assert section.captions[i] == f"distance {number(float(distances.min()))}"


def test_the_scatter_plot_shows_every_class(page):
    (alt,) = page.sections["latents"].drawings
    assert f"{COUNT} latents" in alt
    counts = [int(word.strip("()")) for word in alt.partition("classes ")[2].rstrip(".").replace(",", "").split()[1::2]]
    assert len(counts) == 10
    assert sum(counts) == COUNT


def test_traversals_are_ordered_by_activity(page):
    activity = aegen.load("mnist-fast").activity()
    order = np.argsort(-activity, kind="stable")[:8]
    expected = [f"dimension {i} activity {activity[i]:.3f}" for i in order]
    assert page.sections["traversals"].captions == expected


def test_provenance_names_commands_and_the_hash_of_every_file(page):
    folder = SHIPPED / "mnist-fast"
    manifest = json.loads((folder / "manifest.json").read_text())
    section = page.sections["provenance"]
    assert all(command in section.text for command in manifest["commands"])
    hashes = {name: digest for name, _, digest in section.tables[-1][2]}
    assert {*hashes} == {path.name for path in folder.iterdir()}
    assert all(hashes[name] == hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in hashes)


def test_without_data_labels_and_a_learned_prior_the_page_says_why_parts_are_absent(unlabelled):
    sections = unlabelled.sections
    for name in NEED_DATA:
        assert len(sections[name].absent) == 1
        assert "no images were given" in sections[name].absent[0]
        assert "aegen report waves --data DATA" in sections[name].absent[0]
        assert sections[name].images == sections[name].drawings == sections[name].tables == []
    assert sections["samples"].absent[1].startswith("This model has no learned prior.")
    assert sections["interpolation"].absent == ["No walks between samples, because they need a learned prior."]
    assert "no images were given" in sections["metrics"].absent[0]
    assert "classesnone" in "".join(sections[""].text.split())
    assert [row[0] for row in sections["samples"].tables[0][2]] == ["standard", "diagonal", "gaussian", "gmm", "kde"]
    assert len(sections["samples"].images) == 5
    assert len(sections["traversals"].images) == 4
    assert "64x64 colour" in sections[""].text


def test_the_page_of_a_model_says_whether_it_computes_what_was_trained(unlabelled):
    section = unlabelled.sections["parity"]
    assert "Passed: 6 files match their hashes" in section.text
    assert [row[0] for row in section.tables[0][2]] == ["encoder.onnx", "decoder.onnx"]
    assert "sample uint8" in [row[0] for row in unlabelled.sections["speed"].tables[0][2]]


@pytest.mark.parametrize("tiny", ["grey"], indirect=True)
def test_names_cannot_add_markup_and_equal_inputs_give_equal_pages(alter, cli, tmp_path):
    hostile = "<script>alert(1)</script>&`<img src=x>`"
    change = {"name": hostile, "commands": [hostile], "versions": {hostile: hostile}, "labels": [], "class_names": []}

    def rename(manifest):
        manifest.update(change)
        manifest["data"].update(name=hostile, licence=hostile, source=hostile)

    folder = alter(change=rename)
    shape = aegen.load(folder).image_shape
    images = np.random.default_rng(0).integers(0, 256, (60, *shape), np.uint8)
    np.savez(tmp_path / "few.npz", images=images, labels=np.arange(60) % 2)
    for name in ("a.html", "b.html"):
        done = cli("report", folder, "--data", "few.npz", "--no-speed", "-o", name)
        assert done.returncode == 0, done.stderr
    content = (tmp_path / "a.html").read_bytes()
    assert content == (tmp_path / "b.html").read_bytes()
    parsed = Page(content.decode())
    assert "script" not in parsed.tags
    assert parsed.headings[0] == [1, hostile]
    assert all(image["src"].startswith("data:") for section in parsed.sections.values() for image in section.images)
    assert "no feature extractor" in parsed.sections["metrics"].absent[0]


@pytest.mark.parametrize("tiny", ["grey"], indirect=True)
def test_a_failed_report_changes_nothing_and_says_why(cli, tiny, tmp_path):
    assert "expected a name that ends in .html" in cli("report", tiny, "-o", "page.pdf").stderr
    np.savez(tmp_path / "other.npz", images=np.arange(4860, dtype=np.uint8).reshape(60, 9, 9))
    done = cli("report", tiny, "--data", "other.npz", "-o", "page.html")
    assert done.returncode == 1
    assert "found images of shape (1, 9, 9)" in done.stderr
    assert not (tmp_path / "page.html").exists()


def _pair(image) -> np.ndarray:
    """Split an image of the page, which shows two images below each other, into these: uint8 (2, 28, 28)."""
    canvas = pixels(image)
    return np.stack([canvas[top : top + SIDE, GAP : GAP + SIDE] for top in (GAP, 2 * GAP + SIDE)])
