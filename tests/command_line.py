"""Runs aegen commands in the process of the tests, which is faster than starting Python for each command."""

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from aegen.cli import main

# Categories of warnings that Python ignores by default, except those raised in __main__.
IGNORED_WARNINGS = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


def run_here(arguments: list[str], folder: Path, env: Mapping[str, str]) -> CompletedProcess[str]:
    """Run `aegen` with these arguments in this process, and return the result that a new process would give.

    folder: the working directory. env: variables that are added to the environment. Standard input is empty. The
    result includes the output of compiled libraries, which write to the file descriptors, and the warnings that Python
    shows by default.
    """
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(), Path(os.devnull).open() as nothing:
        warnings.simplefilter("default")
        for category in IGNORED_WARNINGS:
            warnings.simplefilter("ignore", category)
        patch.setattr(warnings, "showwarning", _print_warning)
        patch.setattr(sys, "stdin", nothing)
        patch.chdir(folder)
        for name, value in env.items():
            patch.setenv(name, value)
        with _captured("stdout", 1) as output, _captured("stderr", 2) as errors:
            try:
                main(arguments)
            except SystemExit as stop:
                exit_code = stop.code or 0
    return CompletedProcess(arguments, exit_code, output[0], errors[0])


@contextmanager
def _captured(stream: str, descriptor: int) -> Iterator[list[str]]:
    """Redirect a standard stream to a file during a `with` block.

    Yields an empty list. When the block ends, the text that was written to the stream is appended to this list.

    stream: "stdout" or "stderr". descriptor: its number in the process, 1 or 2.
    """
    usual, saved, written = getattr(sys, stream), os.dup(descriptor), []
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), descriptor)
        setattr(sys, stream, os.fdopen(descriptor, "w", encoding="utf-8", closefd=False))
        try:
            yield written
        finally:
            getattr(sys, stream).flush()
            setattr(sys, stream, usual)
            os.dup2(saved, descriptor)
            os.close(saved)
            file.seek(0)
            written.append(file.read().decode())


def _print_warning(message, category, filename, lineno, file=None, line=None) -> None:
    sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))
