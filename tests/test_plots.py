"""Figures show the data that they say they show: points and classes, rows and their order, curves, labels."""

import importlib
import itertools
import json
import math

import numpy as np
import pytest
from aegen.data.label_file import read_label_file
from aegen.evaluation.distances import frechet_distance
from aegen.plots import latent, priors, quality, training
from aegen.plots.projection import project
from aegen.plots.spacing import label_positions, separate
from aegen.plots.style import COLOURS, METADATA, figure_bytes, svg_text
from aegen.recipes.history import read_history
from aegen.runtime.errors import InputError, NotFoundError
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

# Matrices on linear RGB that simulate the colours seen by people who lack one of the three kinds of cones. Source: G.
# Machado et al., A Physiologically-based Model for Simulation of Color Vision Deficiency, 2009, table 1, severity 1.
COLOUR_BLIND = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.fixture
def groups():
    """Latents (60, 5) of three classes, far apart in dimensions 1 and 3, and their labels 7, 2 and 4."""
    random = np.random.default_rng(0)
    labels = np.repeat([7, 2, 4], 20)
    latents = 0.1 * random.standard_normal((60, 5))
    latents[:, 1] += np.repeat([0, 10, 0], 20)
    latents[:, 3] += np.repeat([0, 0, 6], 20)
    return latents.astype(np.float32), labels


def test_each_method_projects_to_what_its_axes_say(groups):
    latents, _ = groups
    two = project(latents, "dimensions")
    assert two.axes == ("latent dimension 1", "latent dimension 3")
    assert np.array_equal(two.points, latents[:, [1, 3]].astype(np.float64))
    assert project(latents[:, :2]).method == "dimensions"
    components = project(latents)
    assert components.method == "pca"
    covariance = np.cov(latents.T.astype(np.float64))
    variances = np.linalg.eigvalsh(covariance)[::-1]
    assert np.allclose(components.points.var(0, ddof=1), variances[:2])
    fraction = variances[0] / variances.sum()
    assert components.axes[0] == f"principal component 1 ({fraction:.0%} of the variance)"
    neighbours = project(latents, "tsne")
    centres = neighbours.points.reshape(3, 20, 2).mean(1)
    distances = np.linalg.norm(neighbours.points[:, None] - centres, axis=2)
    assert (distances.argmin(1) == np.repeat([0, 1, 2], 20)).all()
    assert np.array_equal(neighbours.points, project(latents, "tsne").points)


@pytest.mark.parametrize("latents", [np.zeros((5, 1)), np.zeros((2, 3)), np.ones((9, 3)), np.full((9, 3), np.nan)])
def test_latents_that_no_plane_shows_are_refused(latents):
    with pytest.raises(InputError, match="latents: found"):
        project(latents)


def test_the_scatter_plot_has_every_point_in_its_class_and_a_legend_beside_the_dots(groups):
    latents, labels = groups
    data = latent.latent_scatter(latents, labels=labels, class_names=[f"${i}" for i in range(5)], title="three")
    assert data.classes == ("$2", "$4", "7")
    result = latent.figure(data)
    (axes,) = result.axes
    shown = {}
    for dots in axes.collections:
        colour = tuple(dots.get_facecolor()[0][:3])
        shown.setdefault(colour, []).append(np.asarray(dots.get_offsets()))
    for index in range(3):
        found = np.concatenate(shown[to_rgb(COLOURS[index])])
        expected = data.projection.points[data.class_indices == index]
        assert np.allclose(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])
    (legend,) = result.legends
    assert [text.get_text() for text in legend.get_texts()] == ["$2", "$4", "7"]
    assert not legend.get_window_extent().overlaps(axes.get_window_extent())
    origin, right, up = axes.transData.transform([(0, 0), (1, 0), (0, 1)])
    assert right[0] - origin[0] == pytest.approx(up[1] - origin[1], rel=0.01)  # both axes have the same scale
    assert axes.get_title(loc="left") == "three"


