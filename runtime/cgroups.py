"""Limits that Linux control groups set for this process: CPU time and memory."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

MEMORY_FILES = ("memory.max", "memory.limit_in_bytes")  # files that hold the memory limit: in cgroup v2, in v1
MAX_MEMORY = 2**60  # in bytes; larger numbers mean no limit: a cgroup v1 group without a limit reports such a number


def cpu_quota(root: Path = Path("/")) -> float | None:
    """CPU quota of this process in CPUs, such as 2.5, or None if none of its Linux control groups sets a limit.

    The quota is the smallest limit of the process's own group and of all parent groups that are visible in the file
    system. Limits are read from `cpu.max` (cgroup v2) or `cpu.cfs_quota_us` and `cpu.cfs_period_us` (v1). root: the
    folder that holds `proc` and `sys`; tests pass a temporary folder.
    """
    quotas = [quota for folder in _groups(root, "cpu") if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def memory_limit(root: Path = Path("/")) -> int | None:
    """Memory in bytes that this process's Linux control groups allow, or None if none of them sets a limit.

    The result is the smallest limit of the process's own group and of all parent groups that are visible. Limits are
    read from `memory.max` (cgroup v2) or `memory.limit_in_bytes` (v1). root: the folder that holds `proc` and `sys`;
    tests pass a temporary folder.
    """
    texts = [_text(folder / name) for folder in _groups(root, "memory") for name in MEMORY_FILES]
    limits = [int(text) for text in map(str.strip, texts) if text.isascii() and text.isdigit() and len(text) < 20]
    return min((limit for limit in limits if limit < MAX_MEMORY), default=None)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of the control groups that may limit this process: its own groups and their parent groups.

    controller: the name of the resource, "cpu" or "memory".
    """
    mounts = list(_mounts(_text(root / "proc/self/mountinfo"), controller))
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        unified = number == "0" and not controllers
        if not unified and controller not in controllers.split(","):
            continue
        for is_unified, mounted, mount_point in mounts:
            if is_unified == unified:
                yield from _upwards(root / mount_point.lstrip("/"), PurePosixPath(path), PurePosixPath(mounted))


def _mounts(mountinfo: str, controller: str) -> Iterator[tuple[bool, str, str]]:
    """The mounted cgroup hierarchies that can limit a resource. mountinfo: the text of /proc/self/mountinfo.

    Yields tuples: True for cgroup v2 or False for v1, the path of the group that is mounted, and the mount point.
    """
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind, options = before.split(), *([*after.split(), "", "", ""][:3:2])
        if len(fields) > 4 and (kind == "cgroup2" or (kind == "cgroup" and controller in options.split(","))):
            mounted, mount_point = map(_unescaped, fields[3:5])
            yield kind == "cgroup2", mounted, mount_point


def _unescaped(path: str) -> str:
    r"""Decode a path of /proc/self/mountinfo, where octal escapes such as `\040` stand for some characters."""
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
        return None  # no limit: cgroup v2 states "max" instead of a number, and v1 states -1
    return int(numbers[0]) / int(numbers[1])


def _text(file: Path) -> str:
    """The text of a file, or "" if it cannot be read."""
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
