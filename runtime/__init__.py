"""What runs on any machine: numpy, onnxruntime and pillow, never torch.

The public names load on first use, so that a command that only prints an artifact's facts opens no onnxruntime.
"""

from importlib import import_module

from .forks import no_fork

TYPE_CHECKING = False  # that of typing, without importing it
if TYPE_CHECKING:
    from typing import Any

    from .artifact import Artifact
    from .autoencoder import Autoencoder, load
    from .errors import AegenError

__all__ = ["AegenError", "Artifact", "Autoencoder", "load"]

_HOMES = {"AegenError": ".errors", "Artifact": ".artifact", "Autoencoder": ".autoencoder", "load": ".autoencoder"}


def __getattr__(name: str) -> "Any":
    if name in _HOMES:
        with no_fork():
            return getattr(import_module(_HOMES[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
