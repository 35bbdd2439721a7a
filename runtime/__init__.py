"""The part of aegen that runs on any machine, with numpy and onnxruntime alone.

The public names are imported on first use, so a command that only prints the metadata of an artifact imports no
onnxruntime.
"""

from importlib import import_module

from .forks import no_fork

TYPE_CHECKING = False  # like typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from typing import Any

    from .artifact import Artifact
    from .autoencoder import Autoencoder, load
    from .errors import AegenError

__all__ = ["AegenError", "Artifact", "Autoencoder", "load"]

_MODULES = {"AegenError": ".errors", "Artifact": ".artifact", "Autoencoder": ".autoencoder", "load": ".autoencoder"}


def __getattr__(name: str) -> "Any":
    if name in _MODULES:
        with no_fork():
            return getattr(import_module(_MODULES[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
