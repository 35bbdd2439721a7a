"""Options that the commands of `aegen plot` share, and functions with which these commands write a figure."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

import click

from .json_output import print_json
from .messages import done
from .options import json_option, usage

Command = TypeVar("Command", bound=Callable[..., Any])

_output = click.option(
    "-o",
    "--output",
    metavar="OUTPUT",
    help="Where to write: the figure (.png, .svg or .pdf).  [required unless --json]",
)


def figure_options(command: Command) -> Command:
    """Decorator that adds the options --output and --json."""
    return _output(json_option(command))


def check_output(output: str | None, as_json: bool) -> None:
    """Check, before any long work, that a figure can be made and written.

    Raises MissingExtraError without the extra `plot`, UsageError without an output or for an unknown suffix, and
    NotFoundError when the output's folder does not exist.
    """
    from ..runtime.extras import require_extra

    if output is None and not as_json:
        raise click.UsageError("Missing option '-o' / '--output' (or --json, to print the data of the figure).")
    require_extra("plot", "make figures")
    if output is not None:
        from ..files.atomic import require_parent
        from ..plots.style import figure_suffix

        with usage():
            figure_suffix(output)
        require_parent(output)


def publish(figures: ModuleType, data: Any, output: str | None, contents: str, *, as_json: bool) -> None:
    """Write the figure to `output`, if there is one, and print its data as JSON if `as_json` is on.

    figures: the module in the folder plots that made the data. contents: what the figure shows, for the message.
    """
    if output is not None:
        from ..plots.style import write_figure

        write_figure(figures.figure(data), output)
        done(output, contents)
    if as_json:
        print_json(figures.json_object(data), indent=None)
