"""The JSON that commands print has exactly the keys and types of docs/command-output.schema.json."""

import dataclasses
import json
from pathlib import Path

import click
import jsonschema
import numpy as np
import pytest
from aegen.cli import cli as group
from aegen.evaluation.report import Report, Score
from aegen.evaluation.tables import as_json
from aegen.recipes.history import METRICS, Epoch
from command_output import DEFINITIONS, SCHEMAS, check_output

TINY = Path(__file__).parent / "tiny"
GREY = str(TINY / "grey")
EPOCH = Epoch(
    epoch=1, train_loss=9.5, train_reconstruction=8.0, train_penalty=1.5, validation_loss=10.0, reconstruction=8.5,
    penalty=1.5, kl_per_dimension=(1.5, 0.0), variance_per_dimension=(0.9, 0.0), active_units=1, learning_rate=0.001,
)  # fmt: skip
# A report that `aegen evaluate` could print. One score has a reference value; the other has none, and is infinite.
SCORES = {"frechet_distance": Score(3.5, 1.0, "lower", 0.1), "likelihood": Score(float("inf"), None, "higher")}
REPORT = Report(
    model=GREY, prior="gmm", temperature=1.0, samples=100, reference_sets=2, likelihood_images=0, seed=0, data="bars",
    split="test", feature_extractor={"name": "features-bars", "sha256": "0" * 64}, importance_samples=10,
    megabytes=1.5, macs={"decoder.onnx": 100}, metrics=SCORES,
)  # fmt: skip
# Arguments with which commands print JSON. test_evaluation.py checks `evaluate` and `compare` in the same way.
RUNS = [
    ("reconstruct", ["images.npy", "--model", GREY, "-o", "a.png"]),
    ("denoise", ["images.npy", "--model", GREY, "-o", "a.png"]),
    ("denoise", ["images.npy", "--model", GREY, "--noise", "0.3", "-o", "a.png"]),
    ("encode", ["images.npy", "--model", GREY, "--bits", "8", "-o", "a.npz"]),
    ("traverse", ["--model", GREY, "-o", "a.png"]),
    ("similar", ["images.npy[0:2]", "--index", "images.npy", "--model", GREY, "-k", "3"]),
    ("plot latent", ["--latents", "latents.npy", "--labels", "labels.npy"]),
    ("plot latent", ["--latents", "latents.npy"]),
    ("plot training", ["run"]),
    ("plot priors", [GREY]),
    ("plot quality", ["--scores", "scores.json", "--batch", "1", "--threads", "1"]),
    ("info", [GREY]),
    ("info", ["grid.png"]),
    ("info", ["--data", "images.npy"]),
    ("info", ["--data", "labelled.npz", "-o", "classes.png"]),
    ("models", []),
    ("verify", [GREY]),
    ("bench", [GREY, "--seconds", "0", "--threads", "1"]),
    ("doctor", []),
]
CHECKED_ELSEWHERE = {"evaluate", "compare"}


@pytest.fixture
def folder(cli, tmp_path):
    """The working folder of the commands: images and latents of a tiny model, a grid, a run, and scores."""
    random = np.random.default_rng(0)
    np.save(tmp_path / "images.npy", random.integers(0, 256, (20, 6, 5), np.uint8))
    np.save(tmp_path / "latents.npy", random.normal(size=(20, 4)).astype(np.float32))
    np.save(tmp_path / "labels.npy", np.arange(20) % 3)
    np.savez(tmp_path / "labelled.npz", images=np.load(tmp_path / "images.npy"), labels=np.array(["cat", "dog"] * 10))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / METRICS).write_text(json.dumps(dataclasses.asdict(EPOCH)) + "\n")
    (tmp_path / "scores.json").write_text(as_json(REPORT))
    cli("sample", "-n", 2, "--seed", 0, "--model", GREY, "-o", "grid.png")
    return tmp_path


@pytest.mark.parametrize(("command", "arguments"), RUNS, ids=lambda value: value if isinstance(value, str) else None)
def test_a_command_prints_what_the_schema_describes(cli, folder, command, arguments):
    done = cli(*command.split(), *arguments, "--json")
    assert done.returncode == 0, done.stderr
    check_output(done.stdout, command)


def test_a_report_is_what_the_schema_describes():
    check_output(as_json(REPORT), "evaluate")
    check_output(f"[{as_json(REPORT)}]", "compare")


def test_every_command_that_prints_json_is_described_and_checked():
    described = {name for name in DEFINITIONS if name[0].islower()}
    assert described == {*commands_with_json()} == {command for command, _ in RUNS} | CHECKED_ELSEWHERE


def commands_with_json(command: click.Command = group, *path: str) -> list[str]:
    """Names of the commands that print JSON, such as `info` and `plot latent`."""
    context = click.Context(command)
    if isinstance(command, click.Group):
        inner = {name: command.get_command(context, name) for name in command.list_commands(context)}
        return [found for name, one in inner.items() for found in commands_with_json(one, *path, name)]
    flags = [flag for parameter in command.params for flag in parameter.opts]
    choices = [choice for one in command.params if isinstance(one.type, click.Choice) for choice in one.type.choices]
    return [" ".join(path)] if "--json" in flags or "json" in choices else []


def test_the_schema_is_valid_and_describes_every_key():
    jsonschema.Draft202012Validator.check_schema(SCHEMAS["command-output.schema.json"])
    for name, definition in DEFINITIONS.items():
        keys = definition.get("properties", {})
        assert {*definition.get("required", ())} <= {*keys}, name
        assert all("description" in entry or "$ref" in entry for entry in keys.values()), name


@pytest.mark.parametrize(
    "output",
    [
        "[]",
        '{"output": "a.png", "images": 1, "mse": 0.5}',
        '{"output": "a.png", "images": 1, "mse": "0.5", "psnr": 3.0}',
        '{"output": "a.png", "images": 1, "mse": 0.5, "psnr": 3.0, "more": 1}',
    ],
)
def test_other_output_is_refused(output):
    check_output('{"output": "a.png", "images": 1, "mse": 0.5, "psnr": 3.0}', "reconstruct")
    with pytest.raises(jsonschema.ValidationError):
        check_output(output, "reconstruct")
