"""Find the installed builds of onnxruntime, without importing them, and the problems of their installation.

onnxruntime, onnxruntime-gpu, onnxruntime-openvino and others all install a module named `onnxruntime`. aegen runs with
any of them. Two builds in one environment overwrite each other's files. If one is uninstalled, files of the other are
removed too.
"""

import csv
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from .requirements import requirements

MODULE = "onnxruntime"
PLAIN_BUILD = "onnxruntime"  # the build that `pip install aegen` installs


@dataclass(frozen=True)
class Problem:
    """A fault of the installation that keeps aegen from working as it should, and its remedy, as two sentences."""

    problem: str
    remedy: str


@dataclass(frozen=True)
class Build:
    """An installed distribution that provides the module `onnxruntime`.

    folder: the folder of the module. altered: number of the build's files that are missing or have another size than
    when they were installed.
    """

    name: str
    version: str
    folder: Path
    altered: int


def installed_builds() -> list[Build]:
    """The installed builds of onnxruntime, sorted by name."""
    builds: dict[str, Build] = {}
    for distribution in metadata.distributions():
        top_level = distribution.read_text("top_level.txt")
        if top_level is not None and MODULE not in top_level.split():
            continue  # this distribution has another module, so its list of files need not be read
        sizes = {path: size for path, size in _recorded_sizes(distribution) if path.startswith(f"{MODULE}/")}
        if f"{MODULE}/__init__.py" in sizes:
            folder = Path(str(distribution.locate_file(MODULE)))
            altered = sum(_size(folder.parent / path) != int(size) for path, size in sizes.items() if size)
            build = Build(distribution.metadata["Name"], distribution.version, folder, altered)
            builds.setdefault(build.name, build)  # if a build is in two folders, Python imports the first
    return [builds[name] for name in sorted(builds)]


def module_folder() -> Path | None:
    """The folder that `import onnxruntime` would import, or None if no such folder has an `__init__.py`."""
    spec = importlib.util.find_spec(MODULE)
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def build_problems(builds: list[Build], folder: Path | None) -> Iterator[Problem]:
    """The problems of the installed builds. folder: the result of `module_folder`."""
    if len(builds) > 1:
        names = [build.name for build in builds]
        remedy = f"Run `pip uninstall -y {' '.join(names)}`, then `pip install {PLAIN_BUILD}` or one other build."
        yield Problem(f"{' and '.join(names)} are installed together and overwrite each other's files.", remedy)
    elif builds:
        yield from _problems_of_one(builds[0], folder)
    elif folder is None:
        yield Problem("No build of onnxruntime is installed.", f"Run `pip install {PLAIN_BUILD}`.")
    else:
        remedy = f"If you have not built it yourself, delete this folder and run `pip install {PLAIN_BUILD}`."
        yield Problem(f"The module in {folder} belongs to no installed package.", remedy)


def _problems_of_one(build: Build, folder: Path | None) -> Iterator[Problem]:
    again = f"Run `pip install --force-reinstall --no-deps {build.name}`."
    if folder is None:
        yield Problem(f"{build.name} is installed, but its module {MODULE} is missing.", again)
    elif folder.resolve() != build.folder.resolve():
        remedy = "Rename or delete this folder, or take the folder that holds it out of PYTHONPATH."
        yield Problem(f"{folder} is imported instead of {build.name} in {build.folder}.", remedy)
    elif build.altered:
        files = "1 file is" if build.altered == 1 else f"{build.altered:,} files are"
        yield Problem(f"Of {build.name}, {files} missing or changed.", again)
    minimum = next((each for each in requirements() if each.project == PLAIN_BUILD), None)
    if minimum is not None and not minimum.is_met_by(build.version):
        problem = f"{build.name} {build.version} is older than {minimum.minimum}, which aegen needs."
        yield Problem(problem, f"Run `pip install --upgrade --no-deps {build.name}`.")


def _recorded_sizes(distribution: metadata.Distribution) -> Iterator[tuple[str, str]]:
    """The path of each file that was installed, and its recorded size in bytes as text; "" if no size was recorded.

    `Distribution.files` is not used, because from Python 3.12 on it leaves out files that are missing.
    """
    for path, _, size in csv.reader((distribution.read_text("RECORD") or "").splitlines()):
        yield path, size


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None
