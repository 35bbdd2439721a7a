"""The extras of this package: groups of optional dependencies, which `pip install "aegen[NAME]"` adds."""

from .errors import MissingExtraError
from .installers import install_command
from .requirements import installed_version, requirements


def require_extra(name: str, purpose: str) -> None:
    """Raise MissingExtraError unless every package that the extra `name` requires is installed.

    purpose: completes the sentence "aegen needs more packages to ...", for example "train".
    """
    required = [requirement.project for requirement in requirements() if requirement.extra == name]
    missing = [project for project in required if installed_version(project) is None]
    if missing:
        raise MissingExtraError(
            f"aegen needs more packages to {purpose}",
            found=f"no {', no '.join(missing)}",
            remedy=f"Install them with: {install_command(f'aegen[{name}]')}",
        )
