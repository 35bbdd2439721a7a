"""Exchange two files or folders atomically, where the operating system can do that."""

import os
from pathlib import Path

AT_FDCWD = -100  # a constant of Linux, which says that relative paths start at the current folder
EXCHANGE = 2  # the flag for an exchange: RENAME_EXCHANGE on Linux, RENAME_SWAP on macOS


def exchange(first: Path, second: Path) -> bool:
    """Exchange atomically what is at two paths of the same file system. Returns False if that was not possible."""
    if os.name != "posix":
        return False
    import ctypes  # imported late to save start-up time: only overwriting a folder needs it

    system = ctypes.CDLL(None)
    paths, flags = (os.fsencode(first), os.fsencode(second)), ctypes.c_uint(EXCHANGE)
    if hasattr(system, "renameat2"):  # on Linux with glibc 2.28 or later
        return bool(system.renameat2(AT_FDCWD, paths[0], AT_FDCWD, paths[1], flags) == 0)
    if hasattr(system, "renamex_np"):
        return bool(system.renamex_np(*paths, flags) == 0)
    return False
