"""`aegen create` makes the model that its commands make by hand, and goes on after an interruption."""

import dataclasses
import json
import shlex
from pathlib import Path

import aegen
import numpy as np
import pytest
from aegen.cli import create_progress, create_stages
from aegen.cli.create_run import CreateRun, Request, read, save
from aegen.data.datasets import load
from aegen.data.images import LabelledImages
from aegen.data.orientations import with_orientations
from aegen.images.read_options import ReadOptions
from aegen.recipes.feature_extractor import FeatureExtractorRecipe
from aegen.recipes.learned_priors import FlowRecipe
from aegen.recipes.plan import Plan
from aegen.recipes.refinement import RefinementRecipe
from aegen.recipes.stage_seconds import StepSeconds
from aegen.recipes.training import Recipe
from aegen.runtime.artifact import MANIFEST
from aegen.train import planning
from command_line import run_here

PLAN = Plan(
    threads=1,
    autoencoder=Recipe(kind="vae", widths=(8,), latent_dim=2, beta=0.01, epochs=2, learning_rate=0.02),
    prior=FlowRecipe(width=8, blocks=1, steps=30, batch_size=16),
    refinement=RefinementRecipe(steps=6, batch_size=8, flow_steps=2, classifiers=1, classifier_epochs=1),
    features=FeatureExtractorRecipe(channels=2, features=4, epochs=1, batch_size=32),
    components=2,
    evaluated_images=20,
    seconds={"features": 1, "autoencoder": 2, "prior": 1, "classifiers": 1, "refinement": 1, "export": 5, "measure": 1},
    steps=StepSeconds(0.2, 0.03, 0.1, 0.1),
    reasons=("because",),
)
STAGES = ["autoencoder", "prior", "refinement", "export", "feature extractor", "measurement"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, bars):
    """A folder with two sets of 8x8 images: `labelled.npz`, with class names, and `plain.npz`, without labels."""
    folder = tmp_path_factory.mktemp("create")
    images = bars(120, (8, 8))
    np.savez(folder / "labelled.npz", images=images, labels=np.arange(120) % 2, class_names=["even", "odd"])
    np.savez(folder / "plain.npz", images=images)
    return folder


@pytest.fixture(scope="module")
def create(folder):
    """`create("labelled.npz", "made")` runs the rest of `aegen create` with the fixed plan."""

    def run(data, name, plan=PLAN):
        begin(folder, data, name, plan)
        done = run_here(["create", "--resume", name], folder, {})
        assert done.returncode == 0, done.stderr
        return done

    return run


def begin(folder, data, name, plan=PLAN):
    """Write the record of a run of `aegen create` that was interrupted just after its plan was made."""
    (folder / f"{name}-run").mkdir()
    request = Request(str(folder / data), ReadOptions(), 60.0, False, 1, "bars", "CC0-1.0")
    save(CreateRun(request, plan), folder / f"{name}-run")


@pytest.fixture(scope="module")
def finished(create):
    """The finished process of the command that made the model `made` from labelled images without an interruption."""
    return create("labelled.npz", "made")


