"""The part of aegen that loads and runs exported models. Besides Python, this part needs only numpy and onnxruntime.

The public names are imported on first use, so that a command that only prints the metadata of an artifact does not load
onnxruntime.
"""

from importlib import import_module

from .forks import no_fork

# Type checkers treat a variable of this name as True. Importing the variable from typing would take longer.
TYPE_CHECKING = False
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
