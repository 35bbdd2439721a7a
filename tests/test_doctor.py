"""`aegen doctor` shows what a bug report needs, and each problem of an installation with its remedy."""

import dataclasses
import json
import re
import shutil
import sys
from importlib import metadata
from pathlib import Path

import aegen
import pytest
from aegen.cli.doctor import command
from aegen.runtime import artifact, diagnosis
from aegen.runtime.diagnosis import VARIABLES, Diagnosis, diagnose
from aegen.runtime.requirements import Requirement, requirements

TINY = Path(__file__).parent / "tiny"


@pytest.fixture
def no_models(monkeypatch, tmp_path):
    """Replaces the shipped models by an empty folder, so that `diagnose` is fast."""
    monkeypatch.setattr(artifact, "SHIPPED", tmp_path / "shipped")
    monkeypatch.delenv("AEGEN_MODEL", raising=False)
    return tmp_path / "shipped"


def problems():
    return {each["problem"]: each["remedy"] for each in diagnose().problems}


def test_a_good_installation_has_no_problem(cli_process):
    done = cli_process("doctor")
    assert (done.returncode, done.stderr) == (0, "no problem found\n")
    printed = re.sub(r"\n +", " ", done.stdout)  # join the lines of long values
    rows = dict(re.split(r"  +", line, maxsplit=1) for line in printed.splitlines())
    assert rows["aegen"] == metadata.version("aegen")
    assert rows["numpy"] == metadata.version("numpy")
    assert rows["onnxruntime module"].startswith(f"{metadata.version('onnxruntime')}, ")
    assert "CPUExecutionProvider" in rows["providers"]
    assert rows["models"].split(", ") == [f"{name} works" for name in artifact.shipped()]


def test_a_problem_is_shown_with_its_remedy_and_exits_with_1(cli_process):
    done = cli_process("doctor", env={"AEGEN_THREADS": "many"})
    assert (done.returncode, done.stderr) == (1, "Error: 1 problem found\n")
    assert "Problem: AEGEN_THREADS: found many, expected a whole number from 1 to 256." in done.stdout
    assert "Remedy:  Correct or unset AEGEN_THREADS." in done.stdout


def test_json_holds_the_keys_that_help_lists_and_the_home_folder_is_a_tilde(cli_process, tmp_path):
    done = cli_process("doctor", "--json", env={"HOME": str(tmp_path), "AEGEN_MODEL": f"{tmp_path}/models/mine"})
    assert done.returncode == 1
    facts = json.loads(done.stdout)
    documented = " ".join(command.help.split())
    assert list(facts) == re.findall(r'"(\w+)"', documented[documented.index("{") : documented.index("}")])
    assert facts["environment"]["AEGEN_MODEL"] == "~/models/mine"
    assert [each["remedy"] for each in facts["problems"]] == ["Correct or unset AEGEN_MODEL."]
    assert str(tmp_path) not in done.stdout


