"""How many threads to work with: those asked for, or the CPUs that this process may use."""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from .arguments import count
from .errors import MAX_ECHO, InputError

THREADS = "AEGEN_THREADS"  # a variable of the environment
MAX_THREADS, MAX_DEFAULT_THREADS = 256, 16  # batches are too small to keep more threads busy


def chosen_threads(threads: int | None) -> int:
    """Threads to work with: those asked for, or AEGEN_THREADS, or the CPUs allowed, up to MAX_DEFAULT_THREADS.

    Raises InputError for anything but a whole number from 1 to MAX_THREADS.
    """
    text = os.environ.get(THREADS, "") if threads is None else str(count("threads", threads))
    if not text:
        return min(allowed_threads(), MAX_DEFAULT_THREADS)
    if not (text.isascii() and text.isdigit() and len(text) < MAX_ECHO and 1 <= int(text) <= MAX_THREADS):
        name = THREADS if threads is None else "threads"
        raise InputError(name, found=text, expected=f"a whole number from 1 to {MAX_THREADS}")
    return int(text)


def allowed_threads() -> int:
    """CPUs that this process may use: its affinity, cut by the smallest quota of its control groups, at least 1."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return cpus if quota is None else max(1, min(cpus, int(quota)))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """CPUs that the control groups of this process allow, or None where none of them sets a limit.

    Every group from the process's own up to the mounted one counts, of cgroup v2 (`cpu.max`) and of v1
    (`cpu.cfs_quota_us`), and the smallest wins. root: the folder that holds `proc` and `sys`.
    """
    quotas = [quota for folder in _groups(root) if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def _groups(root: Path) -> Iterator[Path]:
    """Folders of the control groups that limit this process's CPU time."""
    mounts = list(_mounts(_text(root / "proc/self/mountinfo")))
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        unified = number == "0" and not controllers
        if not unified and "cpu" not in controllers.split(","):
            continue
        for is_unified, mounted, where in mounts:
            if is_unified == unified:
                yield from _upwards(root / where.lstrip("/"), PurePosixPath(path), PurePosixPath(mounted))


def _mounts(mountinfo: str) -> Iterator[tuple[bool, str, str]]:
    """Of each mounted hierarchy with CPU limits: whether it is v2, which of its groups is mounted, and where."""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind, options = before.split(), *([*after.split(), "", "", ""][:3:2])
        if len(fields) > 4 and (kind == "cgroup2" or (kind == "cgroup" and "cpu" in options.split(","))):
            mounted, where = (re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), one) for one in fields[3:5])
            yield kind == "cgroup2", mounted, where


def _upwards(where: Path, path: PurePosixPath, mounted: PurePosixPath) -> Iterator[Path]:
    """The folder of the group `path` and of those above it, up to the mounted one.

    In a container the path may be the host's, or lie outside what is mounted: then the mounted group is what there is.
    """
    inside = path.relative_to(mounted) if path.is_relative_to(mounted) else PurePosixPath(str(path).lstrip("/"))
    if ".." not in inside.parts:
        for group in (inside, *inside.parents):
            if group.parts:
                yield where / group
    yield where


def _quota(folder: Path) -> float | None:
    """CPUs that one group allows, or None where it sets no limit."""
    both = _text(folder / "cpu.max").split() or [
        *_text(folder / "cpu.cfs_quota_us").split(),
        *_text(folder / "cpu.cfs_period_us").split(),
    ]
    if len(both) != 2 or not all(one.isascii() and one.isdigit() for one in both) or int(both[1]) == 0:
        return None  # "max" in v2 and -1 in v1 are no limit
    return int(both[0]) / int(both[1])


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
