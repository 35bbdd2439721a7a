"""Chooses a number of threads: the requested number, or by default the number of CPUs that this process may use."""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from .arguments import checked_count
from .errors import MAX_ECHO, InputError

VARIABLE = "AEGEN_THREADS"  # environment variable that sets the number of threads
MAX_THREADS = 256
MAX_DEFAULT_THREADS = 16  # limit on the default: typical batches are too small to keep more threads busy


def chosen_threads(threads: int | None) -> int:
    """Return the number of threads to use.

    It is the argument `threads`; if that is None, the value of the environment variable AEGEN_THREADS; if that is not
    set either, the number of CPUs that this process may use, but at most MAX_DEFAULT_THREADS. Raises InputError if the
    argument or the variable is not an integer from 1 to MAX_THREADS.
    """
    text = os.environ.get(VARIABLE, "") if threads is None else str(checked_count("threads", threads))
    if not text:
        return min(allowed_threads(), MAX_DEFAULT_THREADS)
    if not (text.isascii() and text.isdigit() and len(text) < MAX_ECHO and 1 <= int(text) <= MAX_THREADS):
        name = VARIABLE if threads is None else "threads"
        raise InputError(name, found=text, expected=f"a whole number from 1 to {MAX_THREADS}")
    return int(text)


def allowed_threads() -> int:
    """Number of CPUs that this process may use, at least 1.

    These are the CPUs in its affinity mask, but no more than the CPU quota of its control groups allows.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return cpus if quota is None else max(1, min(cpus, int(quota)))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """CPU quota of this process in CPUs, such as 2.5, or None if none of its Linux control groups sets a limit.

    It is the smallest limit of the process's own group and of all parent groups that are visible in the file system.
    Limits are read from `cpu.max` (cgroup v2) or `cpu.cfs_quota_us` and `cpu.cfs_period_us` (v1). root: the folder that
    holds `proc` and `sys`; tests pass one of their own.
    """
    quotas = [quota for folder in _groups(root) if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def _groups(root: Path) -> Iterator[Path]:
    """Folders of the control groups that may limit the CPU time of this process: its own and their parents."""
    mounts = list(_mounts(_text(root / "proc/self/mountinfo")))
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        unified = number == "0" and not controllers
        if not unified and "cpu" not in controllers.split(","):
            continue
        for is_unified, mounted, mount_point in mounts:
            if is_unified == unified:
                yield from _upwards(root / mount_point.lstrip("/"), PurePosixPath(path), PurePosixPath(mounted))


def _mounts(mountinfo: str) -> Iterator[tuple[bool, str, str]]:
    """The mounted cgroup hierarchies that can limit CPU time. mountinfo: the text of /proc/self/mountinfo.

    Each is a tuple: True for cgroup v2 or False for v1, the path of the group that is mounted, and the mount point.
    """
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind, options = before.split(), *([*after.split(), "", "", ""][:3:2])
        if len(fields) > 4 and (kind == "cgroup2" or (kind == "cgroup" and "cpu" in options.split(","))):
            mounted, mount_point = map(_unescaped, fields[3:5])
            yield kind == "cgroup2", mounted, mount_point


def _unescaped(path: str) -> str:
    r"""Decode a path of /proc/self/mountinfo, where octal escapes such as `\040` stand for blanks and others."""
    return re.sub(r"\\([0-7]{3})", lambda escape: chr(int(escape[1], 8)), path)


def _upwards(folder: Path, path: PurePosixPath, mounted: PurePosixPath) -> Iterator[Path]:
    """Folders of the control group `path` and of its parents, up to the group `mounted`, which is mounted at `folder`.

    In a container, `path` may be the group's path on the host, or lie outside the mounted group. The group's own folder
    is then not visible, and only the limit of the mounted group can be read.
    """
    inside = path.relative_to(mounted) if path.is_relative_to(mounted) else PurePosixPath(str(path).lstrip("/"))
    if ".." not in inside.parts:
        for group in (inside, *inside.parents):
            if group.parts:
                yield folder / group
    yield folder


def _quota(folder: Path) -> float | None:
    """Number of CPUs that the control group with this folder allows, or None if it sets no limit."""
    numbers = _text(folder / "cpu.max").split() or [
        *_text(folder / "cpu.cfs_quota_us").split(),
        *_text(folder / "cpu.cfs_period_us").split(),
    ]
    if len(numbers) != 2 or not all(text.isascii() and text.isdigit() for text in numbers) or int(numbers[1]) == 0:
        return None  # without a limit, cgroup v2 has "max" instead of a number, and v1 has -1
    return int(numbers[0]) / int(numbers[1])


def _text(file: Path) -> str:
    """The text of a file, or "" if it cannot be read."""
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
