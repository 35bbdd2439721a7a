"""The base dependencies are enough to use a model, and no heavy module is imported before it is used."""

import json
import sys

import pytest

HEAVY = ("numpy", "onnxruntime", "PIL", "torch", "onnx", "sklearn", "pooch", "tqdm")
PRINT_HEAVY = f"import sys, json; print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"


def test_every_method_works_where_torch_cannot_be_imported(run_in_base_env):
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
    run_in_base_env(code)


def test_the_base_environment_has_no_training_packages(run_in_base_env):
    found = run_in_base_env(
        "from importlib.util import find_spec; print([n for n in ('torch', 'onnx', 'sklearn') if find_spec(n)])"
    )
    assert found.strip() == "[]"


@pytest.mark.parametrize("package", ["train", "export"])
def test_without_the_extra_an_import_says_what_to_install(run_in_base_env, package):
    code = f"""
try:
    import aegen.{package}
except ImportError as error:
    print(type(error).__name__, error)
"""
    message = run_in_base_env(code)
    assert message.startswith("MissingExtraError")
    assert "torch" in message
    assert "pip install 'aegen[train]'" in message


@pytest.mark.parametrize("command", [["train", "--data", "mnist", "-o", "run"], ["export", "run", "-o", "artifact"]])
def test_without_the_extra_a_command_says_what_to_install(cli_process, base_env, command):
    done = cli_process(*command, env={"PYTHONPATH": base_env["PYTHONPATH"]}, python=(sys.executable, "-S"))
    assert done.returncode == 1
    assert "pip install 'aegen[train]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_importing_aegen_imports_nothing_heavy(run_in_base_env):
    assert json.loads(run_in_base_env(f"import aegen; {PRINT_HEAVY}")) == []


def test_help_imports_nothing_heavy(run_in_base_env):
    code = f"import aegen.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: pass\n{PRINT_HEAVY}"
    assert json.loads(run_in_base_env(code).splitlines()[-1]) == []


def test_help_of_every_command_imports_nothing_heavy(run_in_base_env):
    code = f"""
import aegen.cli as c
for names in c.SECTIONS.values():
    for name in names:
        try: c.main([name, '--help'])
        except SystemExit as end: assert end.code == 0, name
{PRINT_HEAVY}"""
    assert json.loads(run_in_base_env(code).splitlines()[-1]) == []
