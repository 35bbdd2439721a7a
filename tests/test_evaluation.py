"""The feature extractor has the accuracy in its record; reports show each metric for samples and for real images."""

import dataclasses
import importlib
import json
import re
import shutil
import sys

import aegen
import numpy as np
import pytest
from aegen.data.datasets import load
from aegen.data.images import LabelledImages
from aegen.evaluation.feature_extractor import FeatureExtractor, find_feature_extractor, ships_for
from aegen.evaluation.metric_inputs import MetricInputs, ScoredImages
from aegen.evaluation.metrics import METRICS
from aegen.evaluation.neighbours import nearest
from aegen.evaluation.reference import reference_set
from aegen.evaluation.report import Evaluator, Report, Score, metric_values
from aegen.evaluation.tables import as_json, comparison, report_text
from aegen.recipes.feature_extractor import FeatureExtractorRecipe
from aegen.runtime.artifact import SHIPPED
from aegen.runtime.errors import ArtifactError, NotFoundError, ShapeError
from aegen.train.feature_extractor import classification_accuracy_score
from PIL import Image

FEATURES_MNIST = SHIPPED / "features-mnist"
# Number of images that are scored in place of samples, and number of test images. The search for copies uses four times
# as many training images.
SAMPLES = 500
QUICK = ("-n", "100", "--importance-samples", "1")


@pytest.fixture(scope="module")
def digits(mnist):
    return load(str(mnist))


def test_a_feature_extractor_ships_for_the_images_of_mnist_alone(digits):
    assert ships_for(digits.facts)
    assert not ships_for(dataclasses.replace(digits.facts, sha256="0" * 64))
    assert not ships_for(dataclasses.replace(digits.facts, name="other"))


@pytest.fixture(scope="module")
def reference(digits):
    training, test = digits.train, digits.test
    few = slice(0, 2500)
    return reference_set(
        FeatureExtractor(FEATURES_MNIST),
        (training.images[few], training.labels[few]),
        (test.images, test.labels),
        SAMPLES,
    )


@pytest.fixture(scope="module")
def reference_values(reference):
    return sample_metrics(reference.real_images, reference)


def sample_metrics(images, reference):
    """Compute every metric, by name, for images (n, 28, 28) as if a model had generated them."""
    return metric_values(MetricInputs(samples=ScoredImages(reference, images)))


def report_with(metrics):
    return Report("m", "gmm", 1.0, 100, 1, 0, 0, "d", "test", {"name": "features-d"}, 10, 1.0, {}, metrics)


def documented_keys(command):
    """Return the keys of the first JSON object in the help text of a command."""
    text = " ".join(importlib.import_module(f"aegen.cli.{command}").command.help.split())
    return [key.strip('" ') for key in text[text.index("{") + 1 : text.index("}")].split(",")]


def test_the_feature_extractor_has_the_accuracy_of_its_record(digits):
    extractor = FeatureExtractor(FEATURES_MNIST)
    predicted_labels = extractor.extract(digits.test.images).predicted_labels
    assert np.mean(predicted_labels == digits.test.labels) == pytest.approx(extractor.record.accuracy, abs=2e-4)
    assert extractor.record.accuracy >= 0.994
    assert extractor.record.command == "aegen train-features --data mnist -o features-mnist"


def test_features_are_the_same_at_any_batch_size_and_thread_count():
    images = np.random.default_rng(0).integers(0, 256, (700, 28, 28), np.uint8)
    extracted = FeatureExtractor(FEATURES_MNIST).extract(images)
    assert extracted.features.shape == (700, 128)
    assert extracted.predicted_labels.dtype == np.int64
    assert np.allclose(extracted.probabilities.sum(1), 1, atol=1e-5)
    last = FeatureExtractor(FEATURES_MNIST, threads=1).extract(images[600:])
    assert np.allclose(last.features, extracted.features[600:], atol=1e-4)


@pytest.mark.parametrize("damage", ["network", "record", "format", "missing"])
def test_a_damaged_feature_extractor_is_refused(tmp_path, damage):
    folder = tmp_path / "extractor"
    shutil.copytree(FEATURES_MNIST, folder)
    record = folder / "features.json"
    if damage == "network":
        content = bytearray((folder / "features.onnx").read_bytes())
        content[1000] ^= 1
        (folder / "features.onnx").write_bytes(content)
    elif damage == "record":
        record.write_text(record.read_text().replace('"features": 128', '"features": "many"', 1))
    elif damage == "format":
        record.write_text(record.read_text().replace('"format": 1', '"format": 2', 1))
    else:
        record.unlink()
    with pytest.raises((ArtifactError, NotFoundError)):
        FeatureExtractor(folder)


