"""Evaluation: the feature extractor is what its facts say, and every measure stands beside its floor."""

import json
import shutil

import aegen
import numpy as np
import pytest
from aegen.data.datasets import LabelledImages, load
from aegen.evaluation.feature_extractor import FeatureExtractor, find_feature_extractor
from aegen.evaluation.metrics import Metric, Report, generation
from aegen.evaluation.neighbours import nearest
from aegen.evaluation.reference import reference_set
from aegen.evaluation.tables import as_json
from aegen.recipes.feature_extractor import FeatureExtractorRecipe
from aegen.runtime.artifact import SHIPPED
from aegen.runtime.errors import ArtifactError, NotFoundError, ShapeError
from aegen.train.feature_extractor import classification_accuracy_score
from PIL import Image

JUDGE = SHIPPED / "features-mnist"


@pytest.fixture(scope="module")
def digits(mnist):
    return load(str(mnist))


@pytest.fixture(scope="module")
def real(digits):
    training, test = digits.train, digits.test
    few = slice(0, 6000)
    return reference_set(
        FeatureExtractor(JUDGE), (training.images[few], training.labels[few]), (test.images, test.labels), 1000
    )


def values(images, real):
    return {name: metric.value for name, metric in generation(images, real).items()}


def test_the_judge_tells_the_test_images_right_as_often_as_its_facts_say(digits):
    extractor = FeatureExtractor(JUDGE)
    predicted = extractor.extract(digits.test.images).probabilities.argmax(1)
    assert np.mean(predicted == digits.test.labels) == pytest.approx(extractor.facts.accuracy, abs=2e-4)
    assert extractor.facts.accuracy >= 0.994
    assert extractor.facts.command == "aegen train-features --data mnist -o features-mnist"


def test_a_judge_sees_the_same_at_any_batch_size():
    images = np.random.default_rng(0).integers(0, 256, (700, 28, 28), np.uint8)
    seen = FeatureExtractor(JUDGE).extract(images)
    assert seen.features.shape == (700, 128)
    assert np.allclose(seen.probabilities.sum(1), 1, atol=1e-5)
    assert np.allclose(
        FeatureExtractor(JUDGE, threads=1).extract(images[600:]).features, seen.features[600:], atol=1e-4
    )


@pytest.mark.parametrize("damage", ["network", "facts", "format", "missing"])
def test_a_damaged_judge_judges_nothing(tmp_path, damage):
    folder = tmp_path / "feature extractor"
    shutil.copytree(JUDGE, folder)
    facts = folder / "features.json"
    if damage == "network":
        content = bytearray((folder / "features.onnx").read_bytes())
        content[1000] ^= 1
        (folder / "features.onnx").write_bytes(content)
    elif damage == "facts":
        facts.write_text(facts.read_text().replace('"features": 128', '"features": "many"', 1))
    elif damage == "format":
        facts.write_text(facts.read_text().replace('"format": 1', '"format": 2', 1))
    else:
        facts.unlink()
    with pytest.raises((ArtifactError, NotFoundError)):
        FeatureExtractor(folder)


def test_a_judge_that_is_not_there_says_which_are(tmp_path):
    with pytest.raises(NotFoundError, match="features-mnist"):
        find_feature_extractor(None, "fashion-mnist")
    with pytest.raises(ShapeError):
        FeatureExtractor(JUDGE).extract(np.zeros((2, 6, 5), np.uint8))


def test_real_images_in_the_place_of_samples_score_the_floor(real):
    for name, metric in generation(real.floor, real).items():
        assert metric.value == pytest.approx(metric.floor), name


def test_the_test_images_themselves_are_at_no_distance(real):
    found = values(real.test, real)
    assert found["frechet_distance"] == pytest.approx(0, abs=1e-3)
    assert (found["precision"], found["recall"], found["coverage"]) == (1, 1, 1)
    assert found["bins_different"] == found["class_imbalance"] == 0


