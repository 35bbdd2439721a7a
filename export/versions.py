"""The versions of Python and of the packages that an artifact was made with, for its manifest."""

import platform
from importlib.metadata import version

PACKAGES = ("aegen", "torch", "onnx", "onnxscript", "onnxruntime", "numpy")


def versions() -> dict[str, str]:
    """The installed versions of Python and of PACKAGES, by name. An exported artifact may depend on them."""
    return {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}