def test_a_hundred_classes_have_different_pairs_of_colour_and_marker():
    assert len({latent.class_style(index) for index in range(100)}) == 100


@pytest.mark.parametrize("kind", COLOUR_BLIND)
def test_colours_differ_for_colour_blind_people(kind):
    rgb = np.array([to_rgb(colour) for colour in COLOURS])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(COLOUR_BLIND[kind]).T, 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(seen @ to_xyz.T / [0.9505, 1, 1.089]).T
    lab = np.stack([116 * y, 500 * (x - y), 200 * (y - z)], 1)
    # Distances of colours in CIELAB. People see differences from about 2.3 on.
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2)) > 15


def test_thumbnails_and_names_take_the_place_of_dots_without_overlaps(groups):
    latents, labels = groups
    images = np.zeros((60, 9, 7), np.uint8)
    images[:, 2:5, 2:4] = 255
    (axes,) = latent.figure(latent.latent_scatter(latents, labels=labels, images=images)).axes
    canvas = axes.images[0].get_array()
    assert {tuple(colour) for colour in canvas[canvas[..., 3] == 255]} == {
        (*(round(255 * level) for level in to_rgb(colour)), 255) for colour in COLOURS[:3]
    }
    names = tuple(str(i) for i in range(60))
    result = latent.figure(latent.latent_scatter(latents, names=names))
    written = [text for text in result.axes[0].texts if text.get_text() in names]
    assert len(written) >= 3
    boxes = [text.get_window_extent(FigureCanvasAgg(result).get_renderer()) for text in written]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_boxes_that_are_kept_and_labels_that_are_placed_do_not_overlap():
    points = np.random.default_rng(1).uniform(0, 400, (60, 2))
    rows = separate(points, 50, 20)
    assert rows[0] == 0
    for a, b in itertools.combinations(points[rows], 2):
        assert abs(a[0] - b[0]) >= 50 or abs(a[1] - b[1]) >= 20
    sizes = np.full((15, 2), (60.0, 16.0))
    centres = label_positions(points[:15], sizes, (400, 400), 8)
    assert (centres - sizes / 2 >= 0).all()
    assert (centres + sizes / 2 <= 400).all()
    for a, b in itertools.combinations(centres, 2):
        assert abs(a[0] - b[0]) >= 60 or abs(a[1] - b[1]) >= 16


@pytest.mark.parametrize("suffix", METADATA)
def test_equal_data_gives_equal_bytes(groups, suffix):
    first, second = (figure_bytes(latent.figure(latent.latent_scatter(*groups[:1])), suffix) for _ in range(2))
    assert first == second
    assert svg_text(latent.figure(latent.latent_scatter(groups[0]))).startswith("<svg")


def test_the_rows_of_priors_go_from_the_worst_to_real_images(model, images):
    known = {prior: float(i % 3) for i, prior in enumerate(model.priors)}
    distances = priors.PriorDistances(known, 0.5, 20, "bars", "test", images)
    data = priors.prior_samples(model, columns=4, seed=3, distances=distances)
    titles = [row.title for row in data.rows]
    assert titles == [*sorted(model.priors, key=lambda prior: -known[prior]), priors.REAL]
    for row in data.rows[:-1]:
        assert np.array_equal(row.images, model.sample(4, seed=3, prior=row.title, dtype="uint8"))
    assert np.array_equal(data.rows[-1].images, images[:4])
    texts = [text.get_text() for text in priors.figure(data).texts]
    assert [text for text in texts if text in titles] == titles
    assert any("20 samples against as many test images of bars" in text for text in texts)
    plain = priors.prior_samples(model, columns=2)
    assert [row.title for row in plain.rows] == [*model.priors]
    assert priors.json_object(plain)["rows"][0]["frechet_distance"] is None


