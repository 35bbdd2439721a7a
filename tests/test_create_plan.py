"""The plan of `aegen create` keeps the budget, and follows from the images, the machine and the budget alone."""

import dataclasses
import itertools
import json

import pytest
from aegen.cli.create_run import CreateRun, Request, read, save
from aegen.images.read_options import ReadOptions
from aegen.recipes.budget import budget_seconds, divided, duration
from aegen.recipes.plan import (
    EPOCH_STEPS,
    FEW_IMAGES_LATENTS,
    MIN_CONV_STEPS,
    MIN_REFINEMENT_STEPS,
    Budget,
    candidates,
    is_affordable,
    make_plan,
)
from aegen.recipes.stage_seconds import Facts, StepSeconds
from aegen.runtime.errors import InputError, NotFoundError

MNIST = Facts((1, 28, 28), 50_000, 10_000, 10, has_features=True)
ICONS = Facts((3, 32, 32), 1_500, 300, 0)
PRIVATE = Facts((3, 64, 64), 170, 30, 2)
MACHINES = {
    "two cores": StepSeconds(0.19, 0.008, 0.045, 0.25),
    "slow": StepSeconds(0.8, 0.03, 0.2, 1.0),
    "gpu": StepSeconds(0.005, 0.002, 0.004, 0.02),
}


def plan_of(facts, machine="two cores", minutes=30, *, fast=False, index=0):
    autoencoder = candidates(facts, fast=fast)[index]
    return make_plan(facts, autoencoder, MACHINES[machine], Budget(60 * minutes, 10), fast=fast, threads=2)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("90s", 90), ("2h", 7200), ("1h30m", 5400), ("1.5m", 90), ("1h 30m", 5400)]
)
def test_a_budget_is_read(text, seconds):
    assert budget_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "m", "30 minutes", "-5m", "5s", "1e9h", "30m!", "nan", "99999999h"])
def test_a_budget_that_is_none_is_an_error_that_shows_one(text):
    with pytest.raises(InputError, match=r"budget: found .*expected a time from 10s to 720h, such as 30m"):
        budget_seconds(text)


def test_durations_are_short():
    assert [duration(seconds) for seconds in (0, 44.6, 99, 100, 1800, 5400, 86_400)] == [
        *("0 s", "45 s", "99 s", "2 min", "30 min", "90 min", "24 h 0 min"),
    ]


def test_what_a_stage_cannot_use_the_others_get():
    fractions = {"a": 0.5, "b": 0.25, "c": 0.25}
    assert divided(100, fractions, dict.fromkeys("abc", 1000)) == {"a": 50, "b": 25, "c": 25}
    assert divided(100, fractions, {"a": 10, "b": 1000, "c": 1000}) == {"a": 10, "b": 45, "c": 45}
    assert divided(100, fractions, {"a": 10, "b": 20, "c": 1000}) == {"a": 10, "b": 20, "c": 70}
    assert divided(100, fractions, {"a": 10, "b": 20, "c": 30}) == {"a": 10, "b": 20, "c": 30}
    assert divided(0, fractions, dict.fromkeys("abc", 10)) == {"a": 0, "b": 0, "c": 0}


@pytest.mark.parametrize("facts", [MNIST, ICONS, PRIVATE], ids=["mnist", "icons", "private"])
@pytest.mark.parametrize("machine", ["two cores", "gpu"])
@pytest.mark.parametrize("minutes", [10, 30, 120])
@pytest.mark.parametrize("fast", [False, True])
def test_a_plan_keeps_its_budget(facts, machine, minutes, fast):
    plan = plan_of(facts, machine, minutes, fast=fast)
    assert 10 + sum(plan.seconds.values()) <= 60 * minutes


def test_a_plan_of_many_images_uses_its_budget():
    plan = plan_of(MNIST)
    assert 0.9 * 1800 < 10 + sum(plan.seconds.values()) <= 1800


@pytest.mark.parametrize("facts", [MNIST, ICONS, PRIVATE], ids=["mnist", "icons", "private"])
def test_a_larger_budget_never_gives_less(facts):
    plans = [plan_of(facts, minutes=minutes) for minutes in (1, 2, 5, 10, 30, 60, 240)]
    for less, more in itertools.pairwise(plans):
        assert less.autoencoder.epochs <= more.autoencoder.epochs
        assert less.prior.steps <= more.prior.steps
        assert less.refinement.steps <= more.refinement.steps


def test_a_budget_that_is_too_small_gets_the_smallest_plan():
    plan = plan_of(MNIST, "slow", 0.5, fast=True)
    assert plan.autoencoder.epochs == 2
    assert plan.refinement.steps == MIN_REFINEMENT_STEPS
    assert plan.refinement.classifiers == plan.refinement.classifier_epochs == 1


def test_the_largest_network_that_gets_enough_steps_is_chosen():
    large, small, mlp = candidates(MNIST, fast=False)
    assert [large.network, small.network, mlp.network] == ["conv", "conv", "mlp"]
    assert large.channels > small.channels
    budget = Budget(1800)
    assert is_affordable(large, 0.1, MNIST, budget)
    assert not is_affordable(large, 0.45 * 1800 / MIN_CONV_STEPS, MNIST, budget)
    assert is_affordable(mlp, 1000, MNIST, budget)


def test_the_fast_network_is_that_of_mnist_fast():
    (mlp,) = candidates(MNIST, fast=True)
    assert (mlp.network, mlp.widths, mlp.latent_dim, mlp.beta, mlp.batch_size) == ("mlp", (512, 256), 24, 0.01, 256)
    plan = plan_of(MNIST, fast=True)
    assert (plan.prior.width, plan.prior.blocks, plan.refinement.flow_steps) == (128, 2, 3)


def test_large_images_get_no_fully_connected_network():
    assert {each.network for fast in (False, True) for each in candidates(PRIVATE, fast=fast)} == {"conv"}


def test_an_epoch_of_a_small_set_has_many_steps():
    for images in (640, 1500, 6_667, 50_000):
        facts = dataclasses.replace(MNIST, training_images=images)
        for each in candidates(facts, fast=False):
            assert images / each.batch_size >= EPOCH_STEPS, each


def test_few_images_get_few_latent_dimensions():
    assert {each.latent_dim for each in candidates(PRIVATE, fast=False)} == {FEW_IMAGES_LATENTS}


def test_images_without_labels_get_a_feature_extractor_of_orientations():
    assert plan_of(MNIST).features is None
    assert plan_of(ICONS).features.orientations
    assert not plan_of(PRIVATE).features.orientations
    assert any("no labels" in reason for reason in plan_of(ICONS).reasons)


def test_a_run_is_read_as_it_was_saved(tmp_path):
    request = Request("images", ReadOptions(size=(32, 24)), 1800.0, False, None, "name", None)
    run = CreateRun(request, plan_of(PRIVATE, fast=True), ("train",))
    save(run, tmp_path)
    assert read(tmp_path) == run
    save(CreateRun(request), tmp_path)
    assert read(tmp_path) == CreateRun(request)


def test_a_record_that_is_damaged_or_missing_is_an_error(tmp_path):
    with pytest.raises(NotFoundError, match=r"create.json: found no such file.*`aegen create --data"):
        read(tmp_path)
    (tmp_path / "create.json").write_text(json.dumps({"request": 1}))
    with pytest.raises(InputError, match=r"create.json: request: found 1"):
        read(tmp_path)
    (tmp_path / "create.json").write_bytes(b"{")
    with pytest.raises(InputError, match="expected readable JSON"):
        read(tmp_path)
