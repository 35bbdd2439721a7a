"""Compare the names and parameters of all tests, which are their promises, before and after a change.

    python tests/promises.py BEFORE [AFTER]

BEFORE and AFTER are git revisions, or files with what `pytest --collect-only -q -n0` prints; without AFTER, the tests
as they are in the folder are taken. A test that only moved to another file is the same promise. Prints each promise
that is gone or new, and exits with 1 if any is gone.
"""

import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
TEST = re.compile(r"^\S+\.py::(.+)$")


@click.command(help=__doc__)
@click.argument("before")
@click.argument("after", required=False)
def main(before: str, after: str | None) -> None:
    gone, new = differences(promises(before), promises(after))
    for sign, lines in (("-", gone), ("+", new)):
        for line in lines:
            click.echo(f"{sign} {line}")
    sys.exit(1 if gone else 0)


def promises(source: str | None) -> Counter[str]:
    """Count tests by name. source: a file that lists tests, a git revision, or None for the tests in this folder."""
    if source is not None and Path(source).is_file():
        return named(Path(source).read_text())
    if source is None:
        return named(collected(ROOT, dict(os.environ)))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "aegen")
        archive = subprocess.run(["git", "archive", "-o", f"{scratch}/tree.tar", source], cwd=ROOT)
        if archive.returncode != 0:
            raise click.UsageError(f"{source}: found no such file or git revision")
        with tarfile.open(f"{scratch}/tree.tar") as tree:
            tree.extractall(folder, filter="data")
        return named(collected(folder, {**os.environ, "PYTHONPATH": scratch}))


def collected(folder: Path, env: dict[str, str]) -> str:
    """Return what pytest prints when it collects the tests of a repository."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n0", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        raise click.ClickException(f"{folder}: pytest cannot collect the tests:\n{done.stdout}{done.stderr}")
    return done.stdout


def named(text: str) -> Counter[str]:
    """Count the tests that pytest lists, by name with parameters but without file."""
    return Counter(found[1] for line in text.splitlines() if (found := TEST.match(line)))


def differences(before: Counter[str], after: Counter[str]) -> tuple[list[str], list[str]]:
    """Return lines that describe the tests that are gone, and lines for those that are new."""
    return lines(before, after), lines(after, before)


def lines(these: Counter[str], others: Counter[str]) -> list[str]:
    """Describe the tests that are in `these` but not in `others`, in one line each.

    If `others` has no test of the same function, all tests of that function share one line, which gives their number.
    """
    kept = {function(test) for test in others}
    missing = Counter(test if function(test) in kept else function(test) for test in (these - others).elements())
    return [test if count == 1 else f"{test} ({count} tests)" for test, count in sorted(missing.items())]


def function(test: str) -> str:
    """Return the name of a test without its parameters."""
    return test.partition("[")[0]


if __name__ == "__main__":
    main()