def test_an_unknown_feature_extractor_is_refused_with_a_list_of_those_that_ship():
    with pytest.raises(NotFoundError, match="features-mnist"):
        find_feature_extractor(None, "fashion-mnist")


def test_images_of_another_size_are_refused_by_the_feature_extractor():
    with pytest.raises(ShapeError):
        FeatureExtractor(FEATURES_MNIST).extract(np.zeros((2, 6, 5), np.uint8))


def test_the_reference_is_the_mean_score_of_sets_of_real_images(digits):
    extractor = FeatureExtractor(FEATURES_MNIST)
    training, test = ((part.images[:2000], part.labels[:2000]) for part in (digits.train, digits.test))
    few = reference_set(extractor, training, test, 200)
    assert [len(images) for images, _ in few.real_sets] == [200] * 5
    values = [metric_values(MetricInputs(samples=ScoredImages(few, images))) for images, _ in few.real_sets]
    inputs = MetricInputs(samples=ScoredImages(few, few.real_images))
    for name, score in Evaluator(few, "mnist").scores(inputs).items():
        of_sets = [value[name] for value in values if not np.isnan(value[name])]
        assert score.reference == pytest.approx(np.mean(of_sets), nan_ok=True), name
        assert score.reference_std == (pytest.approx(np.std(of_sets, ddof=1)) if len(of_sets) > 1 else None), name
    single = reference_set(extractor, training, test, 400)
    assert len(single.real_sets) == 1
    one = Evaluator(single, "mnist").scores(MetricInputs(samples=ScoredImages(single, single.real_images)))
    assert all(score.value == pytest.approx(score.reference, nan_ok=True) for score in one.values())
    assert {score.reference_std for score in one.values()} == {None}


