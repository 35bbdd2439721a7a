"""Errors that a user can act on: what is wrong, what was found, what was expected, what to do.

Every child also derives from the built-in that a caller would reach for, so `except ValueError` keeps working.
"""


class AegenError(Exception):
    """Base of every error that aegen raises on purpose.

    subject: what it is about, most often a path or an argument. found, expected and remedy complete the sentence.
    """

    def __init__(
        self, subject: str, *, found: object = None, expected: object = None, remedy: str | None = None
    ) -> None:
        facts = [f"found {found}"] * (found is not None) + [f"expected {expected}"] * (expected is not None)
        message = f"{subject}: {', '.join(facts)}" if facts else subject
        super().__init__(f"{message}. {remedy}" if remedy else message)


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
