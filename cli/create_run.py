"""The record of a run of `aegen create`, stored in a file: the user's request, the plan, and the finished stages."""

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
    """The user's request. budget: seconds for the whole run. name, licence: for the artifact; None for the defaults."""

    data: str
    reading: ReadOptions
    budget: float
    fast: bool
    threads: int | None
    name: str | None
    licence: str | None


@dataclass(frozen=True)
class CreateRun:
    """A run of `aegen create`. plan: None before the plan is made. done: names of the stages that are complete."""

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
    """A copy of the run with its plan. The plan of a run is never changed afterwards."""
    return dataclasses.replace(run, plan=plan)


def with_done(run: CreateRun, stage: str) -> CreateRun:
    """A copy of the run in which one more stage is complete. stage: name of the stage."""
    return dataclasses.replace(run, done=(*run.done, stage))
