"""The base install is enough, imports cost nothing before they are used, and folders depend on each other one way."""

import ast
import json
import re
from pathlib import Path

import aegen
import pytest

PACKAGE = Path(aegen.__file__).parent
ALLOWED = {
    "runtime": set(),
    "data": {"runtime"},
    "train": {"runtime", "data"},
    "export": {"runtime", "data", "train"},
    "cli": {"runtime", "data", "train", "export"},
}
HEAVY = ("numpy", "onnxruntime", "PIL", "torch", "onnx", "sklearn")
LOADED = f"import sys, json; print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"


def test_every_verb_works_where_torch_cannot_be_imported(run_bare):
    code = """
import sys
sys.modules["torch"] = None
import numpy as np, aegen
model = aegen.load()
images = model.sample(4, seed=0)
assert images.shape == (4, 28, 28)
assert np.allclose(model.decode(model.encode(images)), model.reconstruct(images))
assert model.interpolate(images[0], images[1], steps=3).shape == (3, 28, 28)
assert model.verify().passed
"""
    run_bare(code)


def test_the_bare_environment_has_no_training_packages(run_bare):
    found = run_bare(
        "from importlib.util import find_spec; print([n for n in ('torch', 'onnx', 'sklearn') if find_spec(n)])"
    )
    assert found.strip() == "[]"


@pytest.mark.parametrize("package", ["train", "export"])
def test_without_the_extra_an_import_says_what_to_install(run_bare, package):
    code = f"""
try:
    import aegen.{package}
except ImportError as error:
    print(type(error).__name__, error)
"""
    message = run_bare(code)
    assert message.startswith("MissingExtraError")
    assert "torch" in message
    assert "pip install 'aegen[train]'" in message


@pytest.mark.parametrize("command", [["train", "--data", "mnist", "-o", "run"], ["export", "run", "-o", "artifact"]])
def test_without_the_extra_a_command_says_what_to_install(cli, bare, command):
    done = cli(*command, env={"PYTHONPATH": bare["PYTHONPATH"]}, python=(*_python(), "-S"))
    assert done.returncode == 1
    assert "pip install 'aegen[train]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_importing_aegen_imports_nothing_heavy(run_bare):
    assert json.loads(run_bare(f"import aegen; {LOADED}")) == []


def test_help_imports_nothing_heavy(run_bare):
    code = f"import aegen.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: pass\n{LOADED}"
    assert json.loads(run_bare(code).splitlines()[-1]) == []


def test_help_of_every_command_imports_nothing_heavy(run_bare):
    code = f"""
import aegen.cli as c
for names in c.SECTIONS.values():
    for name in names:
        try: c.main([name, '--help'])
        except SystemExit as leave: assert leave.code == 0, name
{LOADED}"""
    assert json.loads(run_bare(code).splitlines()[-1]) == []


@pytest.mark.parametrize("folder", ALLOWED)
def test_folders_depend_one_way(folder):
    for file in (PACKAGE / folder).rglob("*.py"):
        if file.name == "__main__.py":  # started, never imported: `torchrun -m aegen.train` is the command line
            continue
        for imported in _own_imports(file):
            assert imported in ALLOWED[folder] | {folder}, f"{file} imports {imported}"


def test_the_command_line_reaches_training_only_inside_the_commands_that_train():
    for file in (PACKAGE / "cli").glob("*.py"):
        if file.stem not in ("train", "train_prior", "refine", "train_feature_extractor", "export", "evaluate"):
            assert not set(_own_imports(file)) & {"train", "export"}, file


def test_the_test_of_the_arrows_sees_every_way_to_import(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    (tmp_path / "runtime").mkdir()
    (tmp_path / "runtime" / "bad.py").write_text(
        "import aegen.train\nfrom .. import cli\nfrom ..export import graphs\nfrom .paths import x\n"
        "from aegen import runtime\nimport_module('aegen.cli.sample')\n"
    )
    found = sorted(_own_imports(tmp_path / "runtime" / "bad.py"))
    assert found == ["cli", "cli", "export", "runtime", "runtime", "train"]


def _own_imports(file: Path):
    """Top folders of aegen that a module imports."""
    package = file.relative_to(PACKAGE).parts[:-1]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = ["aegen", *package][: len(package) + 2 - node.level] if node.level else []
            module = [*base, *(node.module.split(".") if node.module else [])]
            names = [".".join([*module, alias.name]) for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):  # import_module("aegen.export")
            names = [node.value] if re.fullmatch(r"aegen(\.\w+)+", node.value) else []
        else:
            names = []
        yield from (name.split(".")[1] for name in names if name.startswith("aegen."))


def _python():
    import sys

    return (sys.executable,)
