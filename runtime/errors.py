"""Errors that a user can act on: they say what is wrong, what was found, what was expected and what to do.

Every class also derives from the matching built-in exception, so that, for example, `except ValueError` works too.
"""

from typing import Any, TypeVar

Error = TypeVar("Error", bound="AegenError")
MAX_ECHO = 200  # a message shows at most this many characters of a piece of user input
TAIL = 36  # number of characters that are kept at the end of a shortened text


def shortened(text: object, max_length: int = MAX_ECHO) -> str:
    """The text in one line of at most `max_length` characters. Of a longer text, the middle is replaced by dots."""
    line = str(text)
    if not line.isprintable():  # the text has line breaks, control characters or lone surrogates
        line = "".join(letter if letter.isprintable() else " " if letter.isspace() else "?" for letter in line)
    return line if len(line) <= max_length else f"{line[: max_length - TAIL - 5]} ... {line[-TAIL:]}"


def shown(value: object) -> str:
    """The repr of a value for an error message, or a phrase that names its type if its repr fails."""
    try:
        return repr(value)
    except (ValueError, TypeError, RecursionError, MemoryError):  # repr fails, for example, for ints of 5,000 digits
        return f"a {type(value).__name__} that cannot be shown"


class AegenError(Exception):
    """Base class of every error that aegen raises on purpose.

    subject: what the error is about, most often a path or an argument. found, expected: what was found there and what
    was expected. remedy: a sentence that says what to do. A message shows at most MAX_ECHO characters of subject and of
    found, because they may hold user input, and at most 2 * MAX_ECHO characters of expected.
    """

    def __init__(
        self, subject: str, *, found: object = None, expected: object = None, remedy: str | None = None
    ) -> None:
        self._details: dict[str, Any] = {"found": found, "expected": expected, "remedy": remedy}
        self._subject = subject
        facts = []
        if found is not None:
            facts.append(f"found {shortened(found)}")
        if expected is not None:
            facts.append(f"expected {shortened(expected, 2 * MAX_ECHO)}")
        message = f"{shortened(subject)}: {', '.join(facts)}" if facts else shortened(subject)
        super().__init__(f"{message}. {remedy}" if remedy else message)

    def recast(self, kind: type[Error], *, within: str = "") -> Error:
        """Return this error as an instance of the class `kind`, with the same message.

        within: a file name, put before the subject (what the message is about).
        """
        return kind(f"{within}: {self._subject}" if within else self._subject, **self._details)

    def renamed(self: Error, old: str, new: str) -> Error:
        """Return this error with the text `old`, such as the path of a temporary folder, replaced by `new`."""
        texts = {name: detail and str(detail).replace(old, new) for name, detail in self._details.items()}
        return type(self)(self._subject.replace(old, new), **texts)

    def __reduce__(self) -> tuple[Any, ...]:
        details = {name: detail and str(detail) for name, detail in self._details.items()}
        return _rebuilt, (type(self), self._subject, details)


def _rebuilt(kind: type[Error], subject: str, details: dict[str, Any]) -> Error:
    return kind(subject, **details)


class InputError(AegenError, ValueError):
    """An argument or a user's file holds a value that cannot be used."""


class ShapeError(InputError):
    """An array has the wrong number of axes or the wrong size."""


class NotFoundError(AegenError, FileNotFoundError):
    """A path, a shipped artifact or a downloadable file does not exist."""


class ArtifactError(AegenError, ValueError):
    """An artifact is damaged, incomplete or in a format that this version cannot read."""


class ParityError(AegenError, ValueError):
    """An exported network gives other results than the trained network from which it was exported."""


class ExecutionError(AegenError, RuntimeError):
    """onnxruntime refused a graph or failed while running it."""


class OutputError(AegenError, OSError):
    """A result could not be written, or would have overwritten something."""


class MissingDependencyError(AegenError, ImportError):
    """A package that aegen needs is not installed, or cannot be imported."""


class MissingExtraError(MissingDependencyError):
    """A part of aegen needs an extra, a group of optional packages, that is not installed."""
