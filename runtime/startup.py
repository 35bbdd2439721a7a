"""Start-up: networks open in the background while the calling thread imports modules and reads statistics.

While onnxruntime opens a network, it mostly does not hold Python's global lock, which importing modules needs. With two
cores, both can therefore run at the same time. These functions arrange it:

* `open_in_background`: `sample` and `iter_sample` call it before they read the statistics of a prior. It opens each
  network on a thread of its own.
* `import_while_opening`: a command calls it before it loads a model, with a function that imports what its output
  needs. The function runs once the networks have begun to open.
* `import_late`: imports a module such as numpy.random or zipfile when it is first used. By then networks have begun to
  open, and a program that does not use the module never imports it.
"""

import collections
import contextlib
import importlib
import threading
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Protocol

from .errors import AegenError
from .forks import no_fork

_imports: collections.deque[Callable[[], object]] = collections.deque()  # functions to call when networks begin to open


class Openable(Protocol):
    """A network that opens when it is first run, or earlier in the background."""

    def claim_opening(self) -> bool:
        """Return True to the first caller, which then opens the network, and False if it is open or claimed."""

    def open(self) -> None:
        """Open the network, or wait until another thread has opened it."""


def open_in_background(networks: Iterable[Openable]) -> None:
    """Open networks on threads of their own, and meanwhile run the functions of `import_while_opening`.

    The first run of a network waits until it is open, and raises the error if it cannot be opened. If no thread can be
    started, the first run opens the network.
    """
    for network in networks:
        if network.claim_opening():
            with contextlib.suppress(RuntimeError):  # no thread can be started
                threading.Thread(target=_open, args=(network,), name="aegen-opening").start()
    while _imports:
        try:
            run_imports = _imports.popleft()
        except IndexError:  # another thread took the last function
            return
        with no_fork():
            run_imports()


def _open(network: Openable) -> None:
    """Open a network on a thread of its own."""
    with contextlib.suppress(AegenError, MemoryError, OSError):  # the first run opens it again, and raises the error
        network.open()


def import_while_opening(run_imports: Callable[[], object]) -> None:
    """Call a function that imports modules as soon as networks begin to open in the background.

    The function runs once, on the thread that opens networks first, or never. The caller must therefore still import
    what it uses; if the function has run, these modules are already loaded.
    """
    _imports.append(run_imports)


def import_late(name: str) -> ModuleType:
    """Import a module when it is first used. A fork in another thread waits until the import is done."""
    with no_fork():
        return importlib.import_module(name)
