"""promises.py finds every test that is gone or new, whatever file it is in; a test that is skipped in CI fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from promises import main

TESTS = Path(__file__).resolve().parent
BEFORE = """tests/test_a.py::test_one
tests/test_a.py::test_two[x]
tests/test_a.py::test_two[y]
tests/test_b.py::test_three[1]
tests/test_b.py::test_three[2]
tests/test_b.py::test_twice
tests/test_c.py::test_twice

7 tests collected in 0.10s
"""


@pytest.mark.parametrize(
    ("changed", "exit_code", "lines"),
    [
        (BEFORE.replace("test_b.py", "test_new.py"), 0, []),
        (BEFORE + "tests/test_a.py::test_four\n", 0, ["+ test_four"]),
        (BEFORE.replace("tests/test_a.py::test_one\n", ""), 1, ["- test_one"]),
        (BEFORE.replace("test_two[x]", "test_two[z]"), 1, ["- test_two[x]", "+ test_two[z]"]),
        (BEFORE.replace("test_c.py::test_twice", "test_c.py::test_once"), 1, ["- test_twice", "+ test_once"]),
        (BEFORE.replace("test_three", "test_four"), 1, ["- test_three (2 tests)", "+ test_four (2 tests)"]),
    ],
    ids=["moved", "new", "gone", "another parameter", "one of two", "all parameters"],
)
def test_every_test_that_is_gone_or_new_is_listed(tmp_path, changed, exit_code, lines):
    (tmp_path / "before").write_text(BEFORE)
    (tmp_path / "after").write_text(changed)
    result = CliRunner().invoke(main, [str(tmp_path / "before"), str(tmp_path / "after")])
    assert (result.exit_code, result.output.splitlines()) == (exit_code, lines)


def test_an_unknown_revision_is_a_usage_error(tmp_path):
    result = CliRunner().invoke(main, ["no-such-revision", str(tmp_path)])
    assert result.exit_code == 2
    assert "no-such-revision: found no such file or git revision" in result.output


@pytest.mark.parametrize(("ci", "outcome"), [({}, "1 skipped, 1 xfailed"), ({"CI": "true"}, "1 failed, 1 xfailed")])
def test_a_skipped_test_fails_in_ci(tmp_path, ci, outcome):
    (tmp_path / "conftest.py").write_text("from conftest_of_aegen import pytest_runtest_makereport")
    (tmp_path / "conftest_of_aegen.py").symlink_to(TESTS / "conftest.py")
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "def test_skipped(): pytest.skip('no data')\n"
        "@pytest.mark.xfail\n"
        "def test_expected(): raise ValueError\n"
    )
    env = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_XDIST_WORKER")}
    folders = [str(tmp_path), str(TESTS), env.get("PYTHONPATH", "")]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-q", "."]
    env |= {"PYTHONPATH": os.pathsep.join(folders), **ci}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1].startswith(outcome), done.stdout
