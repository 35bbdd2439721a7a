"""The commands that make an artifact again, as they are recorded in its manifest."""

import shlex
from collections.abc import Iterator

from ..train.checkpoint import BEST, Checkpoint
from ..train.recipe import Recipe


def recorded_commands(
    checkpoint: Checkpoint,
    data: str,
    name: str,
    prior: str,
    temperature: float,
    components: int | None,
    licence: str | None,
) -> tuple[str, ...]:
    """`aegen train` and `aegen export` with every setting that is not a default; paths are relative and generic."""
    run = f"runs/{name}"
    source = run if checkpoint.file == BEST else f"{run}/{checkpoint.file}"
    settings = {"--prior": prior, "--temperature": f"{temperature:g}"}
    if components is not None:
        settings["--components"] = str(components)
    stated = {} if licence is None else {"--licence": licence}
    return (
        shlex.join(["aegen", "train", "--data", data, *_options(checkpoint.recipe), "-o", run]),
        shlex.join(["aegen", "export", source, *_flat({**settings, **stated}), "-o", name]),
    )


def _options(recipe: Recipe) -> list[str]:
    return list(_flat({f"--{knob.replace('_', '-')}": _text(value) for knob, value in recipe.changed().items()}))


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _flat(options: dict[str, str]) -> Iterator[str]:
    for option, value in options.items():
        yield from (option, value)