def test_it_runs_where_packages_are_missing(cli_process, base_env, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    for entry in Path(base_env["PYTHONPATH"]).iterdir():
        if entry.name.startswith(("aegen", "click")):
            (site / entry.name).symlink_to(entry.resolve())
    done = cli_process("doctor", "--json", env={**base_env, "PYTHONPATH": str(site)}, python=(sys.executable, "-S"))
    assert done.returncode == 1, done.stderr
    facts = json.loads(done.stdout)
    found = [each["problem"] for each in facts["problems"]]
    assert found == [
        "numpy is not installed.",
        "pillow is not installed.",
        "No build of onnxruntime is installed.",
    ]
    assert (facts["versions"]["numpy"], facts["onnxruntime"]["version"], facts["models"]) == (None, None, {})
    sample = cli_process(
        "sample", "-o", "x.npy", env={**base_env, "PYTHONPATH": str(site)}, python=(sys.executable, "-S")
    )
    assert sample.stderr.splitlines() == [
        "Error: No module named 'numpy'. `aegen doctor` shows which packages are missing."
    ]


def test_a_damaged_model_is_a_problem(no_models):
    for name in ("good", "bad"):
        shutil.copytree(TINY / "grey", no_models / name)
    (no_models / "bad" / "decoder.onnx").write_bytes(b"damaged")
    (no_models / "mnist").mkdir()
    facts = diagnose()
    assert facts.models == {"bad": False, "good": True}
    assert [each["problem"].split(":")[0] for each in facts.problems] == ["The model bad cannot be used"]


@pytest.mark.parametrize(
    ("function", "value", "words"),
    [
        ("memory_limit", 64 << 20, "Only 67,108,864 bytes of memory are allowed."),
        ("_resource_limit", 32, "Only 32 files may be open at once."),
    ],
)
def test_a_limit_that_is_too_low_is_a_problem(no_models, monkeypatch, function, value, words):
    (no_models / "mnist").mkdir(parents=True)
    monkeypatch.setattr(diagnosis, function, lambda *arguments: value)
    assert words in problems()


def test_no_folder_for_temporary_files_is_a_problem(no_models, monkeypatch):
    def refuse():
        raise FileNotFoundError("No usable temporary directory found")

    (no_models / "mnist").mkdir(parents=True)
    monkeypatch.setattr(diagnosis.tempfile, "gettempdir", refuse)
    assert problems() == {
        "Temporary files: no folder can be written to.": "Free some space, or set TMPDIR to a folder on another disk."
    }


def test_packages_that_are_missing_or_too_old_are_problems(no_models, monkeypatch):
    (no_models / "mnist").mkdir(parents=True)
    listed = [Requirement("numpy", "99.1", ""), Requirement("no-such-package", "", ""), Requirement("absent", "1", "x")]
    monkeypatch.setattr(diagnosis, "requirements", lambda: listed)
    found = f"numpy {metadata.version('numpy')} is older than 99.1, which aegen needs."
    assert problems() == {
        found: "Run `pip install 'numpy>=99.1'`.",
        "no-such-package is not installed.": "Run `pip install 'no-such-package>=0'`.",
    }


def test_an_import_that_ends_the_process_is_a_problem(no_models, monkeypatch):
    (no_models / "mnist").mkdir(parents=True)
    monkeypatch.setattr(diagnosis, "PROBE", "import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    assert [*problems()] == ["onnxruntime cannot be imported: the process was ended by signal 4."]


@pytest.mark.parametrize(
    ("minimum", "version", "met"),
    [
        ("2.0", "2.0", True), ("2.0", "2", True), ("2.0", "2.0.0", True), ("2.10", "2.9.1", False),
        ("2.10", "2.13.0+cpu", True), ("1.20", "1.3", False), ("", "0.1", True), ("1.0", "", False),
    ],
)  # fmt: skip
def test_versions_are_compared_by_their_numbers(minimum, version, met):
    assert Requirement("package", minimum, "").is_met_by(version) is met


def test_requirements_are_those_of_the_metadata():
    base = {each.project: each.minimum for each in requirements() if not each.extra}
    assert set(base) == {"numpy", "onnxruntime", "pillow", "click"}
    assert all(base.values())
    assert {"torch", "onnx"} <= {each.project for each in requirements() if each.extra == "train"}


def test_every_environment_variable_that_aegen_reads_is_shown():
    package = Path(aegen.__file__).parent
    folders = ("runtime", "files", "images", "evaluation", "recipes", "data", "train", "export", "cli")
    code = "".join(file.read_text() for folder in folders for file in (package / folder).rglob("*.py"))
    read = {
        *re.findall(r"""(?:environ(?:\.\w+)?[\[(]|getenv\(|envvar=|^VARIABLE = )"([A-Z_]+)\"""", code, re.MULTILINE)
    }
    assert {"AEGEN_MODEL", "AEGEN_THREADS", "RANK"} <= read
    assert read <= {*VARIABLES}


def test_every_fact_can_be_written_as_json(no_models):
    (no_models / "mnist").mkdir(parents=True)
    facts = diagnose()
    assert Diagnosis(**json.loads(json.dumps(dataclasses.asdict(facts)))) == facts
