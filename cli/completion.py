"""Completion in shells. The name of an option or argument determines what completes it, such as models or paths."""

import re
from collections.abc import Callable, Iterable, Mapping

import click
from click.shell_completion import CompletionItem

PATHS = re.compile("PATH|FILE|OUTPUT|RUN")  # pattern that occurs in the metavar of an option that takes a path


class NameOrPath(click.types.StringParamType):
    """A click type for text that a shell completes to a name that begins with it, or, if there is none, to a path.

    names: receives the context of the command, whose parameters may be incomplete, and returns the names. paths:
    whether the text may be a path.
    """

    def __init__(self, names: Callable[[click.Context], Iterable[str]], *, paths: bool) -> None:
        self._names, self._paths = names, paths

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names that begin with `incomplete`, or one item that tells the shell to complete paths."""
        names = [CompletionItem(name) for name in self._names(ctx) if name.startswith(incomplete)]
        return names or [CompletionItem(incomplete, type="file")] * self._paths


def complete_names_and_paths(command: click.Command) -> None:
    """Let a shell complete the texts that a command takes: shipped models, data sets, priors, paths and others."""
    for parameter in command.params:
        if parameter.type is click.STRING:
            metavar = parameter.metavar or ""
            argument = re.search("[A-Z]+", metavar) if isinstance(parameter, click.Argument) else None
            name = argument.group() if argument else parameter.opts[-1]
            parameter.type = NameOrPath(NAMES.get(name, _none), paths=bool(argument or PATHS.search(metavar)))


def _none(ctx: click.Context) -> Iterable[str]:
    return ()


def _models(ctx: click.Context) -> Iterable[str]:
    from ..runtime.artifact import shipped

    return shipped()


def _data_sets(ctx: click.Context) -> Iterable[str]:
    from ..data.downloads import KNOWN

    return KNOWN


def _recipes(ctx: click.Context) -> Iterable[str]:
    from ..recipes.training import shipped_recipes

    return shipped_recipes()


def _feature_extractors(ctx: click.Context) -> Iterable[str]:
    from ..runtime.artifact import SHIPPED

    return sorted(folder.name for folder in SHIPPED.glob("features-*"))


def _priors(ctx: click.Context) -> Iterable[str]:
    """The priors of the model that the command line chooses; none if there is no such model."""
    from ..runtime.artifact import find, read_manifest
    from ..runtime.errors import AegenError

    try:
        return read_manifest(find(ctx.params.get("argument") or ctx.params.get("model"))).priors
    except AegenError:
        return ()


# For the name of an option or the metavar of an argument, the function that returns the names to complete.
NAMES: Mapping[str, Callable[[click.Context], Iterable[str]]] = {
    "MODEL": _models,
    "--model": _models,
    "--data": _data_sets,
    "--recipe": _recipes,
    "--features": _feature_extractors,
    "--prior": _priors,
}