def test_the_distances_of_priors_are_frechet_distances_of_features(model, images):
    class Extractor:
        def extract(self, batch):
            return type("Extracted", (), {"features": batch.reshape(len(batch), -1)[:, :3].astype(np.float32)})

    class Reference:
        extractor, test_features = Extractor(), Extractor().extract(images[10:])
        real_images, real_sets = images[:10], [(images[:10], None), (images[5:15], None)]

        def __len__(self):
            return 10

    seen = []
    found = priors.prior_distances(model, Reference(), "bars", seed=1, report=lambda *step: seen.append(step))
    test = Reference.test_features.features
    for prior in model.priors:
        samples = model.sample(10, seed=1, prior=prior, dtype="uint8")
        assert found.by_prior[prior] == frechet_distance(Extractor().extract(samples).features, test)
    sets = [frechet_distance(Extractor().extract(part).features, test) for part in (images[:10], images[5:15])]
    assert found.reference == sum(sets) / 2
    assert seen[-1] == (model.priors[-1], 10, 10)


def history(kind):
    """Three epochs of a run, the second of which is the best, as dictionaries."""
    kl, active = ((0.5, 0.0, 0.1), 2) if kind == "vae" else ((), None)
    return [
        {
            "epoch": i, "train_loss": 9.0, "train_reconstruction": 8.0 - i, "train_penalty": 0.5,
            "validation_loss": loss, "reconstruction": 7.0 - i, "penalty": 0.6, "kl_per_dimension": kl,
            "variance_per_dimension": (0.9, 0.001, 0.02), "active_units": active, "learning_rate": 1e-3,
        }
        for i, loss in enumerate((8.0, 6.0, 7.0), start=1)
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["vae", "ae"])
def test_training_curves_are_those_of_the_run(kind, tmp_path):
    lines = "".join(json.dumps(epoch) + "\n" for epoch in history(kind))
    (tmp_path / "metrics.jsonl").write_text(lines)
    data = training.training_curves(read_history(tmp_path), title="a run")
    assert (data.epochs.tolist(), data.best) == ([1, 2, 3], 2)
    assert data.active.tolist() == ([True, False, True] if kind == "vae" else [])
    result = training.figure(data)
    assert len(result.axes) == (4 if kind == "vae" else 2)
    curves = result.axes[0].get_lines()
    assert [line.get_label() for line in curves[:2]] == ["training images", "validation images"]
    assert [line.get_ydata().tolist() for line in curves[:2]] == [[7.0, 6.0, 5.0], [6.0, 5.0, 4.0]]
    if kind == "vae":
        heights = [bar.get_height() for bars in result.axes[3].containers for bar in bars]
        assert heights == [0.5, 0.1, 0.0]  # the bars of active dimensions come first
        assert result.axes[3].get_title(loc="left") == "epoch 2: 2 of 3 are active"
        assert [text.get_text() for text in result.axes[3].get_xticklabels()] == ["0", "2", "1"]


def test_a_damaged_history_is_an_error_that_names_the_line(tmp_path):
    with pytest.raises(NotFoundError, match=r"found no metrics\.jsonl"):
        read_history(tmp_path)
    file = tmp_path / "metrics.jsonl"
    file.write_text("")
    with pytest.raises(InputError, match="no epoch"):
        read_history(tmp_path)
    file.write_text(json.dumps(history("ae")[0]) + "\n{half")
    with pytest.raises(InputError, match="line 2"):
        read_history(tmp_path)


