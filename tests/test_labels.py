"""The argument `label` selects one class for all images, or a class for each image; an invalid label is an error."""

import json
import shutil

import aegen
import numpy as np
import pytest
from aegen.cli.sample import requested_labels
from aegen.runtime.artifact import LATENTS, SHIPPED
from aegen.runtime.errors import InputError, ShapeError

MODEL = aegen.load("mnist-ae")


@pytest.mark.parametrize(
    ("name", "prior"),
    [*(("mnist-ae", prior) for prior in ("diagonal", "gaussian", "gmm", "kde")), ("mnist-fast", "flow")],
)
def test_an_image_with_its_own_label_is_the_image_of_that_label_alone(name, prior):
    model = aegen.load(name)
    labels = [3, 8, 3, 0, 9, 9, 1]
    latents = model.sample_latents(7, seed=4, prior=prior, label=labels)
    for i, label in enumerate(labels):
        alone = model.sample_latents(7, seed=4, prior=prior, label=label)
        assert np.allclose(latents[i], alone[i], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "prior"), [("mnist-ae", "gmm"), ("mnist-fast", "flow")])
def test_labels_belong_to_the_images_asked_for_at_any_start(name, prior):
    model, labels = aegen.load(name), np.arange(40) % 10
    whole = model.sample_latents(40, seed=4, prior=prior, label=labels)
    part = model.sample_latents(27, seed=4, start=13, prior=prior, label=labels[13:])
    assert np.allclose(part, whole[13:], rtol=1e-5, atol=1e-5)
    images = model.sample(27, seed=4, start=13, prior=prior, label=labels[13:], batch_size=4)
    assert np.allclose(images, model.decode(whole[13:]), atol=1e-4)


def test_labels_stay_with_their_images_at_any_batch_size():
    labels = np.arange(40) % 10
    whole = MODEL.sample(40, seed=1, label=labels)
    assert np.allclose(MODEL.sample(40, seed=1, label=labels.tolist(), batch_size=7), whole, atol=1e-6)
    assert np.allclose(
        np.concatenate(list(MODEL.iter_sample(40, seed=1, label=labels, batch_size=3))), whole, atol=1e-6
    )


@pytest.mark.parametrize(
    ("label", "error"),
    [
        ([1, 2, 3], ShapeError),
        ([], ShapeError),
        ([[1, 2, 3, 4]], ShapeError),
        (True, InputError),
        ([True, 1, 2, 3], InputError),
        (10, InputError),
        (-1, InputError),
        (2.0, InputError),
        ("cat", InputError),
        ([1, 2, 3, "cat"], InputError),
        (np.zeros((2, 2), int), ShapeError),
        (object(), InputError),
        (1 + 0j, InputError),
        ("9" * 10_000, InputError),
    ],
)
def test_a_label_that_the_model_does_not_have_is_one_short_error(label, error):
    with pytest.raises(error, match="label") as caught:
        MODEL.sample(4, label=label)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("prior", [np.array(["gmm", "kde"]), ["gmm"], 3, b"gmm", "x" * 10_000])
def test_a_prior_that_is_no_name_is_one_short_error(prior):
    with pytest.raises(InputError, match="prior") as caught:
        MODEL.sample(1, prior=prior)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("temperature", [1j, np.complex128(1), True, "1", np.nan, np.array([1.0, 2.0]), [1]])
def test_a_temperature_that_is_no_number_is_an_error(temperature):
    with pytest.raises(InputError, match="temperature"):
        MODEL.sample(1, temperature=temperature)


@pytest.mark.parametrize("latents", [[[1], [2, 3]], [object()], "text", {1: 2}, [1j] * 12])
def test_latents_that_are_no_array_of_numbers_are_an_error(latents):
    with pytest.raises(InputError, match="latents"):
        MODEL.decode(latents)


def test_class_names_are_shown_and_accepted_as_labels(cli, tmp_path):
    folder = shutil.copytree(SHIPPED / "mnist-ae", tmp_path / "named")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["class_names"] = [f"digit {value}" for value in range(9)] + ["nine"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    model = aegen.load(folder)
    assert np.array_equal(model.sample_latents(3, seed=0, label="nine"), MODEL.sample_latents(3, seed=0, label=9))
    assert np.array_equal(
        model.sample_latents(2, seed=0, label=["nine", 3]), MODEL.sample_latents(2, seed=0, label=[9, 3])
    )
    with pytest.raises(InputError, match="label: found 'ten', expected one of digit 0, .*nine"):
        model.sample_latents(1, label="ten")
    assert "8 digit 8, 9 nine" in cli("info", folder).stdout
    done = cli("sample", "--model", folder, "--label", "nine,digit 3", "-n", "2", "--seed", "0", "-o", "x.npy")
    assert done.returncode == 0, done.stderr
    assert len(np.load(tmp_path / "x.npy")) == 4
    assert cli("sample", "--model", folder, "--label", "ten", "-o", "y.npy").returncode in (1, 2)


def test_class_names_win_over_numbers_and_ranges_are_label_values():
    assert requested_labels("0-2", ("1", "2", "other")) == [0, 1, 2]
    assert requested_labels("1,0-1", ("1", "2", "other")) == ["1", 0, 1]
    assert requested_labels("1-2", ("1-2", "3", "a,b")) == ["1-2"]
    assert requested_labels("a,b", ("1-2", "3", "a,b")) == ["a,b"]
    assert requested_labels("cat, dog", ()) == ["cat", "dog"]


def test_hundreds_of_millions_of_labels_are_refused_at_once(cli):
    done = cli("sample", "--label", "0-999999999", "-o", "x.npy")
    assert done.returncode == 2
    assert "at most" in done.stderr or "from 1 to 1000" in done.stderr


def test_at_temperature_0_every_latent_is_the_mean_of_a_component():
    means = np.load(SHIPPED / MODEL.name / LATENTS)["gmm_means"]
    latents = MODEL.sample_latents(50, seed=0, prior="gmm", temperature=0)
    distances = np.abs(latents[:, None] - means[None]).max(-1).min(1)
    assert distances.max() == 0
    assert np.ptp(MODEL.sample_latents(50, seed=0, prior="gaussian", temperature=0), axis=0).max() == 0
