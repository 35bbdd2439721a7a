"""Kill points: the moments at which a test may kill a process, numbered from 0.

They are the moments just before each change of a file or folder, and one in the middle of each write.
"""

import os
import re
import signal
from pathlib import Path

TEMPORARY = re.compile(r"\.[0-9a-f]{8}\.(partial|replaced)")
WRITING = os.O_WRONLY | os.O_RDWR


class KillPoints:
    """Counts the kill points that this process passes, and kills the process at one of them.

    folder: only changes of files in this folder give kill points. kill_at: the number of the kill point at which the
    process is killed, or None.
    """

    def __init__(self, folder: Path, kill_at: int | None) -> None:
        self.folder, self.kill_at = os.path.realpath(folder), kill_at
        self.names: list[str] = []
        self.last_opened = ""  # path of the file last opened for writing
        self.paused = False

    def hook(self, event: str, arguments: tuple) -> None:
        """Count a kill point if an audit event (see sys.addaudithook) announces a change of a file in the folder."""
        if self.paused:
            return
        self.paused = True  # ignore the audit events that this method itself causes
        try:
            change = self._change(event, arguments)
            if change:
                self.end_write()
                self.pass_point(f"before {change}")
                self.last_opened = str(arguments[0]) if event == "open" else ""
        finally:
            self.paused = False

    def end_write(self) -> None:
        """Count a kill point in the middle of the write to the file last opened.

        If the process is to be killed there, first cut the file to half its length, as if the write had been cut short.
        """
        file = Path(self.last_opened)
        if self.last_opened and file.is_file() and file.stat().st_size:
            if len(self.names) == self.kill_at:
                os.truncate(file, file.stat().st_size // 2)
            self.pass_point(f"inside the write of {self._display(self.last_opened)}")

    def pass_point(self, name: str) -> None:
        """Count a kill point; but if its number is `kill_at`, kill this process."""
        if len(self.names) == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.names.append(name)

    def _change(self, event: str, arguments: tuple) -> str:
        """Describe the change of the folder that an audit event announces, or return "" if there is none."""
        if event == "open":
            path, mode, flags = arguments
            writes = (isinstance(mode, str) and set(mode) & set("wxa+")) or (flags or 0) & WRITING
            return f"open {self._display(path)}" if writes and self._inside(path) else ""
        if event in ("os.remove", "os.rmdir", "os.mkdir"):
            path = self._absolute(arguments[0], arguments[-1])
            return f"{event[3:]} {self._display(path)}" if self._inside(path) else ""
        if event == "os.rename":
            return f"rename {' -> '.join(map(self._display, arguments[:2]))}" if self._inside(arguments[1]) else ""
        return "exchange" if event == "ctypes.dlsym" and arguments[1] in ("renameat2", "renamex_np") else ""

    def _inside(self, path: object) -> bool:
        return isinstance(path, str | os.PathLike) and os.path.realpath(path).startswith(self.folder + os.sep)

    def _absolute(self, path: object, folder: object) -> object:
        """Make a path absolute. folder: file descriptor of the open folder that it is relative to, or -1 for none."""
        if isinstance(folder, int) and folder >= 0 and isinstance(path, str | os.PathLike):
            return Path(f"/proc/self/fd/{folder}").readlink() / path
        return path

    def _display(self, path: object) -> str:
        """Return a path relative to the watched folder; "*" replaces the random part of a temporary name."""
        return TEMPORARY.sub(r".*.\1", os.path.relpath(os.path.realpath(path), self.folder))
