"""aegen runs with any one build of onnxruntime, and says what is wrong with the installed builds."""

import csv
import importlib.util
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import onnxruntime
import pytest
from aegen.runtime.builds import build_problems, installed_builds, module_folder

FILES = {"onnxruntime/__init__.py": "", "onnxruntime/capi/binding.so": "binary"}


def write_build(site, name, version="1.30.0", files=FILES, requires=()):
    """Install a distribution in the folder `site`. files: content of its files by path. requires: its requirements."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    for path, content in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(content)
    required = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}")
    with (info / "RECORD").open("w") as record:
        csv.writer(record).writerows([path, "", len(content)] for path, content in files.items())


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A temporary folder, which is the only one in which Python looks for packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder)])
    monkeypatch.delitem(sys.modules, "onnxruntime")
    return folder


def problems():
    return [problem.problem for problem in build_problems(installed_builds(), module_folder())]


def remedies():
    return [problem.remedy for problem in build_problems(installed_builds(), module_folder())]


@pytest.mark.parametrize("name", ["onnxruntime", "onnxruntime-gpu", "a-build-with-any-name"])
def test_any_one_build_is_no_problem(site, name):
    write_build(site, name)
    write_build(site, "onnxruntime-extensions", files={"onnxruntime_extensions/__init__.py": ""})
    assert [(build.name, build.version) for build in installed_builds()] == [(name, "1.30.0")]
    assert problems() == []


def test_no_build_is_a_problem(site):
    assert problems() == ["No build of onnxruntime is installed."]
    assert remedies() == ["Run `pip install onnxruntime`."]


def test_two_builds_are_a_problem_and_both_are_named(site):
    write_build(site, "onnxruntime")
    write_build(site, "onnxruntime-gpu", files={**FILES, "onnxruntime/capi/binding.so": "another binary"})
    assert problems() == ["onnxruntime and onnxruntime-gpu are installed together and overwrite each other's files."]
    assert remedies()[0].startswith("Run `pip uninstall -y onnxruntime onnxruntime-gpu`")


def test_a_build_whose_module_was_removed_is_a_problem(site):
    write_build(site, "onnxruntime-gpu")
    (site / "onnxruntime/__init__.py").unlink()  # keep the empty folder, as uninstalling another build does
    importlib.invalidate_caches()
    assert module_folder() is None
    assert problems() == ["onnxruntime-gpu is installed, but its module onnxruntime is missing."]
    assert remedies() == ["Run `pip install --force-reinstall --no-deps onnxruntime-gpu`."]


def test_files_that_are_missing_or_changed_are_counted(site):
    write_build(site, "onnxruntime", files={**FILES, "onnxruntime/one.py": "1", "onnxruntime/two.py": "2"})
    (site / "onnxruntime/one.py").unlink()
    assert problems() == ["Of onnxruntime, 1 file is missing or changed."]
    (site / "onnxruntime/two.py").write_text("changed")
    assert problems() == ["Of onnxruntime, 2 files are missing or changed."]


def test_a_module_that_belongs_to_no_package_is_a_problem(site):
    (site / "onnxruntime").mkdir()
    (site / "onnxruntime/__init__.py").write_text("")
    assert problems() == [f"The module in {site / 'onnxruntime'} belongs to no installed package."]


def test_a_folder_that_hides_the_installed_module_is_a_problem(site, tmp_path, monkeypatch):
    write_build(site, "onnxruntime")
    local = tmp_path / "project/onnxruntime"
    local.mkdir(parents=True)
    (local / "__init__.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(local.parent), str(site)])
    assert problems() == [f"{local} is imported instead of onnxruntime in {site / 'onnxruntime'}."]


@pytest.mark.parametrize("name", ["onnxruntime", "onnxruntime-gpu"])
def test_a_build_that_is_too_old_is_a_problem_whatever_its_name(site, name):
    write_build(site, "aegen", files={}, requires=["onnxruntime>=1.20"])
    write_build(site, name, "1.19.2")
    assert problems() == [f"{name} 1.19.2 is older than 1.20, which aegen needs."]


@pytest.fixture
def gpu_site(base_env, tmp_path):
    """A folder like that of `base_env`, in which onnxruntime was installed under the name onnxruntime-gpu."""
    source, site = Path(base_env["PYTHONPATH"]), tmp_path / "site"
    site.mkdir()
    for entry in source.iterdir():
        if not entry.name.startswith("onnxruntime-"):
            (site / entry.name).symlink_to(entry.resolve())
    distribution = metadata.distribution("onnxruntime")
    info = site / f"onnxruntime_gpu-{distribution.version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: {distribution.version}\n")
    (info / "RECORD").write_text(distribution.read_text("RECORD"))
    return site


def test_another_build_stands_in_for_the_plain_one(cli_process, base_env, gpu_site, tmp_path):
    environment = {**base_env, "PYTHONPATH": str(gpu_site)}
    for arguments in (("sample", "-n", "4", "-o", "grid.png"), ("verify",), ("doctor",)):
        done = cli_process(*arguments, env=environment, python=(sys.executable, "-S"))
        assert done.returncode == 0, done.stdout + done.stderr
    assert f"onnxruntime-gpu {onnxruntime.__version__}" in done.stdout
    assert "onnxruntime builds  onnxruntime " not in done.stdout
    assert (tmp_path / "grid.png").exists()


def import_error(site, code=""):
    """Load a model in a new program with `site` first in Python's path, and return the ImportError that it prints."""
    program = f"""
import sys
sys.path.insert(0, {str(site)!r})
{code}
import aegen
try:
    aegen.load()
except ImportError as error:
    print(type(error).__name__, isinstance(error, aegen.AegenError), error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("state", ["missing", "empty", "broken"])
def test_without_a_working_build_the_error_says_what_to_do(tmp_path, state):
    code, words = "sys.modules['onnxruntime'] = None", "found import of onnxruntime halted"
    if state != "missing":
        (tmp_path / "onnxruntime").mkdir()
    if state == "empty":  # uninstalling a build leaves a folder, which Python imports as an empty package
        code = "import numpy, aegen; sys.path[1:] = [path for path in sys.path[1:] if 'site-packages' not in path]"
        words = "found cannot import name"
    if state == "broken":
        (tmp_path / "onnxruntime/__init__.py").write_text("raise ImportError('libcudart.so.12: no such file')")
        code, words = "", "found libcudart.so.12: no such file"
    printed = import_error(tmp_path, code)
    assert printed.startswith("MissingDependencyError True onnxruntime cannot be imported: ")
    assert words in printed
    assert "`aegen doctor` shows what is installed and how to repair it." in printed


def test_telemetry_is_disabled_before_any_build_is_imported(tmp_path, monkeypatch):
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    (tmp_path / "onnxruntime").mkdir()
    text = "import os\nraise ImportError('variable ' + os.environ['ORT_DISABLE_TELEMETRY'])"
    (tmp_path / "onnxruntime/__init__.py").write_text(text)
    assert "found variable 1" in import_error(tmp_path)
