"""Exchange two files or folders atomically, where the operating system can do that."""

import os
from pathlib import Path

AT_FDCWD = -100  # constant of Linux: relative paths start at the current folder
EXCHANGE = 2  # the flag for an exchange: RENAME_EXCHANGE on Linux, RENAME_SWAP on macOS


def exchange(first: Path, second: Path) -> bool:
    """Exchange two files or folders of one file system atomically. Returns False if that is impossible."""
    if os.name != "posix":
        return False
    import ctypes  # imported late to save start-up time: only overwriting a folder needs it

    system = ctypes.CDLL(None)
    paths, flags = (os.fsencode(first), os.fsencode(second)), ctypes.c_uint(EXCHANGE)
    if hasattr(system, "renameat2"):  # the function exists on Linux with glibc 2.28 or later
        return bool(system.renameat2(AT_FDCWD, paths[0], AT_FDCWD, paths[1], flags) == 0)
    if hasattr(system, "renamex_np"):
        return bool(system.renamex_np(*paths, flags) == 0)
    return False
