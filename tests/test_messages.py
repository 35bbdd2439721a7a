"""Messages on standard error: --quiet turns them off, progress bars and colour appear only on a terminal."""

import ast
import io
import re
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import click
import numpy as np
import pytest
from aegen.cli import SECTIONS, main, messages
from aegen.cli import cli as group

TINY = Path(__file__).parent / "tiny"
COMMANDS = [name for names in SECTIONS.values() for name in names]
MODULES = sorted((Path(messages.__file__).parent).glob("*.py"))


class Terminal(io.StringIO):
    """A text stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def at_once(monkeypatch):
    """Show progress bars at once. By default they appear only when a step takes long."""
    monkeypatch.setattr(messages, "PROGRESS_DELAY", -1.0)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_the_option_quiet(cli, name):
    command = group.get_command(click.Context(group), name)
    assert [parameter.opts for parameter in command.params].count(["-q", "--quiet"]) == 1
    assert "-q, --quiet" in cli(name, "--help").stdout


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_no_command_writes_to_standard_error_itself(module):
    """Commands print messages by the functions in messages.py, which obey --quiet. Errors are printed in any case."""
    if module.stem in ("messages", "__init__"):
        return
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Call):
            assert "err" not in [keyword.arg for keyword in node.keywords], f"{module.name}:{node.lineno}"
            assert ast.unparse(node.func) not in ("print", "click.progressbar"), f"{module.name}:{node.lineno}"
        elif isinstance(node, ast.Attribute):
            assert ast.unparse(node) != "sys.stderr", f"{module.name}:{node.lineno}"


def test_quiet_leaves_the_output_and_no_message(cli, tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((3, 6, 5), np.uint8))
    for arguments in (
        ("sample", "-n", 3, "--seed", 1, "--model", TINY / "grey", "-o", "a.npy"),
        ("encode", "images.npy", "--model", TINY / "grey", "-o", "a.npy"),
    ):
        usual = cli(*arguments)
        quiet = cli(*arguments, "--quiet")
        assert (usual.returncode, quiet.returncode) == (0, 0), usual.stderr
        assert usual.stderr
        assert quiet.stderr == ""
        assert quiet.stdout == usual.stdout


def test_quiet_still_prints_errors(cli):
    failed = cli("info", "nope", "--quiet")
    assert (failed.returncode, failed.stderr.count("\n")) == (1, 1)
    assert failed.stderr.startswith("Error: ")
    assert cli("sample", "-q").stderr.endswith("Error: Missing option '-o' / '--output'.\n")


def test_a_command_after_a_quiet_one_prints_its_messages(cli):
    arguments = ("sample", "-n", 1, "--seed", 1, "--model", TINY / "grey", "-o", "a.npy")
    assert cli(*arguments, "-q").stderr == ""
    assert cli(*arguments).stderr == "a.npy: 1 image, seed 1\n"


def test_a_bar_shows_the_step_the_rows_and_the_total_on_a_terminal(at_once):
    chunks = [np.zeros((4, 2)), np.zeros((4, 2)), np.zeros((2, 2))]
    with redirect_stderr(Terminal()) as terminal:
        assert [*messages.with_progress(iter(chunks), 10, "encode")] == chunks
    shown = terminal.getvalue()
    assert "encode" in shown
    assert [f"{rows}/10" in shown for rows in (4, 8, 10)] == [True, True, True]


def test_each_step_of_a_job_has_a_bar_of_its_own(at_once):
    with redirect_stderr(Terminal()) as terminal, messages.progress_bars() as report:
        for step in ("samples", "features"):
            for rows in (1, 2, 3):
                report(step, rows, 3)
    complete = re.findall(r"(samples|features)  \[#+\]  3/3", terminal.getvalue())
    assert complete == ["samples", "features"]


@pytest.mark.parametrize("silenced", ["no terminal", "quiet", "fast"])
def test_no_bar_without_a_terminal_with_quiet_or_for_a_fast_job(monkeypatch, silenced):
    if silenced != "fast":
        monkeypatch.setattr(messages, "PROGRESS_DELAY", -1.0)
    stream = io.StringIO() if silenced == "no terminal" else Terminal()
    with redirect_stderr(stream), click.Context(group):
        if silenced == "quiet":
            messages.be_quiet()
        assert len([*messages.with_progress([np.zeros(2)] * 3, 6)]) == 3
    assert stream.getvalue() == ""


def test_a_long_command_shows_its_progress(at_once, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with redirect_stderr(Terminal()) as terminal:
        group.main(["sample", "-n", "9000", "--model", str(TINY / "grey"), "-o", "a.npy"], standalone_mode=False)
    assert re.search(r"\[#+-+\]  \d{3,4}/9000", terminal.getvalue())


def test_errors_are_red_on_a_terminal(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert error(Terminal(), "info", "nope").startswith("\x1b[31m\x1b[1mError:\x1b[0m model 'nope': ")
    assert error(Terminal(), "sample").endswith("\n\x1b[31m\x1b[1mError:\x1b[0m Missing option '-o' / '--output'.\n")


def test_nothing_is_coloured_without_a_terminal_or_with_no_color(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert error(io.StringIO(), "info", "nope").startswith("Error: model 'nope': ")
    monkeypatch.setenv("NO_COLOR", "1")
    assert error(Terminal(), "info", "nope").startswith("Error: model 'nope': ")


def error(stream: io.StringIO, *arguments: str) -> str:
    """Run a command that fails in this process. Returns what it prints on standard error, which is `stream`."""
    # Without standard output, `main` does not replace its file descriptor, which belongs to pytest.
    with redirect_stdout(None), redirect_stderr(stream), pytest.raises(SystemExit):
        main(arguments)
    return stream.getvalue()
