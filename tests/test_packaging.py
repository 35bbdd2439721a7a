"""The files that describe the package agree with each other and with the tree."""

import ast
import re
import tomllib
from pathlib import Path

import aegen
import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
VERSION = PROJECT["project"]["version"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
# Modules that cannot be imported in a base install: the packages of the extras, and aegen's modules that import them.
NOT_IN_BASE = {
    "torch",
    "onnx",
    "pyarrow",
    "sklearn",
    "scipy",
    "matplotlib",
    "pooch",
    "tqdm",
    "markdown_it",
    "jsonschema",
}
NOT_IN_BASE |= {"aegen.train", "aegen.export", "aegen.report", "pages", "playwright"}


def test_every_folder_with_modules_is_part_of_the_package():
    not_installed = {"tests", "benchmarks", "docs", "examples", "findings", "build", "dist"}  # builds make the last two
    folders = {file.parent.relative_to(ROOT) for file in ROOT.rglob("__init__.py")}
    visible = {folder for folder in folders if not any(part.startswith(".") for part in folder.parts)}
    packages = {".".join(["aegen", *folder.parts]) for folder in visible if not not_installed & {*folder.parts}}
    assert packages == {*PROJECT["tool"]["setuptools"]["packages"]}


def test_every_version_that_is_required_has_a_reason():
    requirements = [*PROJECT["project"]["dependencies"], *(one for extra in EXTRAS.values() for one in extra)]
    names = {re.match(r"[\w.-]+", requirement)[0] for requirement in requirements} - {"aegen"}
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    explained = {match[1] for line in lines if (match := re.match(r'\s+"([\w.-]+)(>=|==)[\d.]+",? +# \w', line))}
    assert explained == names


def test_the_tools_that_format_and_check_have_exact_versions():
    for name in ("ruff", "mypy"):
        assert any(requirement.startswith(f"{name}==") for requirement in EXTRAS["dev"]), name


def test_hooks_run_the_versions_that_ci_runs():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    versions = {requirement for requirement in EXTRAS["dev"] if requirement.startswith("ruff==")}
    assert {*re.findall(r"ruff==[\d.]+", hooks)} == versions


def test_the_package_the_citation_and_the_changelog_have_the_same_version():
    assert aegen.__version__ == VERSION
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^version: (.+)$", citation, re.MULTILINE)[1] == VERSION
    assert re.search(r"^license: (.+)$", citation, re.MULTILINE)[1] == PROJECT["project"]["license"]
    headings = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] in [("Unreleased", ""), (VERSION, headings[0][1])]
    assert all(date for _, date in headings[1:])


def test_the_supported_pythons_are_consecutive_and_the_first_is_the_required_one():
    classifiers = PROJECT["project"]["classifiers"]
    minors = [int(match[1]) for line in classifiers if (match := re.search(r":: Python :: 3\.(\d+)$", line))]
    assert minors == [*range(minors[0], minors[-1] + 1)]
    assert PROJECT["project"]["requires-python"] == f">=3.{minors[0]}"
    assert PROJECT["tool"]["mypy"]["python_version"] == f"3.{minors[0]}"
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py3{minors[0]}"


def test_the_quick_tests_exist():
    for name in (ROOT / "tests" / "quick.txt").read_text().split():
        assert (ROOT / name).is_file(), name


@pytest.mark.parametrize("line", (ROOT / "tests" / "base.txt").read_text().split())
def test_a_test_that_is_not_run_on_the_base_install_needs_more_than_it(line):
    path, _, name = line.partition("=")[2].partition("::")
    source = (ROOT / path).read_text()
    tree = ast.parse(source)
    if name:
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, line
    else:
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        parents = {".".join(module.split(".")[: i + 1]) for module in imported for i in range(module.count(".") + 1)}
        assert parents & NOT_IN_BASE, f"{path} imports nothing that the base install lacks"
