"""The extras of this package: groups of optional dependencies, which `pip install "aegen[NAME]"` adds."""

import re
from importlib import metadata

from .errors import MissingExtraError


def require_extra(name: str, purpose: str) -> None:
    """Raise MissingExtraError unless every package that the extra `name` requires is installed.

    purpose: completes the sentence "aegen needs more packages to ...", for example "train".
    """
    missing = [project for project in extra_projects(name) if not _is_installed(project)]
    if missing:
        raise MissingExtraError(
            f"aegen needs more packages to {purpose}",
            found=f"no {', no '.join(missing)}",
            remedy=f"Install them with: pip install 'aegen[{name}]'",
        )


def extra_projects(name: str) -> list[str]:
    """Names of the packages that the extra `name` requires, in the order of pyproject.toml."""
    requirements = metadata.requires("aegen") or []
    in_extra = (text for text in requirements if re.search(rf"""extra\s*==\s*['"]{re.escape(name)}['"]""", text))
    return [match.group() for text in in_extra if (match := re.match(r"[A-Za-z0-9._-]+", text))]


def _is_installed(project: str) -> bool:
    try:
        metadata.version(project)
    except metadata.PackageNotFoundError:
        return False
    return True
