"""aegen: small generative autoencoders, run anywhere on a CPU.

    import aegen
    model = aegen.load()                 # the default model; load() also takes a model's name or its path
    images = model.sample(64, seed=0)    # float32 (64, 28, 28) in [0, 1]
    aegen.show(images)                   # a grid, which a notebook displays

Importing this package is fast: it imports numpy, onnxruntime and Pillow only when a name that needs them is first used,
through a module-level `__getattr__` (PEP 562).
"""

from .runtime import forks  # makes os.fork() wait until other threads have finished their imports

TYPE_CHECKING = False  # type checkers take this name to be True; defining it here saves an import of typing
if TYPE_CHECKING:
    from typing import Any

    from .images.display import show
    from .runtime import AegenError, Autoencoder, load

# The version is also in pyproject.toml. Reading it with importlib.metadata would take long.
__version__ = "0.1.0"
__all__ = ["AegenError", "Autoencoder", "__version__", "load", "show"]


def __getattr__(name: str) -> "Any":
    if name in __all__:
        with forks.no_fork():
            if name == "show":
                from .images.display import show

                return show
            from . import runtime

            return getattr(runtime, name)
    raise AttributeError(f"module 'aegen' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
