"""The number of threads to work with: a requested number, or the number of CPUs that this process may use."""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from .arguments import checked_count
from .errors import MAX_ECHO, InputError

VARIABLE = "AEGEN_THREADS"  # environment variable
MAX_THREADS = 256
MAX_DEFAULT_THREADS = 16  # batches are too small to keep more threads busy


def chosen_threads(threads: int | None) -> int:
    """The number of threads: `threads`, else AEGEN_THREADS, else the allowed CPUs up to MAX_DEFAULT_THREADS.

    Raises InputError for anything but an integer from 1 to MAX_THREADS.
    """
    text = os.environ.get(VARIABLE, "") if threads is None else str(checked_count("threads", threads))
    if not text:
        return min(allowed_threads(), MAX_DEFAULT_THREADS)
    if not (text.isascii() and text.isdigit() and len(text) < MAX_ECHO and 1 <= int(text) <= MAX_THREADS):
        name = VARIABLE if threads is None else "threads"
        raise InputError(name, found=text, expected=f"a whole number from 1 to {MAX_THREADS}")
    return int(text)


def allowed_threads() -> int:
    """Number of CPUs that this process may use: its CPU affinity, limited by its control groups, at least 1."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return cpus if quota is None else max(1, min(cpus, int(quota)))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Number of CPUs that the control groups of this process allow, or None if no group sets a limit.

    The limit is the smallest one of all groups from the process's own up to the mounted one, in cgroup v2 (`cpu.max`)
    and v1 (`cpu.cfs_quota_us`). root: the folder that holds `proc` and `sys`.
    """
    quotas = [quota for folder in _groups(root) if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def _groups(root: Path) -> Iterator[Path]:
    """Folders of the control groups that may limit the CPU time of this process."""
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
    """The mounted cgroup hierarchies that can limit CPU time.

    Each is a tuple: whether the hierarchy is v2, the group that is mounted, and the mount point.
    """
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind, options = before.split(), *([*after.split(), "", "", ""][:3:2])
        if len(fields) > 4 and (kind == "cgroup2" or (kind == "cgroup" and "cpu" in options.split(","))):
            mounted, mount_point = map(_unescaped, fields[3:5])
            yield kind == "cgroup2", mounted, mount_point


def _unescaped(path: str) -> str:
    r"""A path of mountinfo, in which blanks and other characters are octal escapes such as `\040`."""
    return re.sub(r"\\([0-7]{3})", lambda escape: chr(int(escape[1], 8)), path)


def _upwards(folder: Path, path: PurePosixPath, mounted: PurePosixPath) -> Iterator[Path]:
    """The folders of the group `path` and of its parents, up to the mounted group, which lies at `folder`.

    In a container, `path` may be the group's path on the host, or lie outside the mounted group. Its folders are then
    not visible, and only the limit of the mounted group applies.
    """
    inside = path.relative_to(mounted) if path.is_relative_to(mounted) else PurePosixPath(str(path).lstrip("/"))
    if ".." not in inside.parts:
        for group in (inside, *inside.parents):
            if group.parts:
                yield folder / group
    yield folder


def _quota(folder: Path) -> float | None:
    """Number of CPUs that one group allows, or None if it sets no limit."""
    numbers = _text(folder / "cpu.max").split() or [
        *_text(folder / "cpu.cfs_quota_us").split(),
        *_text(folder / "cpu.cfs_period_us").split(),
    ]
    if len(numbers) != 2 or not all(text.isascii() and text.isdigit() for text in numbers) or int(numbers[1]) == 0:
        return None  # a group without a limit has "max" in v2 and -1 in v1
    return int(numbers[0]) / int(numbers[1])


def _text(file: Path) -> str:
    """The text of a file, or "" if it cannot be read."""
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
