"""What tests share: real MNIST, two tiny artifacts, the command line as a user has it, and a Python without torch."""

import hashlib
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import aegen
import numpy as np
import pytest
from aegen.runtime.threads import allowed_threads

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch's threads of one test must not spin beside another test

MOST_WORKERS = 8
LONGEST = ("test_refinement.py", "test_readme.py", "test_flow.py", "test_parity.py", "test_evaluation.py")
TINY = Path(__file__).parent / "tiny"
PACKAGE = Path(aegen.__file__).parent


def pytest_xdist_auto_num_workers() -> int | None:
    """Tests run beside each other on the cores that this process may use, a file on one of them."""
    return None if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else min(allowed_threads(), MOST_WORKERS)


def pytest_collection_modifyitems(items) -> None:
    """The files that take longest come first, so that at the end no core waits long for another."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))


@pytest.fixture(scope="session")
def mnist() -> Path:
    """A folder with the four IDX files of MNIST, named by AEGEN_MNIST."""
    folder = os.environ.get("AEGEN_MNIST")
    if not folder:
        pytest.skip("AEGEN_MNIST names no folder with MNIST")
    return Path(folder).resolve()


@pytest.fixture(params=["grey", "colour"])
def tiny(request) -> Path:
    """A tiny artifact: 6x5 grey images in [0, 1], or 4x6 RGB images in [-1, 1]."""
    return TINY / request.param


@pytest.fixture
def copy(tiny, tmp_path) -> Path:
    """A copy of `tiny` to be altered."""
    return shutil.copytree(tiny, tmp_path / "copy")


@pytest.fixture
def alter(copy):
    """Replace a file of `copy`, and change its manifest, so that every hash is right again: `alter(name, bytes)`."""

    def replace(name: str | None = None, content: bytes = b"", change=lambda manifest: None) -> Path:
        file = copy / "manifest.json"
        manifest = json.loads(file.read_text())
        if name is not None:
            (copy / name).write_bytes(content)
            manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        change(manifest)
        file.write_text(json.dumps(manifest))
        return copy

    return replace


@pytest.fixture
def model(tiny) -> aegen.Autoencoder:
    return aegen.load(tiny)


@pytest.fixture
def images(model) -> np.ndarray:
    """Twenty uint8 images that fit `model`."""
    return np.random.default_rng(5).integers(0, 256, (20, *model.image_shape), np.uint8)


@pytest.fixture(scope="session")
def bars():
    """The images that the tiny artifacts were made from: `bars(n, shape)`."""
    return runpy.run_path(str(TINY / "generate.py"))["bars"]


@pytest.fixture
def cli(tmp_path):
    """Run `aegen ...` as a process of its own, in an empty folder."""

    def run(*arguments, input=None, env=None, text=True, python=(sys.executable,)):
        return subprocess.run(
            [*python, "-m", "aegen", *map(str, arguments)],
            cwd=tmp_path,
            input=input,
            env={**os.environ, "AEGEN_MODEL": "", **(env or {})},
            capture_output=True,
            text=text,
            timeout=300,
        )

    return run


@pytest.fixture
def start(tmp_path):
    """Start `aegen ...` as a process to be sent signals, with the handlers that a user's shell gives it."""

    def usual_signals():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)

    def run(*arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "aegen", *map(str, arguments)],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=usual_signals,
        )

    return run


@pytest.fixture(scope="session")
def bare(tmp_path_factory) -> dict[str, str]:
    """Variables of a Python that has aegen and its base dependencies, and nothing else: no torch, no onnx."""
    site = tmp_path_factory.mktemp("bare")
    (site / "aegen").symlink_to(PACKAGE)
    wanted, seen = ["aegen"], set()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        distribution = metadata.distribution(name)
        entries = {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}
        for entry in entries:
            if not (site / entry).exists() and not entry.startswith("__editable__"):
                (site / entry).symlink_to(Path(distribution.locate_file(entry)))
        for requirement in distribution.requires or []:
            if ";" not in requirement:
                wanted.append(re.match(r"[\w.-]+", requirement).group())
    return {**os.environ, "PYTHONPATH": str(site), "AEGEN_MODEL": ""}


@pytest.fixture
def run_bare(bare, tmp_path):
    """Run code in the Python of `bare`; its standard output. -S keeps this environment's own packages out."""

    def run(code: str, *arguments: object, **env: str) -> str:
        command = [sys.executable, "-S", "-c", code, *map(str, arguments)]
        done = subprocess.run(command, cwd=tmp_path, env={**bare, **env}, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
