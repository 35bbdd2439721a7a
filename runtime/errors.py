"""Errors that a user can act on: what is wrong, what was found, what was expected, what to do.

Every child also derives from the built-in that a caller would reach for, so `except ValueError` keeps working.
"""

from typing import Any, TypeVar

Error = TypeVar("Error", bound="AegenError")
MAX_ECHO = 200  # characters of somebody's input in a message


def shortened(text: object, most: int = MAX_ECHO) -> str:
    """A text of one line and so many characters at most: of a longer one its beginning and its end."""
    whole = str(text)
    if not whole.isprintable():  # line breaks, control characters, halves of surrogate pairs
        whole = "".join(letter if letter.isprintable() else " " if letter.isspace() else "?" for letter in whole)
    return whole if len(whole) <= most else f"{whole[: most - 41]} ... {whole[-36:]}"


def shown(value: object) -> str:
    """A value as Python writes it, for an error; of one that Python cannot write its type."""
    try:
        return repr(value)
    except (ValueError, TypeError, RecursionError, MemoryError):  # a whole number of 5,000 digits, for example
        return f"a {type(value).__name__} that cannot be shown"


class AegenError(Exception):
    """Base of every error that aegen raises on purpose.

    subject: what it is about, most often a path or an argument. found, expected and remedy complete the sentence.
    Of subject and found, which may hold somebody's input, a message shows MAX_ECHO characters at most.
    """

    def __init__(
        self, subject: str, *, found: object = None, expected: object = None, remedy: str | None = None
    ) -> None:
        self._parts: dict[str, Any] = {"found": found, "expected": expected, "remedy": remedy}
        self._subject = subject
        facts = [f"found {shortened(found)}"] * (found is not None) + [
            f"expected {shortened(expected, 2 * MAX_ECHO)}"
        ] * (expected is not None)
        about = shortened(subject)
        message = f"{about}: {', '.join(facts)}" if facts else about
        super().__init__(f"{message}. {remedy}" if remedy else message)

    def recast(self, kind: type[Error], *, within: str = "") -> Error:
        """The same error as one of another kind; within: the file that it is about, before the subject."""
        return kind(f"{within}: {self._subject}" if within else self._subject, **self._parts)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self._subject, {name: part and str(part) for name, part in self._parts.items()})


def _rebuilt(kind: type[Error], subject: str, parts: dict[str, Any]) -> Error:
    return kind(subject, **parts)


class InputError(AegenError, ValueError):
    """An argument or a user's file holds a value that cannot be used."""


class ShapeError(InputError):
    """An array has the wrong number of axes or the wrong size."""


class NotFoundError(AegenError, FileNotFoundError):
    """A path, a shipped artifact or a downloadable file is not there."""


class ArtifactError(AegenError, ValueError):
    """An artifact is damaged, incomplete or of a format that this version cannot read."""


class ParityError(AegenError, ValueError):
    """An exported network does not compute what the trained one computed."""


class ExecutionError(AegenError, RuntimeError):
    """onnxruntime refused a graph or failed while running it."""


class OutputError(AegenError, OSError):
    """A result could not be written, or would have overwritten something."""


class MissingExtraError(AegenError, ImportError):
    """A part of aegen needs an extra that is not installed."""