def test_copied_dropped_and_spoilt_images_are_found_out(real, digits):
    floor = {name: metric.floor for name, metric in generation(real.floor, real).items()}
    copied = values(digits.train.images[real.training_rows[:1000]], real)
    assert copied["memorisation"] < -10 < -3 < floor["memorisation"]
    assert copied["frechet_distance"] < 2 * floor["frechet_distance"]
    dropped = real.floor[real.reference_labels != 4]
    without = values(np.concatenate([dropped, dropped[: 1000 - len(dropped)]]), real)
    assert without["class_imbalance"] > floor["class_imbalance"] + 0.05
    assert without["frechet_distance"] > 2 * floor["frechet_distance"]
    assert without["coverage"] < floor["coverage"] - 0.05
    noise = np.random.default_rng(0).integers(0, 80, real.floor.shape, np.uint8)
    noisy = values(np.maximum(real.floor, noise), real)
    assert noisy["frechet_distance"] > 5 * floor["frechet_distance"]
    assert noisy["precision"] < floor["precision"]


def test_evaluate_prints_every_measure_beside_its_floor(cli, mnist):
    done = cli("evaluate", "mnist-ae", "--data", mnist, "-n", "500", "--prior", "gaussian")
    assert done.returncode == 0, done.stderr
    assert "prior gaussian, temperature 1, seed 0: 500 samples" in done.stdout
    done = cli("evaluate", "mnist-vae", "--data", mnist, "-n", "500", "--importance-samples", "5", "--json")
    report = json.loads(done.stdout)
    assert (report["model"], report["samples"], report["data"]) == ("mnist-vae", 500, "mnist")
    assert report["feature extractor"]["sha256"] == FeatureExtractor(JUDGE).facts.graph.sha256
    metrics = report["metrics"]
    assert metrics["frechet_distance"]["value"] > metrics["frechet_distance"]["floor"] > 0
    assert metrics["label_accuracy"]["floor"] > 0.98
    assert -130 < metrics["log_likelihood_k5"]["value"] < -80
    assert metrics["log_likelihood_k5_binarised"]["value"] > metrics["log_likelihood_k5"]["value"]
    assert {metric["better"] for metric in metrics.values()} == {
        "lower is better",
        "higher is better",
        "nearer 0 is better",
    }