def test_test_images_are_chosen_at_random_because_the_order_of_a_file_may_mean_something(digits):
    training, test = (digits.train.images[:1000], None), (digits.test.images, None)
    chosen = reference_set(FeatureExtractor(FEATURES_MNIST), training, test, 400)
    rows = {image.tobytes(): row for row, image in enumerate(test[0])}
    second_half = sum(rows[image.tobytes()] >= len(test[0]) // 2 for image in chosen.test_images)
    assert second_half == pytest.approx(200, abs=40)


def test_too_few_images_are_said(digits):
    extractor = FeatureExtractor(FEATURES_MNIST)
    training, test = ((part.images[:1000], part.labels[:1000]) for part in (digits.train, digits.test))
    fewer_test_images = (test[0][:300], test[1][:300])
    assert reference_set(extractor, training, test, 500).remarks == ()
    (remark,) = reference_set(extractor, training, fewer_test_images, 20_000).remarks
    assert remark == "300 samples are scored, not 20,000: there are 300 real images to score against."
    (remark,) = reference_set(extractor, (training[0][:800], None), test, 600).remarks
    assert remark.startswith("400 samples are scored, not 600: half of the 800 training images must be left")
    (remark,) = reference_set(extractor, training, test, 128).remarks
    assert remark.startswith("128 images are too few for 128 features: their covariance is singular")


def test_the_test_images_themselves_have_distance_0(reference):
    values = sample_metrics(reference.test_images, reference)
    assert values["frechet_distance"] == pytest.approx(0, abs=1e-3)
    assert (values["precision"], values["recall"], values["coverage"]) == (1, 1, 1)
    assert values["ndb"] == values["js_divergence"] == values["class_imbalance"] == 0


def test_copies_of_training_images_score_low_in_memorisation(reference, reference_values, digits):
    copies = sample_metrics(digits.train.images[reference.training_rows[:SAMPLES]], reference)
    assert copies["memorisation_c_t"] < -8 < -3 < reference_values["memorisation_c_t"]
    assert copies["frechet_distance"] < 2 * reference_values["frechet_distance"]


def test_a_missing_class_is_seen_in_class_imbalance_distance_and_coverage(reference, reference_values):
    kept = reference.real_images[reference.real_labels != 4]
    values = sample_metrics(np.concatenate([kept, kept[: SAMPLES - len(kept)]]), reference)
    assert values["class_imbalance"] > reference_values["class_imbalance"] + 0.03
    assert values["frechet_distance"] > 2 * reference_values["frechet_distance"]
    assert values["coverage"] < reference_values["coverage"] - 0.05


def test_noisy_images_score_low_in_precision_and_distance(reference, reference_values):
    noise = np.random.default_rng(0).integers(0, 80, reference.real_images.shape, np.uint8)
    values = sample_metrics(np.maximum(reference.real_images, noise), reference)
    assert values["frechet_distance"] > 5 * reference_values["frechet_distance"]
    assert values["precision"] < reference_values["precision"]


def test_evaluate_prints_every_metric_beside_its_reference_value(cli, mnist):
    done = cli("evaluate", "mnist-ae", "--data", mnist, "-n", "100", "--prior", "gaussian")
    assert done.returncode == 0, done.stderr
    assert "prior gaussian, temperature 1, seed 0\n100 samples against 100 test images" in done.stdout
    assert "real images: mean of 5 sets of 100 training images" in done.stdout
    assert "Note: 100 images are too few for 128 features" in done.stderr
    rows = [line for line in done.stdout.splitlines() if line.endswith(("  lower", "  higher", "  near 0"))]
    scored = [metric for metric in METRICS if metric.needs in ("samples", "reconstructions", "labelled_samples")]
    assert [row.split("  ")[0] for row in rows] == [metric.heading for metric in scored]
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_the_json_of_evaluate_is_the_documented_one(cli, mnist):
    done = cli("evaluate", "mnist-vae", "--data", mnist, "-n", "200", "--importance-samples", "5", "--json")
    report = json.loads(done.stdout)
    assert list(report) == documented_keys("evaluate")
    assert (report["model"], report["samples"], report["data"]) == ("mnist-vae", 200, "mnist")
    assert report["importance_samples"] == 5
    assert report["feature_extractor"]["sha256"] == FeatureExtractor(FEATURES_MNIST).record.graph.sha256
    metrics = report["metrics"]
    assert list(metrics) == [metric.name for metric in METRICS if metric.needs != "classifier_accuracy"]
    distance = metrics["frechet_distance"]
    assert min(distance["value"], distance["reference"], distance["reference_std"]) > 0
    assert metrics["class_accuracy"]["reference"] > 0.98
    bound, binarised = metrics["log_likelihood_bound"], metrics["log_likelihood_bound_binarised"]
    assert -130 < bound["value"] < -80
    assert binarised["value"] > bound["value"]
    assert all(list(score) == ["value", "reference", "better", "reference_std"] for score in metrics.values())
    assert (report["reference_sets"], report["likelihood_images"]) == (5, 200)
    assert {score["better"] for score in metrics.values()} == {"lower", "higher", "zero"}


def test_the_help_of_evaluate_lists_every_metric(cli):
    listed = cli("evaluate", "--help").stdout.partition("Metrics:")[2]
    assert [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "] == [
        metric.name for metric in METRICS
    ]


def test_every_metric_has_a_name_of_its_own_and_needs_inputs_that_exist():
    assert len({metric.name for metric in METRICS}) == len({metric.title for metric in METRICS}) == len(METRICS)
    assert {metric.needs for metric in METRICS} == {field.name for field in dataclasses.fields(MetricInputs)}


def test_a_metric_has_one_name_and_one_sentence_everywhere(cli):
    for metric in METRICS:
        assert metric.name == re.sub(r"\W+", "_", metric.title.lower())
        assert re.fullmatch(r"[A-Z][^.]*\.", metric.meaning), metric.name
    listed = " ".join(cli("evaluate", "--help").stdout.split())
    assert all(" ".join(metric.description.split()) in listed for metric in METRICS)


def test_evaluation_needs_no_torch(cli_process, base_env, mnist):
    env = {"PYTHONPATH": base_env["PYTHONPATH"]}
    done = cli_process("evaluate", *QUICK, "--data", mnist, "--json", env=env, python=(sys.executable, "-S"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["samples"] == 100


def test_compare_shows_models_and_priors_in_one_table(cli, mnist):
    done = cli("compare", "mnist-ae:gaussian", "mnist-ae:gmm", "--data", mnist, "-n", "300", "--format", "markdown")
    assert done.returncode == 0, done.stderr
    head, rule, gaussian, gmm, real, std, _, counts, _ = done.stdout.splitlines()
    assert head.startswith("| model | prior | MB | reconstruction MSE | Frechet distance |")
    assert std.startswith("| their std |")
    assert counts == "300 samples against 300 test images of mnist, by features-mnist"
    assert set(rule) <= set("|-: ")
    assert gaussian.startswith("| mnist-ae | gaussian |")
    assert real.startswith("| real images |")
    gaussian_distance, gmm_distance, real_distance = (float(row.split("|")[5]) for row in (gaussian, gmm, real))
    assert gaussian_distance > 3 * gmm_distance
    assert gaussian_distance > 3 * real_distance


def test_compare_prints_text_and_the_json_of_evaluate(cli, mnist):
    arguments = ("mnist-ae:gaussian", "--data", mnist, "-n", "100")
    text = cli("compare", *arguments).stdout.splitlines()
    assert text[1].split()[:3] == ["model", "prior", "MB"]
    assert text[2].split()[:2] == ["mnist-ae", "gaussian"]
    assert max(map(len, text)) <= 80
    (report,) = json.loads(cli("compare", *arguments, "--format", "json").stdout)
    assert list(report) == documented_keys("evaluate")
    assert (report["prior"], report["split"]) == ("gaussian", "test")
    (other,) = json.loads(cli("compare", *arguments, "--split", "validation", "--format", "json").stdout)
    assert other["split"] == "validation"
    for name in ("reconstruction_mse", "frechet_distance"):
        assert other["metrics"][name]["value"] != report["metrics"][name]["value"]


def test_options_that_cannot_work_are_refused(cli, mnist, tmp_path, bars):
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


def test_a_value_that_is_not_finite_is_null_in_json():
    report = report_with({"memorisation_c_t": Score(float("nan"), -0.5, "zero")})
    score = json.loads(as_json(report))["metrics"]["memorisation_c_t"]
    assert score == {"value": None, "reference": -0.5, "better": "zero", "reference_std": None}


def test_a_metric_that_a_model_lacks_is_left_out_of_its_report_and_a_dash_in_a_comparison():
    score = {name: Score(0.25, 0.125, "lower") for name in ("frechet_distance", "class_accuracy")}
    some, all_metrics = report_with({"frechet_distance": score["frechet_distance"]}), report_with(score)
    assert "class accuracy" in report_text(all_metrics)
    assert "class accuracy" not in report_text(some)
    titles, first, second, real = comparison([some, all_metrics])
    assert titles[3:] == ("Frechet distance", "class accuracy")
    assert (first[3:], second[3:], real[3:]) == (("0.2500", "-"), ("0.2500", "0.2500"), ("0.1250", "0.1250"))


def test_one_command_trains_a_feature_extractor(cli, tmp_path, bars):
    images = bars(240, (8, 8))
    labels = np.arange(240) % 2
    np.savez(tmp_path / "bars.npz", images=images, labels=labels)
    done = cli("train-features", "--data", "bars.npz", "--epochs", "1", "-o", "features-bars")
    assert done.returncode == 0, done.stderr
    assert FeatureExtractor(tmp_path / "features-bars").record.num_classes == 2
    assert cli("train-features", "--data", "bars.npz", "-o", "features-bars").returncode == 1
    np.savez(tmp_path / "plain.npz", images=images)
    refused = cli("train-features", "--data", "plain.npz", "-o", "other")
    assert refused.returncode == 1
    assert "found no labels" in refused.stderr


def test_nearest_shows_samples_above_the_nearest_of_all_training_images(cli, digits, tmp_path):
    few = digits.train[slice(0, 3000)]
    np.savez(tmp_path / "few.npz", images=few.images, labels=few.labels)
    done = cli("evaluate", *QUICK, "--data", "few.npz", "--features", "features-mnist", "--nearest", "nearest.png")
    assert done.returncode == 0, done.stderr
    grid = np.asarray(Image.open(tmp_path / "nearest.png"))[::2, -2 * (16 * 30 + 2) :: 2]  # cut the row titles off
    images = load(str(tmp_path / "few.npz")).train.images
    samples = aegen.load().sample(32, seed=0, dtype="uint8")
    extractor = FeatureExtractor(FEATURES_MNIST)
    indices, _ = nearest(extractor.extract(samples).features, extractor.extract(images).features)
    for column, index in enumerate(indices[:16]):
        left = 2 + 30 * column
        assert np.array_equal(grid[32:60, left : left + 28], images[index])


def test_the_classification_accuracy_score_is_high_for_right_labels_and_low_for_wrong_ones(bars):
    images = bars(300, (8, 8))
    labels = (np.random.default_rng(0).random(300) < 0.5).astype(np.int64)
    images[labels == 1] = 255 - images[labels == 1]
    recipe = FeatureExtractorRecipe(channels=4, features=8, epochs=12, batch_size=32, dropout=0.0)
    right, wrong = LabelledImages(images[:200], labels[:200]), LabelledImages(images[:200], 1 - labels[:200])
    test = LabelledImages(images[200:], labels[200:])
    assert classification_accuracy_score(right, test, recipe) > 0.9
    assert classification_accuracy_score(wrong, test, recipe) < 0.1
