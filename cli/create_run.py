"""The record of a run of `aegen create`, a file: what was asked for, the plan, and the stages that are done."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from ..files.atomic import write_bytes
from ..images.read_options import ReadOptions
from ..recipes.plan import Plan
from ..runtime.errors import NotFoundError
from ..runtime.records import from_json, read_json, to_plain

RECORD = "create.json"


@dataclass(frozen=True)
class Request:
    """What the user asked for. budget: in seconds. name, licence: of the artifact, or None for the defaults."""

    data: str
    reading: ReadOptions
    budget: float
    fast: bool
    threads: int | None
    name: str | None
    licence: str | None


@dataclass(frozen=True)
class CreateRun:
    """A run of `aegen create`. plan: None until it is made. done: names of the stages that are complete."""

    request: Request
    plan: Plan | None = None
    done: tuple[str, ...] = ()


def run_folder(artifact: Path) -> Path:
    """The folder beside an artifact that holds its run."""
    return artifact.with_name(f"{artifact.resolve().name}-run")


def save(run: CreateRun, folder: Path) -> None:
    """Write the record of a run to its folder, atomically."""
    write_bytes(folder / RECORD, (json.dumps(to_plain(run), indent=2) + "\n").encode())


def read(folder: Path) -> CreateRun:
    """Read the record of a run. Raises NotFoundError if there is none, InputError if it is damaged."""
    file = folder / RECORD
    if not file.is_file():
        remedy = "Begin with `aegen create --data IMAGES -o MODEL`."
        raise NotFoundError(str(file), found="no such file", expected="a run of `aegen create`", remedy=remedy)
    return from_json(CreateRun, read_json(file.read_bytes(), str(file)), str(file))


def with_plan(run: CreateRun, plan: Plan) -> CreateRun:
    """The run with its plan, which never changes afterwards."""
    return dataclasses.replace(run, plan=plan)


def with_done(run: CreateRun, stage: str) -> CreateRun:
    """The run after one more stage is complete."""
    return dataclasses.replace(run, done=(*run.done, stage))