def contents(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_the_model_has_nothing_but_its_own_files_and_passes_all_checks(finished, folder):
    model = aegen.load(folder / "made")
    assert {file.name for file in (folder / "made").iterdir()} == {MANIFEST, *model.manifest.files}
    assert model.verify().passed
    assert (model.name, model.manifest.data.licence, model.manifest.default_prior) == ("bars", "CC0-1.0", "flow")
    assert model.manifest.class_names == ("even", "odd")
    assert model.sample(4, seed=0, label="odd").shape == (4, 8, 8)


def test_each_stage_is_a_line_and_the_end_says_how_good_the_model_is_and_what_to_do_next(finished, folder):
    lines = finished.stderr.splitlines()
    begun = [line.partition(" ")[2].partition(":")[0] for line in lines if line.endswith(" ...")]
    assert begun == STAGES
    assert "because" in lines
    output = finished.stdout
    for fact in ("distance", "nearest", "copies", "reconstruction", "speed", "MB"):
        assert fact in output
    assert "apart from the model" in " ".join(output.split())
    next_commands = [shlex.split(line) for line in lines if line.startswith("  aegen")]
    assert len(next_commands) == 2
    for _, *command in next_commands:
        assert run_here(command, folder, {}).returncode == 0
    summary = json.loads((folder / "made-run" / "summary.json").read_text())
    assert summary["images"] == 20
    assert summary["distance"] > 0 and summary["reference_nearest"] > 0


def test_the_commands_of_the_plan_make_the_same_model_by_hand(finished, folder):
    request = read(folder / "made-run").request
    for stage in create_stages.stages(request, PLAN, folder / "hand-run", folder / "hand"):
        done = run_here([*stage.command], folder, {})
        assert done.returncode == 0, done.stderr
    assert contents(folder / "hand") == contents(folder / "made")


@pytest.mark.parametrize("steps", [3, 40])
def test_an_interrupted_run_goes_on_to_the_same_model(finished, folder, monkeypatch, steps):
    name, count = f"interrupted-{steps}", 0

    def watch(self, title, done):
        nonlocal count
        count += 1
        if count == steps:
            raise KeyboardInterrupt

    begin(folder, "labelled.npz", name)
    with monkeypatch.context() as patch:
        patch.setattr(create_progress.CreateProgress, "watch", watch)
        stopped = run_here(["create", "--resume", name], folder, {})
    assert stopped.returncode == 130
    assert f"`aegen create --resume {name}` continues this run" in stopped.stderr
    done = run_here(["create", "--resume", name], folder, {})
    assert done.returncode == 0, done.stderr
    assert contents(folder / name) == contents(folder / "made")


def test_a_run_that_is_complete_is_only_measured_again(finished, folder):
    before = contents(folder / "made")
    again = run_here(["create", "--resume", "made"], folder, {})
    assert again.returncode == 0
    assert [line for line in again.stderr.splitlines() if line.endswith(" ...")] == ["6/6 measurement: about 1 s ..."]
    assert contents(folder / "made") == before


def test_images_without_labels_give_a_model_too(create, folder):
    features = dataclasses.replace(PLAN.features, orientations=True)
    done = create("plain.npz", "plain", dataclasses.replace(PLAN, features=features))
    assert "trained to tell how images are turned" in " ".join(done.stdout.split())
    manifest = aegen.load(folder / "plain").manifest
    assert manifest.labels == ()
    assert any("refine" in command for command in manifest.commands)


@pytest.mark.parametrize("data", ["labelled.npz", "plain.npz"])
def test_a_dry_run_prints_the_plan_and_writes_nothing(folder, data):
    before = sorted(folder.iterdir())
    done = run_here(["create", "--data", data, "--budget", "10s", "--threads", "1", "--fast", "--dry-run"], folder, {})
    assert done.returncode == 0, done.stderr
    assert sorted(folder.iterdir()) == before
    commands = [shlex.split(line) for line in done.stdout.splitlines() if line.startswith("  aegen")]
    assert [command[1] for command in commands] == ["train", "train-prior", "refine", "export", "train-features"]
    assert ("--orientations" in commands[-1]) == (data == "plain.npz")
    assert "optimiser steps" in done.stdout


def test_the_plan_is_fixed_and_recorded_before_the_first_stage(folder, monkeypatch):
    def interrupt(stage):
        raise KeyboardInterrupt

    monkeypatch.setattr(planning, "plan_for", lambda *arguments, **settings: PLAN)
    monkeypatch.setattr(create_stages.Stage, "run", interrupt)
    done = run_here(["create", "--data", "plain.npz", "-o", "planned", "--budget", "45s"], folder, {})
    assert done.returncode == 130
    run = read(folder / "planned-run")
    assert run.plan == PLAN
    assert run.request.budget == 45
    assert Path(run.request.data) == folder / "plain.npz"
    again = run_here(["create", "--data", "plain.npz", "-o", "planned"], folder, {})
    assert again.returncode == 1
    assert "--resume planned" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["--data", "plain.npz"], 2, "Missing --data and -o, or --resume"),
        (["--data", "plain.npz", "-o", "new", "--budget", "soon"], 2, "such as 30m, 2h or 1h30m"),
        (["--resume", "new", "--fast"], 2, "--resume takes"),
        (["--resume", "nothing"], 1, "nothing-run/create.json: found no such file"),
        (["--data", "-", "-o", "new"], 1, "found a pipe or a device"),
        (["--data", "nowhere", "-o", "new"], 1, "nowhere"),
        (["--data", "plain.npz", "-o", "no/new"], 1, "found no such folder"),
        (["--data", "plain.npz", "-o", "."], 1, "found something there already"),
    ],
)
def test_wrong_usage_is_one_clear_error_and_leaves_nothing(folder, arguments, exit_code, message):
    done = run_here(["create", *arguments], folder, {})
    assert done.returncode == exit_code
    assert message in " ".join(done.stderr.split())
    assert not list(folder.glob("new*"))


def test_the_bar_moves_forward_to_the_end_of_each_stage():
    class Bar:
        pos, titles = 0, []

        def update(self, steps, title):
            assert steps >= 0
            self.pos += steps
            self.titles.append(title)

    bar = Bar()
    stages = [("autoencoder", 20.0), ("prior", 10.0), ("measurement", 5.0)]
    progress = create_progress.CreateProgress(stages, PLAN.steps, bar)
    progress.begin("autoencoder")
    progress.watch("autoencoder", 50)
    assert bar.pos == 10
    progress.watch("autoencoder", 500)
    assert bar.pos == 20
    progress.begin("measurement")
    assert bar.pos == 30
    assert bar.titles[-1] == "measurement"


@pytest.mark.parametrize(("shape", "count"), [((4, 4), 4), ((3, 5), 4), ((4, 4, 3), 4)])
def test_each_image_has_one_of_four_orientations_as_its_label(tmp_path, shape, count):
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, (60, *shape), np.uint8))
    dataset = load(str(tmp_path / "images.npy"))
    oriented = with_orientations(dataset)
    assert oriented.train.images.shape == dataset.train.images.shape
    assert oriented.train.labels.tolist() == [i % 4 for i in range(len(dataset.train))]
    assert set(oriented.test.labels.tolist()) == {0, 1, 2, 3}
    image = dataset.train.images[:1].repeat(4, 0)
    parts = {name: LabelledImages(image) for name in ("train", "validation", "test")}
    turned = with_orientations(dataclasses.replace(dataset, **parts)).train.images
    assert len({each.tobytes() for each in turned}) == count
    assert all(sorted(each.ravel()) == sorted(image[0].ravel()) for each in turned)
