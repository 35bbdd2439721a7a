"""Gathers the facts that a bug report needs: versions, the machine's limits, and whether the shipped models work."""

import dataclasses
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .artifact import find, shipped
from .builds import PLAIN_BUILD, Build, Problem, build_problems, installed_builds, module_folder
from .cgroups import cpu_quota, memory_limit
from .errors import AegenError, InputError
from .requirements import installed_version, requirements
from .threads import MAX_DEFAULT_THREADS, VARIABLE, affine_cpus, allowed_threads, chosen_threads

# Environment variables that aegen, or a library that it uses, reads.
VARIABLES = (
    "AEGEN_MODEL",
    "AEGEN_THREADS",
    "ORT_DISABLE_TELEMETRY",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "NO_COLOR",
    "PYTHONPATH",
    "WORLD_SIZE",
    "RANK",
    "LOCAL_RANK",
    "CUBLAS_WORKSPACE_CONFIG",
    "OMP_WAIT_POLICY",
    "GOMP_SPINCOUNT",
)
MIN_MEMORY = 128 << 20  # in bytes; with less memory, the system may kill the process while it samples
MIN_TEMPORARY = 64 << 20  # in bytes; images that come through a pipe are copied to the temporary folder
MIN_OPEN_FILES = 64
MEMORY_LIMITS = ("physical_memory", "cgroup_memory", "address_space")  # keys of `Diagnosis.limits`
PROBE_SECONDS = 120  # time limit for importing onnxruntime in another process
# A program that imports onnxruntime. It runs in a process of its own, because importing a broken build can crash
# Python.
PROBE = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
import onnxruntime
print(json.dumps([onnxruntime.__version__, onnxruntime.get_available_providers()]))
"""


@dataclass(frozen=True)
class Diagnosis:
    """The facts that a bug report needs. All values can be written as JSON, and `~` replaces the home folder in paths.

    versions: the version of aegen and of each package that it needs except onnxruntime; None if one is missing.
    optional_versions: the versions of the installed packages of the extras. system: platform, python and executable.
    onnxruntime: the installed builds with their versions, the folder of the module, its version and execution providers
    (None if it cannot be imported), and whether telemetry is disabled. threads: the default number of threads and the
    reason for it, the number of CPUs of the machine and in the affinity mask, and the CPU quota of the control groups.
    limits: memory and free disk space in bytes, and the number of open files; None where there is no limit.
    environment: the names in VARIABLES that are set, with their values. models: the shipped models, each True if its
    files and its outputs are right. problems: the faults that were found, each with its remedy.
    """

    versions: dict[str, str | None]
    optional_versions: dict[str, str]
    system: dict[str, str]
    onnxruntime: dict[str, Any]
    threads: dict[str, Any]
    limits: dict[str, Any]
    environment: dict[str, str]
    models: dict[str, bool]
    problems: list[dict[str, str]]


def diagnose(progress: Callable[[str, int, int], None] = lambda step, done, total: None) -> Diagnosis:
    """Gather all facts. Takes a few seconds, because every shipped model is verified.

    progress: called after each model with the name of this step, the number of models done, and their total number.
    """
    environment = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    problems = list(_version_problems())
    builds, folder = installed_builds(), module_folder()
    problems += build_problems(builds, folder)
    onnxruntime, import_problems = _onnxruntime(builds, folder)
    problems += import_problems
    limits = _limits()
    problems += _setting_problems(limits)
    models: dict[str, bool] = {}
    if onnxruntime["version"] is not None:
        models, model_problems = _models(progress)
        problems += model_problems
    required = [each.project for each in requirements() if not each.extra and each.project != PLAIN_BUILD]
    optional = {each.project: installed_version(each.project) for each in requirements() if each.extra}
    facts = Diagnosis(
        versions={name: installed_version(name) for name in ("aegen", *required)},
        optional_versions={name: version for name, version in optional.items() if version is not None},
        system={"platform": platform.platform(), "python": platform.python_version(), "executable": sys.executable},
        onnxruntime=onnxruntime,
        threads=_threads(),
        limits=limits,
        environment=environment,
        models=models,
        problems=[dataclasses.asdict(problem) for problem in dict.fromkeys(problems)],
    )
    return Diagnosis(**_without_home(dataclasses.asdict(facts)))


def _version_problems() -> Iterator[Problem]:
    """Required packages that are missing or too old, and optional ones that are too old."""
    if installed_version("aegen") is None:
        problem = "aegen is not installed as a package, so that its requirements are unknown."
        yield Problem(problem, "Run `pip install aegen`, or `pip install .` in its folder.")
    for requirement in requirements():
        version, wanted = installed_version(requirement.project), f"{requirement.project}>={requirement.minimum or 0}"
        if requirement.project == PLAIN_BUILD:
            continue  # `build_problems` checks onnxruntime, because another build of it may be installed instead
        if version is None and not requirement.extra:
            yield Problem(f"{requirement.project} is not installed.", f"Run `pip install '{wanted}'`.")
        elif version is not None and not requirement.is_met_by(version):
            problem = f"{requirement.project} {version} is older than {requirement.minimum}, which aegen needs."
            yield Problem(problem, f"Run `pip install '{wanted}'`.")


def _onnxruntime(builds: list[Build], folder: Path | None) -> tuple[dict[str, Any], list[Problem]]:
    """The facts about onnxruntime, and the problems of importing it."""
    facts: dict[str, Any] = {
        "builds": {build.name: build.version for build in builds},
        "folder": None if folder is None else str(folder),
        "version": None,
        "providers": None,
        "telemetry": _telemetry(),
    }
    if folder is None or installed_version("numpy") is None:  # other checks report these faults
        return facts, []
    command = [sys.executable, "-I", "-c", PROBE, json.dumps(sys.path)]
    environment = {"ORT_DISABLE_TELEMETRY": "1", **os.environ}
    try:
        done = subprocess.run(  # noqa: S603 - the command is this Python with a program of ours
            command, check=False, capture_output=True, text=True, timeout=PROBE_SECONDS, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return facts, [Problem(f"An import of onnxruntime failed: {error}.", "Report this with the facts above.")]
    if done.returncode == 0:
        facts["version"], facts["providers"] = json.loads(done.stdout.splitlines()[-1])
        return facts, []
    reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
    if done.returncode < 0:
        reason = f"the process was ended by signal {-done.returncode}"
    remedy = f"Run `pip install --force-reinstall {builds[0].name if builds else PLAIN_BUILD}`."
    return facts, [Problem(f"onnxruntime cannot be imported: {reason}.", remedy)]


def _telemetry() -> str:
    value = os.environ.get("ORT_DISABLE_TELEMETRY")
    return "ORT_DISABLE_TELEMETRY=1, set by aegen" if value is None else f"ORT_DISABLE_TELEMETRY={value}, set before"


def _threads() -> dict[str, Any]:
    """The default number of threads, the reason for it, and the CPU numbers from which it is computed."""
    cpus, affine, quota, allowed = os.cpu_count(), affine_cpus(), cpu_quota(), allowed_threads()
    if os.environ.get(VARIABLE):
        reason = f"set by {VARIABLE}"
    elif allowed > MAX_DEFAULT_THREADS:
        reason = f"{MAX_DEFAULT_THREADS} at most by default"
    elif allowed < affine:
        reason = "the CPU quota of the control group"
    else:
        reason = "the CPUs in the affinity mask" if affine != cpus else "all CPUs"
    try:
        default = chosen_threads(None)
    except InputError:
        default = None
    return {"default": default, "reason": reason, "cpus": cpus, "affinity": affine, "quota": quota}


def _limits() -> dict[str, Any]:
    try:
        folder, free = tempfile.gettempdir(), shutil.disk_usage(tempfile.gettempdir()).free
    except OSError:  # there is no writable folder for temporary files
        folder, free = None, 0
    return {
        "physical_memory": _physical_memory(),
        "cgroup_memory": memory_limit(),
        "address_space": _resource_limit("RLIMIT_AS"),
        "open_files": _resource_limit("RLIMIT_NOFILE"),
        "temporary_folder": folder,
        "temporary_free": free,
    }


def _physical_memory() -> int | None:
    """Memory of this machine in bytes, or None if the operating system does not report it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _resource_limit(name: str) -> int | None:
    """A soft limit of this process, or None if there is no limit. Windows never has one."""
    if importlib.util.find_spec("resource") is None:
        return None
    import resource

    limit = resource.getrlimit(getattr(resource, name))[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _setting_problems(limits: dict[str, Any]) -> Iterator[Problem]:
    """The problems of limits that are too low, and of environment variables with values that cannot be used."""
    allowed = min((limits[name] for name in MEMORY_LIMITS if limits[name] is not None), default=MIN_MEMORY)
    if allowed < MIN_MEMORY:
        yield Problem(f"Only {allowed:,} bytes of memory are allowed.", f"Allow at least {MIN_MEMORY:,} bytes.")
    if limits["open_files"] is not None and limits["open_files"] < MIN_OPEN_FILES:
        problem = f"Only {limits['open_files']} files may be open at once."
        yield Problem(problem, f"Allow at least {MIN_OPEN_FILES}, for example by `ulimit -n 1024`.")
    if limits["temporary_free"] < MIN_TEMPORARY:
        found = f"only {limits['temporary_free']:,} bytes are free in {limits['temporary_folder']}"
        problem = f"Temporary files: {found if limits['temporary_folder'] else 'no folder can be written to'}."
        yield Problem(problem, "Free some space, or set TMPDIR to a folder on another disk.")
    for check, remedy in (
        (lambda: chosen_threads(None), f"Correct or unset {VARIABLE}."),
        (lambda: find(os.environ.get("AEGEN_MODEL") or None), "Correct or unset AEGEN_MODEL."),
    ):
        try:
            check()
        except AegenError as error:
            yield Problem(f"{str(error).rstrip('.')}.", remedy)


def _models(progress: Callable[[str, int, int], None]) -> tuple[dict[str, bool], list[Problem]]:
    """For each shipped model, whether it passes its verification. Also the problems of the models that do not pass."""
    from .autoencoder import load  # imported here, because it imports onnxruntime, which may fail

    passed, problems, names = {}, [], shipped()
    for done, name in enumerate(names, start=1):
        passed[name] = False
        try:
            passed[name] = load(name, threads=1).verify().passed
            found = "its outputs are not those that were recorded at export"
        except AegenError as error:
            found = str(error).rstrip(".")
        if not passed[name]:
            remedy = "Run `pip install --force-reinstall --no-deps aegen`, and report it if that does not help."
            problems.append(Problem(f"The model {name} cannot be used: {found}.", remedy))
        progress("models", done, len(names))
    return passed, problems


def _without_home(value: Any) -> Any:
    """Replace the home folder by `~` in all texts of a value of any JSON type."""
    if isinstance(value, dict):
        return {key: _without_home(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_home(item) for item in value]
    try:
        home = str(Path.home())
    except RuntimeError:  # raised if the home folder is unknown
        return value
    if not isinstance(value, str) or home == Path(home).anchor:
        return value
    return re.sub(rf"(?<![\w.-]){re.escape(home)}(?![\w.-])", "~", value)
