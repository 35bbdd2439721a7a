"""Splits the pages of the documentation into blocks, and runs the blocks as a reader would run them.

Blocks of `bash` are run line by line, and every line must succeed. Blocks of `console` hold lines that begin with `$ `,
each followed by what it must print. Blocks of `python` and `pycon` (a session) of a page share one namespace. All
blocks of a page run in the same folder, in order. Two spaces and `#` begin a comment in a line of `bash`.

A page may have a comment above a block of `bash` that shortens the block for the test. After `tested with`, each line
of this comment holds a text, the arrow `=>` and the text that replaces it in the block. Every text must be found.

Benchmarks take minutes and are not run. The test only checks that the script exists and has the options of the command.
"""

import contextlib
import doctest
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from command_line import run_here
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(
    r"(?:^<!-- tested with\n(?P<shorter>.*?)-->\n)?^```(?P<language>.*?)\n(?P<text>.*?)^```$", re.S | re.M
)
SHELL_SYNTAX = re.compile(r"[|&;<>$*?~`\\]")

# Lines of pages that are not run -> the reason.
NOT_RUN = {
    "pip install aegen": "the tests have no connection to a package index",
    'pip install "aegen[train]"': "the tests have no connection to a package index",
    "pip install . && aegen sample -n 64 -o grid.png": "it would replace the installation under test; .ci/run runs it",
    'pip install ".[test]" && pytest': "it would replace the installation under test; .ci/run runs it",
    "pip install pythae==0.1.2": "the tests have no connection to a package index",
    "pip install onnxruntime-gpu numpy pillow click": "it would replace the onnxruntime under test",
    "pip install --no-deps aegen": "the tests have no connection to a package index",
    "pip install faiss-cpu threadpoolctl": "the tests have no connection to a package index",
    "git worktree add ../older af3dc93": "a source distribution has no history",
    "pip wheel --no-deps --wheel-dir ../wheels ../older": "the tests have no connection to a package index",
    "pip install openvino": "the tests have no connection to a package index",
}


class Block(NamedTuple):
    """A block of a page: its language, its text, and the replacements that shorten it for the test."""

    language: str
    text: str
    shorter: list[tuple[str, str]]


def documentation() -> list[Path]:
    """The README and all pages in docs."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    found = []
    for match in BLOCK.finditer(page.read_text()):
        lines = (match["shorter"] or "").strip().splitlines()
        pairs = [tuple(text.strip() for text in line.split("=>")) for line in lines]
        found.append(Block(match["language"], match["text"], pairs))
    return found


def command_lines(block: Block) -> list[str]:
    """The commands of a block of `bash`, shortened as the page says."""
    text = block.text
    for long, short in block.shorter:
        assert long in text, f"{long!r} is not in the block"
        text = text.replace(long, short)
    return [line.split("  #")[0].strip() for line in text.splitlines() if line.strip()]


def links(page: Path) -> Iterator[str]:
    """The targets of all links and images of a page."""
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text()):
        for inline in token.children or ():
            target = inline.attrGet("href") or inline.attrGet("src")
            if target:
                yield str(target)


class Reader:
    """Runs the blocks of one page in a folder."""

    def __init__(self, folder: Path) -> None:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.folder, self.env = folder, {**os.environ, "PATH": path, "AEGEN_MODEL": ""}
        self.names: dict[str, object] = {"__name__": "__main__"}

    def run(self, block: Block) -> None:
        """Run a block. Raises AssertionError if it does not do what the page says."""
        runners = {"bash": self._bash, "console": self._console, "python": self._python, "pycon": self._session}
        if block.language in runners:
            runners[block.language](block)
        else:
            assert block.language == "text" or block.language.startswith("{"), f"{block.language!r} is not tested"

    def _shell(self, line: str) -> "subprocess.CompletedProcess[str]":
        """Run a line of a shell. A plain command of aegen runs in this process, which is faster."""
        assert not re.search(r"\bpip (un)?install\b", line), f"{line!r} would change the environment of the tests"
        if line.startswith("aegen ") and not SHELL_SYNTAX.search(line):
            return run_here(shlex.split(line)[1:], self.folder, {"AEGEN_MODEL": ""})
        command = ["bash", "-o", "pipefail", "-c", line]
        return subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=300)

    def _bash(self, block: Block) -> None:
        for line in command_lines(block):
            if line in NOT_RUN:
                continue
            if line.startswith("python benchmarks/"):
                script = (ROOT / line.split()[1]).read_text()
                assert all(f'"{option}"' in script for option in re.findall(r"--[\w-]+", line)), line
                continue
            done = self._shell(line)
            assert done.returncode == 0, (line, done.stderr)
            output = re.search(r"-o ([^-\s]\S*)$", line)
            assert output is None or (self.folder / output[1]).exists(), line

    def _console(self, block: Block) -> None:
        for command in block.text.split("$ ")[1:]:
            line, _, expected = command.partition("\n")
            done = self._shell(line)
            printed = " ".join((done.stdout + done.stderr).split())
            assert re.search(_pattern(expected), printed), (line, printed)

    def _python(self, block: Block) -> None:
        printed = io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(printed):
            exec(block.text, self.names)
        for name, dtype, shape in re.findall(
            r"^(\w+) = .*# .*?(float32|float64|uint8) \(([\d, ]+)\)", block.text, re.MULTILINE
        ):
            assert self.names[name].dtype == dtype, name
            assert self.names[name].shape == tuple(int(size) for size in shape.split(",") if size.strip()), name
        for expected in re.findall(r"print\(.*?\)\s+# (.*)", block.text):
            assert expected in printed.getvalue()

    def _session(self, block: Block) -> None:
        test = doctest.DocTestParser().get_doctest(block.text, self.names, "page", None, None)
        report = io.StringIO()
        with contextlib.chdir(self.folder):
            doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.write)
        assert not report.getvalue(), report.getvalue()


def _pattern(expected: str) -> str:
    """A regular expression for a printed message, in which `...` stands for any text."""
    return ".*?".join(re.escape(" ".join(part.split())) for part in expected.split("..."))
