"""Every command and every Python example in the README works as written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import aegen
import pytest
from aegen.runtime.artifact import shipped
from PIL import Image

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BASH = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
SET_UP = [
    "pip install . && aegen sample -n 64 -o grid.png",
    'pip install ".[test]" && pytest',
    'pip install ".[train]"',
]


def commands():
    return [line.split("  #")[0].strip() for block in BASH for line in block.splitlines() if line.strip()]


def test_the_first_screen_has_two_commands_and_four_lines_of_python():
    first_screen = "".join(README.splitlines(keepends=True)[:25])
    assert commands()[:2] == SET_UP[:2]
    assert all(command in first_screen for command in SET_UP[:2])
    assert PYTHON[0] in first_screen
    assert len(PYTHON[0].splitlines()) == 4


def test_every_command_runs_as_written(tmp_path, mnist):
    cache = tmp_path / "cache"
    (cache / "aegen").mkdir(parents=True)
    (cache / "aegen" / "mnist").symlink_to(mnist)
    work = tmp_path / "work"
    work.mkdir()
    (work / "t10k-images-idx3-ubyte.gz").symlink_to(mnist / "t10k-images-idx3-ubyte.gz")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "XDG_CACHE_HOME": str(cache), "AEGEN_MODEL": ""}
    lines = [line for line in commands() if line not in SET_UP]
    assert sum(line.startswith("aegen ") for line in lines) == len(lines) >= 10
    for line in ["aegen sample -n 64 -o grid.png", *lines]:
        done = subprocess.run(line, shell=True, cwd=work, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, (line, done.stderr)
        output = re.search(r"-o (\S+)$", line)
        assert output is None or (work / output[1]).exists(), line
    assert Image.open(work / "mine.png").size == Image.open(work / "grid.png").size


@pytest.mark.parametrize("block", PYTHON)
def test_every_block_of_python_runs_and_its_comments_are_true(block, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(block, names)
    for name, dtype, shape in re.findall(r"^(\w+) = .*# .*?(float32|float64|uint8) \(([\d, ]+)\)", block, re.MULTILINE):
        assert names[name].dtype == dtype
        assert names[name].shape == tuple(int(size) for size in shape.split(",") if size.strip())
    printed = capsys.readouterr().out
    for expected in re.findall(r"print\(.*?\)\s+# (.*)", block):
        assert expected in printed


def test_the_first_command_writes_the_image_that_is_shown(cli, tmp_path):
    cli("sample", "-n", "64", "--seed", "0", "-o", "grid.png")
    shown = re.search(r"!\[.*\]\((.*)\)", README)[1]
    written, committed = Image.open(tmp_path / "grid.png"), Image.open(ROOT / shown)
    assert written.size == committed.size
    differences = [abs(a - b) for a, b in zip(written.tobytes(), committed.tobytes(), strict=True)]
    assert max(differences) <= 1


def test_the_table_lists_all_shipped_models_with_their_size_and_error():
    rows = re.findall(r"^\| (mnist[\w-]*) \| (\w+) \| ([\d.]+) \| ([\d.]+) \|", README, re.MULTILINE)
    assert {model for model, *_ in rows} == set(shipped())
    for model, prior, megabytes, error in rows:
        manifest = aegen.load(model).manifest
        assert prior in manifest.priors
        assert f"{model}:{prior}" in README
        assert float(megabytes) == pytest.approx(manifest.total_bytes / 1e6, abs=0.051)
        assert float(error) == pytest.approx(manifest.quality["reconstruction_mse"], abs=1e-4)


def test_every_link_has_a_target():
    for link in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / link).exists(), link
