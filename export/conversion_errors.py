"""Turn an error of torch's exporter about a network that ONNX cannot express into an error that a user can act on."""

from collections.abc import Iterator

from ..runtime.errors import InputError


def conversion_error(file: str, error: BaseException) -> InputError:
    """The error for a network that torch's exporter refuses. file: the ONNX file that was to be made.

    The message names the first cause of `error`, because the exporter wraps the cause in errors about torch itself.
    """
    cause = list(_causes(error))[-1]
    text = next((line.strip() for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
    expected = "a network that ONNX can express, for a batch of any size"
    if "data-dependent" in text:
        found = "an `if` or a loop that depends on the values of a tensor"
        return InputError(file, found=found, expected=expected, remedy="Compute both cases, and choose by torch.where.")
    return InputError(file, found=text, expected=expected)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, the error that caused it, and so on."""
    while error is not None:
        yield error
        error = error.__cause__
