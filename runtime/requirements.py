"""The packages that aegen requires, as its metadata lists them, and their installed versions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*([^;]*)(?:;(.*))?")
EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")


@dataclass(frozen=True)
class Requirement:
    """A package that aegen requires.

    project: its name. minimum: the lowest version allowed, or "" if every version is allowed. extra: name of the extra
    that requires the package, or "" if aegen itself does.
    """

    project: str
    minimum: str
    extra: str

    def is_met_by(self, version: str) -> bool:
        """Whether a version, such as "2.13.0+cpu", is at least the minimum. Only the leading numbers are compared."""
        return _release(version) >= _release(self.minimum)


def requirements() -> Iterator[Requirement]:
    """The packages that aegen and its extras require, in the order of pyproject.toml, without aegen itself.

    Yields nothing if aegen has no metadata, because its folder was copied instead of installed.
    """
    for text in (metadata.requires("aegen") or []) if installed_version("aegen") else []:
        match = REQUIREMENT.match(text)
        if match and match[1] != "aegen":
            minimum, extra = re.search(r">=\s*([\w.+!-]+)", match[2]), EXTRA.search(match[3] or "")
            yield Requirement(match[1], minimum[1] if minimum else "", extra[1] if extra else "")


def installed_version(project: str) -> str | None:
    """The installed version of a package, or None if it is not installed."""
    try:
        return metadata.version(project)
    except metadata.PackageNotFoundError:
        return None


def _release(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, without final zeros: `2.13.0+cpu` -> (2, 13), and an empty text -> ()."""
    leading = re.match(r"\d+(\.\d+)*", version)
    numbers = list(map(int, leading[0].split("."))) if leading else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
