"""Facts in two columns, names and values, as commands print them."""

import re
import textwrap
from collections.abc import Iterable

import click

WIDTH = 80  # maximum length of a line, so that lines fit narrow terminals
NO_BREAK = "\0"  # character in place of a space at which a line must not be broken


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print facts in two columns: name, value. Values may have several lines, and long lines are broken at spaces.

    A broken line that holds a command of aegen ends with a backslash, so that a shell accepts a copy of it.
    """
    rows = list(facts)
    indent = max(len(name) for name, _ in rows) + 2
    for name, value in rows:
        lines = [part for line in value.split("\n") for part in _broken(line, WIDTH - indent)]
        for number, line in enumerate(lines):
            click.echo(f"{'' if number else name:<{indent}}{line}".rstrip())


def _broken(line: str, width: int) -> list[str]:
    """Break a line at spaces into lines of at most `width` characters; a longer word stays whole."""
    if len(line) <= width:
        return [line]
    is_command = line.startswith("aegen ")
    if is_command:  # keeps an option and its value together
        line = re.sub(" (-\\S+) (?=[^-])", rf" \1{NO_BREAK}", line)
    end = " \\" if is_command else ""
    parts = textwrap.wrap(
        line,
        width - len(end),
        subsequent_indent="  " if is_command else "",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [part.replace(NO_BREAK, " ") for part in (*(part + end for part in parts[:-1]), parts[-1])]
