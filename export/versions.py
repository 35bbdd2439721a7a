"""The versions of Python and of the packages that an artifact is made with."""

import platform
from importlib.metadata import version

PACKAGES = ("aegen", "torch", "onnx", "onnxscript", "onnxruntime", "numpy")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that the result depends on."""
    return {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}
