"""Parse the arguments of a command once more after an error, for messages about mistakes in them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import click


class ParsedArguments(NamedTuple):
    """A command and the arguments that it was given.

    name: the command's name. values: the value of each parameter that was given, by the parameter's name. rest:
    arguments that the command does not take.
    """

    name: str
    command: click.Command
    values: dict[str, Any]
    rest: list[str]

    def takes(self, flag: str) -> bool:
        """Whether the command has an option of this name, such as --data."""
        return any(flag in each.opts for each in self.command.params if isinstance(each, click.Option))

    def has(self, flag: str) -> bool:
        """Whether an option was given."""
        return any(flag in each.opts and self.values.get(each.name or "") is not None for each in self.command.params)


def parse_again(group: click.Group, arguments: Sequence[str]) -> ParsedArguments | None:
    """Parse the arguments of a command line, without converting or checking values. None if they name no command."""
    command: click.Command | None = group
    name, words = "", [*arguments]
    while isinstance(command, click.Group) and words:
        name = words.pop(0)
        command = command.get_command(click.Context(command), name)
    if command is None or isinstance(command, click.Group):
        return None
    try:
        values, rest, _ = command.make_parser(click.Context(command, resilient_parsing=True)).parse_args(words)
    except click.UsageError:
        return None
    return ParsedArguments(
        name, command, {key: value for key, value in values.items() if value not in (None, ())}, rest
    )
