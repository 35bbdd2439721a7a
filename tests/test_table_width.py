"""Tables and lists that commands print fit a terminal of 80 columns."""

import json
import shlex
from pathlib import Path

import click
import numpy as np
import pytest
from aegen.cli import SECTIONS
from aegen.cli import cli as group
from aegen.evaluation.metrics import METRICS
from aegen.evaluation.report import Report, Score
from aegen.evaluation.tables import as_text, comparison, report_text

COLUMNS = 80
TINY = Path(__file__).parent / "tiny"


@pytest.mark.parametrize(
    "arguments",
    [
        ("models",),
        ("info", "mnist"),
        ("verify", "mnist"),
        ("verify", TINY / "grey"),
        ("similar", "images.npy[0:3]", "--index", "images.npy", "--model", TINY / "grey"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_the_text_of_a_command_fits_80_columns(cli, tmp_path, arguments):
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, (20, 6, 5), np.uint8))
    done = cli(*arguments)
    assert done.returncode == 0, done.stderr
    assert too_wide(done.stdout) == []


def test_scores_fit_80_columns():
    scores = {metric.name: Score(-1234.5, -1234.5, metric.better, 123.45) for metric in METRICS}
    report = Report(
        model="my-artifact", prior="gaussian", temperature=0.75, samples=10_000, reference_sets=5,
        likelihood_images=1000, seed=123456789, data="emnist-digits", split="validation", importance_samples=1000,
        feature_extractor={"name": "features-emnist-digits", "sha256": "0" * 64}, megabytes=123.4,
        macs={"encoder.onnx": 123_456_789, "decoder.onnx": 123_456_789, "prior.onnx": 123_456_789}, metrics=scores,
    )  # fmt: skip
    assert too_wide(report_text(report)) == []
    assert too_wide(as_text(comparison([report, report]))) == []


def too_wide(text: str) -> list[str]:
    """The lines of a text that have more than 80 columns, except lines with a path, which cannot be broken."""
    lines = [line for line in text.splitlines() if "/" not in line or len(line.split()) > 2]
    return [line for line in lines if len(line) > COLUMNS]


def test_the_commands_that_info_prints_can_be_copied(cli):
    commands = json.loads(cli("info", "mnist", "--json").stdout)["manifest"]["commands"]
    printed = cli("info", "mnist").stdout.replace("\\\n", " ")
    words = [shlex.split(line) for line in printed.splitlines() if "aegen " in line]
    for command in commands:
        assert any(shlex.split(command) == line[-len(shlex.split(command)) :] for line in words)


@pytest.mark.parametrize("name", [None, *(name for names in SECTIONS.values() for name in names)])
def test_help_fits_80_columns(name):
    context = click.Context(group, info_name="aegen", terminal_width=COLUMNS, **group.context_settings)
    command = group
    if name is not None:
        command = group.get_command(context, name)
        context = click.Context(command, context, name)
    assert [line for line in command.get_help(context).splitlines() if len(line) > COLUMNS] == []
