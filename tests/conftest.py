"""Fixtures that tests share: MNIST, two tiny artifacts, the command line, and an environment without torch."""

import contextlib
import functools
import gc
import hashlib
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path

import aegen
import pytest
from command_line import run_here

# Each pytest worker has one core, so several threads of a library would only slow each other down. These variables are
# set before NumPy and torch are imported and read them. PASSIVE makes idle threads sleep instead of spin.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

MAX_WORKERS = 8
# Skip reasons that CI accepts on systems other than Linux. A test that is skipped in CI for any other reason fails.
SYSTEM_LACKS = (
    "no such device here",
    "no such shell here",
    "no such file system here",
    "no such permissions here",
    "other systems may need two steps",
    "this system does not fork",
    "the harness forks, and reads paths from /proc",
    "memory is counted otherwise there",
    "memory is read from /proc",
)
TINY = Path(__file__).parent / "tiny"
PACKAGE = Path(aegen.__file__).parent


def pytest_xdist_auto_num_workers() -> int | None:
    """Use one pytest worker for each core that this process may use, at most MAX_WORKERS."""
    from aegen.runtime.threads import allowed_threads

    return None if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else min(allowed_threads(), MAX_WORKERS)


def pytest_collection() -> None:
    """Turn garbage collection off while tests are imported: it would search millions of objects and find nothing."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Make tests that train or export networks faster.

    By default a training uses one thread, because each pytest worker has one core. torch's exporter reads two tables of
    operators for each network, which takes longer than exporting a small network. Here both are read once and kept, by
    replacing private functions of torch, because torch has no public way. If a version of torch lacks these functions,
    exports are slower. The garbage collector ignores all objects of the imported modules.
    """
    if "aegen.train.processes" in sys.modules:
        sys.modules["aegen.train.processes"].allowed_threads = lambda: 1
    if "aegen.export.graphs" in sys.modules:
        with contextlib.suppress(ImportError, AttributeError):
            registry = import_module("torch.onnx._internal.exporter._registration").ONNXRegistry
            registry.from_torchlib = staticmethod(functools.cache(registry.from_torchlib))
            operators = import_module("torch._export.utils")
            name = "_materialize_cpp_cia_ops"
            setattr(operators, name, functools.cache(getattr(operators, name)))
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """In CI, a skipped test fails, except on systems other than Linux that lack something the test needs."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and "CI" in os.environ:
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if sys.platform == "linux" or reason not in SYSTEM_LACKS:
            report.outcome, report.longrepr = "failed", f"{item.nodeid}: skipped in CI: {reason}"
    return report


@pytest.fixture(scope="session")
def mnist() -> Path:
    """The folder of the four MNIST files, named by the variable AEGEN_MNIST; if it is not set, the test is skipped."""
    folder = os.environ.get("AEGEN_MNIST")
    if not folder:
        pytest.skip("AEGEN_MNIST names no folder with MNIST")
    return Path(folder).resolve()


@pytest.fixture(params=["grey", "colour"])
def tiny(request) -> Path:
    """The folder of a tiny artifact (exported model).

    Each test runs twice: with a model of 6x5 grey images in [0, 1], and with one of 4x6 RGB images in [-1, 1].
    """
    return TINY / request.param


@pytest.fixture
def copy(tiny, tmp_path) -> Path:
    """A copy of the folder `tiny`, which a test may change."""
    return shutil.copytree(tiny, tmp_path / "copy")


@pytest.fixture
def alter(copy):
    """`alter(name, content, change)` replaces a file in the artifact `copy` and updates its hash in the manifest.

    `change(manifest)` may then edit the manifest. Returns the folder of the artifact.
    """

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
def model(tiny):
    """The model loaded from the folder `tiny`."""
    return aegen.load(tiny)


@pytest.fixture
def images(model):
    """Twenty random images of the size that `model` takes, uint8 (20, H, W) or (20, H, W, 3)."""
    import numpy as np

    return np.random.default_rng(5).integers(0, 256, (20, *model.image_shape), np.uint8)


@pytest.fixture(scope="session")
def bars():
    """The function `bars(n, shape)`, which makes the training images of the tiny artifacts."""
    return runpy.run_path(str(TINY / "generate.py"))["bars"]


@pytest.fixture
def cli(tmp_path):
    """`cli("sample", "-n", 4, ...)` runs `aegen` in this process and in `tmp_path`, and returns a CompletedProcess.

    `env` adds variables to the environment. Commands that need a process of their own use `cli_process` instead.
    """

    def run(*arguments, env=None):
        return run_here([*map(str, arguments)], tmp_path, {"AEGEN_MODEL": "", **(env or {})})

    return run


@pytest.fixture
def cli_process(tmp_path):
    """`cli_process("sample", "-n", 4, ...)` runs `aegen` in a new process in `tmp_path`, as a shell does.

    It returns a CompletedProcess. text: whether standard input and output are str (the default) or bytes. input: the
    content of standard input. python: the command that starts Python.
    """

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
    """`start("sample", ...)` starts `aegen` with default signal handlers, as a shell does, and returns a Popen."""

    def default_signals():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)

    def run(*arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "aegen", *map(str, arguments)],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=default_signals,
        )

    return run


@pytest.fixture(scope="session")
def base_env(tmp_path_factory) -> dict[str, str]:
    """Environment variables for a Python that finds only aegen and its base dependencies: no torch, no onnx."""
    site = tmp_path_factory.mktemp("base")
    (site / "aegen").symlink_to(PACKAGE)
    remaining, linked = ["aegen"], set()
    while remaining:
        name = remaining.pop()
        if name in linked:
            continue
        linked.add(name)
        distribution = metadata.distribution(name)
        entries = {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}
        for entry in entries:
            if not (site / entry).exists() and not entry.startswith("__editable__"):
                (site / entry).symlink_to(Path(distribution.locate_file(entry)))
        for requirement in distribution.requires or []:
            if ";" not in requirement:
                remaining.append(re.match(r"[\w.-]+", requirement).group())
    return {**os.environ, "PYTHONPATH": str(site), "AEGEN_MODEL": ""}


@pytest.fixture
def run_in_base_env(base_env, tmp_path):
    """`run_in_base_env(program)` runs a program in the Python of `base_env` and returns what it prints.

    The option -S of Python hides the packages of the environment that the tests run in.
    """

    def run(program: str, *arguments: object, **env: str) -> str:
        command = [sys.executable, "-S", "-c", program, *map(str, arguments)]
        environment = {**base_env, **env}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
