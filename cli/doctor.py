"""`aegen doctor`: show what a bug report needs, and what is wrong with this installation."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from .facts import print_facts
from .json_output import print_json
from .messages import plural, progress_bars, say
from .options import json_option

if TYPE_CHECKING:
    from ..runtime.diagnosis import Diagnosis


@click.command
@json_option
def command(as_json: bool) -> None:
    """Check this installation, and show the facts that a bug report needs.

    Versions, builds of onnxruntime, limits of this machine, and whether the shipped models work. Each problem is shown
    with its remedy. Exits with 1 if there is a problem. In paths, ~ replaces the home folder.

    --json prints {"versions", "optional_versions", "system", "onnxruntime", "threads", "limits", "environment",
    "models", "problems"}. The last is a list of {"problem", "remedy"}.

    \b
    aegen doctor
    aegen doctor --json > report.json
    """
    import dataclasses

    from ..runtime.diagnosis import diagnose

    with progress_bars() as progress:
        diagnosis = diagnose(progress)
    if as_json:
        print_json(dataclasses.asdict(diagnosis))
    else:
        print_facts(_rows(diagnosis))
        for each in diagnosis.problems:
            click.echo(f"\nProblem: {each['problem']}\nRemedy:  {each['remedy']}")
    if diagnosis.problems:
        raise click.ClickException(f"{plural(len(diagnosis.problems), 'problem')} found")
    say("no problem found")


def _rows(diagnosis: "Diagnosis") -> Iterator[tuple[str, str]]:
    """The facts to print, as text, each with its name."""
    for package, version in diagnosis.versions.items():
        yield package, version or "not installed"
    yield "optional", _listed(diagnosis.optional_versions, " ") or "none"
    yield from diagnosis.system.items()
    runtime = diagnosis.onnxruntime
    yield "onnxruntime builds", _listed(runtime["builds"], " ") or "none"
    yield "onnxruntime module", f"{runtime['version'] or 'cannot be imported'}, {runtime['folder'] or 'in no folder'}"
    yield "providers", ", ".join(runtime["providers"] or []) or "unknown"
    yield "telemetry", runtime["telemetry"]
    threads, limits = diagnosis.threads, diagnosis.limits
    yield "threads", f"{threads['default'] or 'not usable'}: {threads['reason']}"
    quota = "no quota" if threads["quota"] is None else f"quota {threads['quota']:g}"
    yield "CPUs", f"{threads['cpus']}, affinity {threads['affinity']}, {quota}"
    yield "physical memory", _size(limits["physical_memory"], "unknown")
    by_ulimit = _size(limits["address_space"], "no limit")
    yield "memory limit", f"{_size(limits['cgroup_memory'], 'no limit')} by control groups, {by_ulimit} by ulimit"
    yield "open files", "no limit" if limits["open_files"] is None else str(limits["open_files"])
    yield "temporary folder", f"{limits['temporary_folder'] or 'none'}, {_size(limits['temporary_free'])} free"
    yield "environment", _listed(diagnosis.environment, "=") or "nothing set"
    verified = {name: "works" if passed else "fails" for name, passed in diagnosis.models.items()}
    yield "models", _listed(verified, " ") or "not checked"


def _listed(values: dict[str, Any], separator: str) -> str:
    return ", ".join(f"{name}{separator}{value}" for name, value in values.items())


def _size(count: int | None, otherwise: str = "") -> str:
    """A number of bytes as text in MB. otherwise: the text to return if the number is None."""
    return otherwise if count is None else f"{count / 1e6:,.0f} MB"
