"""aegen: small generative autoencoders, run anywhere on a CPU.

    import aegen
    model = aegen.load()                 # the default model; load() also takes a model's name or its path
    images = model.sample(64, seed=0)    # float32 (64, 28, 28) in [0, 1]

Importing this package is fast: it imports numpy and onnxruntime only when `load`, `Autoencoder` or `AegenError` is
first used, through a module-level `__getattr__` (PEP 562).
"""

from .runtime import forks  # makes os.fork() wait until other threads have finished their imports

TYPE_CHECKING = False  # type checkers take this name to be True; defining it here saves an import of typing
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