def test_evaluation_needs_no_torch(cli, bare, mnist):
    import sys

    env = {"PYTHONPATH": bare["PYTHONPATH"]}
    done = cli("evaluate", "--data", mnist, "-n", "200", "--json", env=env, python=(sys.executable, "-S"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["samples"] == 200


def test_compare_puts_models_and_priors_in_one_table(cli, mnist):
    done = cli("compare", "mnist-ae:gaussian", "mnist-ae:gmm", "--data", mnist, "-n", "500", "--format", "markdown")
    assert done.returncode == 0, done.stderr
    head, rule, first, second, floor = done.stdout.splitlines()
    assert head.startswith("| model | prior | MB | recon. MSE | Frechet |")
    assert set(rule) <= set("|-: ")
    assert first.startswith("| mnist-ae | gaussian |")
    distances = [float(row.split("|")[5]) for row in (first, second, floor)]
    assert distances[0] > distances[1] > distances[2]


def test_a_table_comes_as_text_and_as_json(cli, mnist):
    few = ("mnist-ae:gaussian", "--data", mnist, "-n", "100")
    text = cli("compare", *few).stdout.splitlines()
    assert text[0].split()[:3] == ["model", "prior", "MB"]
    assert text[1].split()[:2] == ["mnist-ae", "gaussian"]
    (report,) = json.loads(cli("compare", *few, "--format", "json").stdout)
    assert (report["prior"], report["split"]) == ("gaussian", "test")
    (other,) = json.loads(cli("compare", *few, "--split", "validation", "--format", "json").stdout)
    assert other["split"] == "validation"
    for measure in ("reconstruction_mse", "frechet_distance"):
        assert other["metrics"][measure]["value"] != report["metrics"][measure]["value"]


def test_what_cannot_be_measured_is_refused_before_the_work(cli, mnist, tmp_path, bars):
    np.savez(tmp_path / "few.npz", images=bars(60, (28, 28)), labels=np.arange(60) % 10)
    for arguments, code, words in (
        (("--data", "few.npz"), 1, "expected features-mnist"),
        (("--data", "few.npz", "--features", "features-mnist"), 1, "expected 50 test images"),
        (("--data", mnist, "--prior", "vamp"), 1, "expected one of standard"),
        (("--data", mnist, "--nearest", "x.npy"), 2, "expected a name that ends in .png"),
        (("mnist-ae", "--data", mnist, "--prior", "standard", "--train-classifier"), 1, "expected no label, or one of"),
    ):
        done = cli("evaluate", *arguments)
        assert done.returncode == code, done.stderr
        assert words in done.stderr


def test_a_measure_that_could_not_be_taken_is_null_in_json():
    metrics = {"memorisation": Metric(float("nan"), -0.5, "nearer 0 is better")}
    report = Report("m", "gmm", 1.0, 100, 0, "d", "test", {}, 1.0, {}, metrics)
    assert json.loads(as_json(report))["metrics"]["memorisation"] == {
        "value": None,
        "floor": -0.5,
        "better": "nearer 0 is better",
    }


def test_a_judge_is_trained_by_one_command(cli, tmp_path, bars):
    images = bars(240, (8, 8))
    labels = np.arange(240) % 2
    np.savez(tmp_path / "bars.npz", images=images, labels=labels)
    done = cli("train-features", "--data", "bars.npz", "--epochs", "2", "-o", "features-bars")
    assert done.returncode == 0, done.stderr
    assert FeatureExtractor(tmp_path / "features-bars").facts.labels == 2
    assert cli("train-features", "--data", "bars.npz", "-o", "features-bars").returncode == 1
    np.savez(tmp_path / "plain.npz", images=images)
    refused = cli("train-features", "--data", "plain.npz", "-o", "other")
    assert refused.returncode == 1
    assert "found no labels" in refused.stderr


def test_the_nearest_of_all_training_images_are_shown(cli, digits, tmp_path):
    few = digits.train[slice(0, 3000)]
    np.savez(tmp_path / "few.npz", images=few.images, labels=few.labels)
    done = cli("evaluate", "--data", "few.npz", "--features", "features-mnist", "-n", "100", "--nearest", "nearest.png")
    assert done.returncode == 0, done.stderr
    grid = np.asarray(Image.open(tmp_path / "nearest.png"))[::2, ::2]
    assert grid.shape == (4 * 30 + 2, 16 * 30 + 2)
    images = load(str(tmp_path / "few.npz")).train.images
    samples = aegen.load().sample(32, seed=0, dtype="uint8")
    extractor = FeatureExtractor(JUDGE)
    places, _ = nearest(extractor.extract(samples).features, extractor.extract(images).features)
    for column, place in enumerate(places[:16]):
        left = 2 + 30 * column
        assert np.array_equal(grid[32:60, left : left + 28], images[place])


def test_a_classifier_learns_from_what_a_model_draws(bars):
    images = bars(300, (8, 8))
    labels = (np.random.default_rng(0).random(300) < 0.5).astype(np.int64)
    images[labels == 1] = 255 - images[labels == 1]
    recipe = FeatureExtractorRecipe(channels=4, features=8, epochs=12, batch_size=32, dropout=0.0)
    right, wrong = LabelledImages(images[:200], labels[:200]), LabelledImages(images[:200], 1 - labels[:200])
    test = LabelledImages(images[200:], labels[200:])
    assert classification_accuracy_score(right, test, recipe) > 0.9
    assert classification_accuracy_score(wrong, test, recipe) < 0.1