def test_the_points_of_quality_are_the_distances_of_the_files_and_times_above_zero(model, tmp_path):
    scores = [
        {"model": model.name, "prior": prior, "samples": 500, "data": "bars", "split": "test",
         "metrics": {"frechet_distance": {"value": 10.0 + i, "reference": 2.0}}}
        for i, prior in enumerate(model.priors)
    ]  # fmt: skip
    (tmp_path / "one.json").write_text(json.dumps(scores[0]))
    (tmp_path / "others.json").write_text(json.dumps(scores[1:]))
    distances = quality.read_distances([tmp_path / "one.json", tmp_path / "others.json"])
    data = quality.quality({model.name: model}, distances, batch=4, threads=1)
    assert [(point.prior, point.frechet_distance) for point in data.points] == [
        (prior, 10.0 + i) for i, prior in enumerate(model.priors)
    ]
    assert all(point.microseconds > 0 and math.isfinite(point.microseconds) for point in data.points)
    assert (data.reference, data.count, data.batch) == (2.0, 500, 4)
    result = quality.figure(data)
    texts = result.axes[0].texts
    assert [text.get_text() for text in texts] == ["real images: 2.000", *model.priors]
    boxes = [text.get_window_extent(FigureCanvasAgg(result).get_renderer()) for text in texts]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    (tmp_path / "others.json").write_text(json.dumps({**scores[1], "samples": 400}))
    with pytest.raises(InputError, match="400 test images of bars, expected 500"):
        quality.read_distances([tmp_path / "one.json", tmp_path / "others.json"])


def test_labels_of_a_file_are_numbers_or_names(tmp_path):
    np.save(tmp_path / "labels.npy", np.array([3, 1]))
    np.savez(tmp_path / "both.npz", latents=np.zeros((2, 3)), labels=np.array([5, 0]))
    (tmp_path / "numbers.txt").write_text("3\n1\n")
    (tmp_path / "names.txt").write_text("shoe 10\nshoe 2\nshoe 10")
    for name, expected in {"labels.npy": [3, 1], "both.npz": [5, 0], "numbers.txt": [3, 1]}.items():
        labels, names = read_label_file(tmp_path / name)
        assert (labels.tolist(), names) == (expected, ())
    labels, names = read_label_file(tmp_path / "names.txt")
    assert (labels.tolist(), names) == ([1, 0, 1], ("shoe 2", "shoe 10"))
    (tmp_path / "names.txt").write_text("a\n\nb")
    with pytest.raises(InputError, match="no label in line 2"):
        read_label_file(tmp_path / "names.txt")


def test_the_command_plots_numbered_latents_images_and_runs(cli, tiny, images, tmp_path):
    np.save(tmp_path / "latents.npy", np.random.default_rng(0).standard_normal((9, 2), np.float32))
    printed = json.loads(cli("plot", "latent", "--latents", "latents.npy", "--json").stdout)
    assert (printed["names"], printed["classes"]) == ([str(i) for i in range(9)], [])
    assert np.allclose(printed["points"], np.load(tmp_path / "latents.npy"), atol=1e-5)
    np.savez(tmp_path / "images.npz", images=np.tile(images, (6, *[1] * (images.ndim - 1))), labels=np.arange(120) % 3)
    done = cli("plot", "latent", tiny, "--data", "images.npz", "-n", 15, "--thumbnails", "-o", "x.svg", "--json")
    assert done.stderr.endswith("x.svg: 15 latents\n")
    assert json.loads(done.stdout)["classes"] == ["0", "1", "2"]
    assert (tmp_path / "x.svg").read_bytes().startswith(b"<?xml")
    rows = json.loads(cli("plot", "priors", tiny, "--json").stdout)["rows"]
    assert {row["frechet_distance"] for row in rows} == {None}
    for wrong in (
        ("latent",),
        ("latent", "--data", "images.npz"),
        ("priors", "-o", "x.gif"),
        ("quality", "-o", "x.png"),
    ):
        assert cli("plot", *wrong).returncode == 2


@pytest.mark.parametrize("name", ["latent", "training", "priors", "quality"])
def test_help_of_each_figure_shows_two_examples_and_the_keys_of_the_json(name):
    command = importlib.import_module(f"aegen.cli.plot_{name}").command
    assert command.help.count(f"aegen plot {name} ") == 2
    assert "prints one object: {" in " ".join(command.help.split())
