"""An image file, given by its path or as an open stream."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..files.paths import reason
from ..runtime.errors import InputError

Note = Callable[[str], None]  # a function that shows a sentence to the user


@dataclass(frozen=True)
class ImageFile:
    """An image file, given by its path or as an open stream of its bytes.

    source_name: the file's path, or the name of the stream in error messages. file_name: the file's name without
    folders; "" for a stream. stream: the open stream; None for a path.
    """

    source_name: str
    file_name: str = ""
    stream: BinaryIO | None = None

    @classmethod
    def at(cls, path: Path) -> "ImageFile":
        """The `ImageFile` for the file at a path."""
        return cls(str(path), path.name)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open the file as a stream that begins at its first byte. Raises InputError when it cannot be opened."""
        if self.stream is not None:
            self.stream.seek(0)
            yield self.stream
            return
        with ExitStack() as stack:
            try:
                stream = stack.enter_context(Path(self.source_name).open("rb"))
            except OSError as error:
                found = reason(error)
                raise InputError(self.source_name, found=found, expected="a file that can be read") from error
            yield stream
