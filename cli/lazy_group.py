"""A group of commands whose modules are imported only when they are used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from .messages import quiet_option

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Sections = dict[str, dict[str, str]]  # for each section's title: names of its commands -> short descriptions


class LazyGroup(click.Group):
    """A click group that imports a command only when it is used, and whose help lists the commands in sections.

    Every command gets the option --quiet. sections: the commands of each section. modules: pattern for the name of a
    command's module, relative to this package, with {} for the command's name.
    """

    def __init__(self, *arguments: Any, sections: Sections, modules: str = ".{}", **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.sections, self.modules = sections, modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, in the order of the sections."""
        return [name for names in self.sections.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command. None if there is no command of this name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = import_module(self.modules.format(cmd_name.replace("-", "_")), __package__)
        command: click.Command = module.command
        if quiet_option not in command.params:
            command.params.append(quiet_option)
        if ctx.resilient_parsing:  # true while a shell asks for completions
            from .completion import complete_names_and_paths

            complete_names_and_paths(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments name. Raises UsageError with a suggestion when there is none."""
        known = args[0].startswith("-") or self.get_command(ctx, args[0]) is not None
        if not known and not ctx.resilient_parsing:
            from .suggestions import no_such_command

            raise click.UsageError(no_such_command(args[0], self.list_commands(ctx)), ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """The commands and options that begin with `incomplete`. No command is imported."""
        from click.shell_completion import CompletionItem

        texts = {name: text for names in self.sections.values() for name, text in names.items()}
        commands = [CompletionItem(name, help=text) for name, text in texts.items() if name.startswith(incomplete)]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections of the help."""
        for title, names in self.sections.items():
            with formatter.section(title):
                formatter.write_dl([*names.items()])
