"""Start-up: networks open in the background while the calling thread imports modules and reads statistics.

Opening a network means creating its onnxruntime session. onnxruntime releases Python's global interpreter lock for most
of that time, so on two or more cores another thread can import modules meanwhile. The functions of this module:

* `open_in_background` opens each network on a thread of its own. `sample` and `iter_sample` call it before they read
  the statistics of a prior.
* `import_while_opening` registers a function that imports modules; the function runs once the networks have begun to
  open. Before a command loads a model, it registers a function that imports the modules that write its output.
* `import_late` imports a module such as numpy.random or zipfile only when it is first used. By then networks have begun
  to open, and a program that does not use the module never imports it.
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

_imports: collections.deque[Callable[[], object]] = (
    collections.deque()
)  # queue of functions that import modules; they are called when networks are opened


class Openable(Protocol):
    """Interface of a network whose onnxruntime session is created on its first run, or earlier on another thread."""

    def claim_opening(self) -> bool:
        """Return True to the first caller, which should then open the network, and False to all later callers.

        False is also returned if the network is open already. At most one background thread therefore opens it.
        """

    def open(self) -> None:
        """Open the network. If another thread is opening it already, wait until that is done."""


def open_in_background(networks: Iterable[Openable]) -> None:
    """Open each network on its own thread, and meanwhile call the functions that `import_while_opening` registered.

    The functions run on the calling thread. If a network cannot be opened, its first run raises the error, not this
    function. A first run waits until the network is open. If no thread can be started, the network opens in its first
    run.
    """
    for network in networks:
        if network.claim_opening():
            with contextlib.suppress(RuntimeError):  # raised if no thread can be started
                threading.Thread(target=_open, args=(network,), name="aegen-opening").start()
    while _imports:
        try:
            run_imports = _imports.popleft()
        except IndexError:  # another thread has just taken the last function from the queue
            return
        with no_fork():
            run_imports()


def _open(network: Openable) -> None:
    """Open one network. This is what each background thread runs."""
    with contextlib.suppress(AegenError, MemoryError, OSError):  # its first run opens it again, and raises the error
        network.open()


def import_while_opening(run_imports: Callable[[], object]) -> None:
    """Register a function that imports modules, to be called when networks begin to open in the background.

    The function is called at most once, by the first thread that calls `open_in_background`. It may never be called, so
    the caller must still import what it uses.
    """
    _imports.append(run_imports)


def import_late(name: str) -> ModuleType:
    """Import and return a module. Call this function where the module is first used, not at the top of a file.

    If another thread forks the process meanwhile, the fork waits until the import is done.
    """
    with no_fork():
        return importlib.import_module(name)
