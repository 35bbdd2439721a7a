"""Completion in bash and zsh gives commands, options, models and other names where they fit, and otherwise paths."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from aegen.cli import SECTIONS, cli
from click.shell_completion import ShellComplete

COMMANDS = [name for names in SECTIONS.values() for name in names]
TINY = Path(__file__).parent / "tiny"
SET_UP = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(_AEGEN_COMPLETE=bash_source aegen)"'),
    "zsh": (
        ["zsh", "-f", "-i"],
        'autoload -Uz compinit; compinit -u -D; eval "$(_AEGEN_COMPLETE=zsh_source aegen)"',
    ),
}


def completions(line: str) -> list[tuple[str, str]]:
    """The completions of the last word of a command line: pairs (type, value), as a shell's script receives them."""
    *words, incomplete = line.split(" ")
    found = ShellComplete(cli, {}, "aegen", "_AEGEN_COMPLETE").get_completions(words[1:], incomplete)
    return [(item.type, item.value) for item in found]


def values(line: str) -> list[str]:
    return [value for _, value in completions(line)]


def test_commands_complete_without_being_imported():
    code = "import sys; from test_completion import values; print(values('aegen tr'), 'aegen.cli.train' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True)
    assert done.stdout == f"{[name for name in COMMANDS if name.startswith('tr')]} False\n"
    assert values("aegen ") == COMMANDS


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("aegen sample --te", ["--temperature"]),
        ("aegen sample --qu", ["--quiet"]),
        ("aegen sample --dtype ", ["float32", "uint8"]),
        ("aegen sample --model mnist-d", ["mnist-dae"]),
        ("aegen info mnist-f", ["mnist-fast"]),
        ("aegen compare mnist mnist-v", ["mnist-vae"]),
        ("aegen train --data fash", ["fashion-mnist"]),
        ("aegen train --recipe c", ["conv"]),
        ("aegen evaluate --features f", ["features-mnist"]),
        ("aegen sample --prior g", ["gaussian", "gmm"]),
        (f"aegen sample --model {TINY / 'colour'} --prior f", []),
        ("aegen sample --model mnist --prior f", ["flow"]),
        ("aegen sample --model nope --prior ", []),
        ("aegen sample -n ", []),
    ],
)
def test_names_complete(line, expected):
    assert values(line) == expected


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_and_argument_that_takes_a_path_completes_paths(name):
    with click.Context(cli, info_name="aegen", resilient_parsing=True) as context:
        command = cli.get_command(context, name)
    for parameter in command.params:
        metavar = parameter.metavar or ""
        is_argument = isinstance(parameter, click.Argument) and not isinstance(parameter.type, click.Choice)
        if is_argument or re.search("PATH|FILE|OUTPUT|RUN", metavar):
            found = parameter.shell_complete(click.Context(command), "./x")
            assert [item.type for item in found] == ["file"], (name, parameter.opts)


def test_an_unknown_command_completes_without_an_error(cli_process):
    done = cli_process(env={"_AEGEN_COMPLETE": "bash_complete", "COMP_WORDS": "aegen smaple --mo", "COMP_CWORD": "2"})
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("shell", SET_UP)
def test_the_shell_completes_what_is_typed(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip("no such shell here")
    (tmp_path / "digits.npy").touch()
    typed = {
        "aegen denoi\t": "aegen denoise",
        "aegen info mnist-da\t": "aegen info mnist-dae",
        "aegen encode dig\t": "aegen encode digits.npy",
        "aegen sample --thre\t": "aegen sample --threads",
    }
    assert completed(shell, list(typed), tmp_path) == list(typed.values())


def completed(shell: str, lines: list[str], folder: Path) -> list[str]:
    """Type lines and Tab in an interactive shell in a folder. Returns each line as the shell has completed it."""
    command, set_up = SET_UP[shell]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PS1": "$ ", "TERM": "dumb", "HOME": str(folder), "HISTFILE": ""}
    terminal, child = pty.openpty()
    process = subprocess.Popen(command, cwd=folder, env=environment, stdin=child, stdout=child, stderr=child)
    os.close(child)
    found = []
    try:
        os.write(terminal, f"{set_up}; echo ready-$((1 + 1))\n".encode())
        printed_line(terminal, r"^ready-2")
        for number, line in enumerate(lines):
            # Ctrl-A goes to the start of the line, so that the completed line becomes the argument of echo.
            os.write(terminal, f"{line}\x01echo line-$((10 + {number})): \n".encode())
            found.append(printed_line(terminal, rf"^line-{10 + number}: (.*)"))
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    return found


def printed_line(terminal: int, pattern: str) -> str:
    """Read from a terminal until a line matches a pattern, and return the line's last group."""
    text, deadline = "", time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 1)[0]:
            text += os.read(terminal, 4096).decode(errors="replace")
            if match := re.search(pattern + r"\s*\r?\n", text.replace("\r", "\n"), re.MULTILINE):
                return match[match.re.groups].strip()
    raise AssertionError(f"the shell printed no line like {pattern}: {text!r}")
