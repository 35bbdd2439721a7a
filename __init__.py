"""aegen: small generative autoencoders, run anywhere on a CPU.

    import aegen
    model = aegen.load()                 # the shipped default; or a name, or a path
    images = model.sample(64, seed=0)    # float32 (64, 28, 28) in [0, 1]

Importing this package imports almost nothing: numpy and onnxruntime are imported on the first use of a name (PEP 562).
"""

from .runtime import forks  # imports almost nothing; it makes forks wait for imports in other threads

TYPE_CHECKING = False  # like typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from typing import Any

    from .runtime import AegenError, Autoencoder, load

    __version__: str

__all__ = ["AegenError", "Autoencoder", "__version__", "load"]


def __getattr__(name: str) -> "Any":
    if name == "__version__":
        from importlib.metadata import version

        return version("aegen")
    if name in __all__:
        from . import runtime

        with forks.no_fork():
            return getattr(runtime, name)
    raise AttributeError(f"module 'aegen' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
