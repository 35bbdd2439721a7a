"""Find out how aegen was installed, so that messages can name the command that adds packages to it."""

import shlex
import sys
from importlib import metadata
from pathlib import Path


def install_command(requirement: str) -> str:
    """The shell command that installs `requirement`, such as `aegen[plot]`, where aegen is installed.

    The command uses the tool that installed aegen: uv, pipx or pip. In a conda environment, aegen was installed by pip.
    """
    return shlex.join([*_tool(Path(sys.prefix)), requirement])


def _tool(environment: Path) -> list[str]:
    """The words of the command before the requirement. environment: the folder of the Python environment."""
    if (environment / "pipx_metadata.json").is_file():
        return ["pipx", "install", "--force"]
    if (environment / "uv-receipt.toml").is_file():
        return ["uv", "tool", "install", "--force"]
    if installer() == "uv":
        return ["uv", "pip", "install"]
    if (environment / "conda-meta").is_dir():
        return ["python", "-m", "pip", "install"]  # the command `pip` may belong to another conda environment
    return ["pip", "install"]


def installer() -> str:
    """The name of the tool that installed aegen, from the file INSTALLER in the metadata; empty if it is missing."""
    try:
        return (metadata.distribution("aegen").read_text("INSTALLER") or "").strip()
    except metadata.PackageNotFoundError:
        return ""
