"""Exchange two paths in one step, where the system can do that."""

import os
from pathlib import Path

AT_FDCWD = -100  # a constant of Linux: relative paths start at the current folder
EXCHANGE = 2  # the value of RENAME_EXCHANGE on Linux and of RENAME_SWAP on macOS


def exchange(first: Path, second: Path) -> bool:
    """Exchange two paths on one file system in one step. Returns False if the system cannot do that."""
    if os.name != "posix":
        return False
    import ctypes  # imported here because only an overwritten folder needs it

    system = ctypes.CDLL(None)
    paths, flags = (os.fsencode(first), os.fsencode(second)), ctypes.c_uint(EXCHANGE)
    if hasattr(system, "renameat2"):  # Linux with glibc 2.28 or later
        return bool(system.renameat2(AT_FDCWD, paths[0], AT_FDCWD, paths[1], flags) == 0)
    if hasattr(system, "renamex_np"):
        return bool(system.renamex_np(*paths, flags) == 0)
    return False
