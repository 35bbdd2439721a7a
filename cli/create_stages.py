"""The stages of `aegen create`. Each is one aegen command, which a user can also run by hand."""

import contextlib
import dataclasses
import io
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..recipes.hyperparameters import Hyperparameters
    from ..recipes.plan import Plan
    from .create_run import Request

# For each stage, by its command: the title, and the keys in `Plan.seconds` whose seconds add up to its time.
STAGES = {
    "train": ("autoencoder", ("autoencoder",)),
    "train-prior": ("prior", ("prior",)),
    "refine": ("refinement", ("classifiers", "refinement")),
    "export": ("export", ("export",)),
    "train-features": ("feature extractor", ("features",)),
}


@dataclass(frozen=True)
class Stage:
    """A stage of a run: an aegen command, and how to continue it.

    command: the arguments of aegen that begin the stage. resume: the arguments that continue it, or find that it is
    complete. states: if one of these files exists, `resume` is used. seconds: expected time of the stage.
    """

    command: tuple[str, ...]
    resume: tuple[str, ...]
    states: tuple[Path, ...]
    seconds: float

    @property
    def title(self) -> str:
        """The title of the stage in messages, such as `autoencoder`."""
        return STAGES[self.name][0]

    @property
    def name(self) -> str:
        """The name of the command, such as `train`."""
        return self.command[0]

    @property
    def text(self) -> str:
        """The command as a line for a shell."""
        return shlex.join(["aegen", *self.command])

    def run(self) -> None:
        """Run or continue the command in this process, without its output. Raises the errors of the command."""
        from . import cli

        name, *arguments = self.resume if any(file.exists() for file in self.states) else self.command
        command = cli.get_command(click.Context(cli), name)
        if command is None:
            raise click.UsageError(f"no such command: {name}")
        with contextlib.redirect_stdout(io.StringIO()), command.make_context(name, [*arguments, "--quiet"]) as context:
            try:
                command.invoke(context)
            except click.exceptions.Exit as end:
                if end.exit_code:
                    raise KeyboardInterrupt from end


def stages(request: "Request", plan: "Plan", folder: Path, artifact: Path) -> tuple[Stage, ...]:
    """The stages of a plan, in order. folder: the run's folder. artifact: the model's folder."""
    from ..export.commands import changed_options

    data, threads = ["--data", request.data, *request.reading.words], ["--threads", str(plan.threads)]
    trained, refined, features = str(folder / "trained"), str(folder / "refined"), folder / "features"
    export = ["export", refined, "-o", str(artifact), "--prior", plan.prior.stage, "--precision", "fp16"]
    export += ["--components", str(plan.components), *threads]
    for option, text in (("--name", request.name), ("--licence", request.licence)):
        export += [] if text is None else [option, text]

    def stage(subject: list[str], recipe: "Hyperparameters", *states: Path) -> Stage:
        command, resume = [*subject, *changed_options(recipe), *threads], [*subject, "--resume", *threads]
        return Stage(tuple(command), tuple(resume), states, expected_seconds(plan, subject[0]))

    train = stage(["train", *data, "-o", trained], plan.autoencoder, folder / "trained" / "last.pt")
    prior_states = folder / "trained" / "prior-training.pt", folder / "trained" / "prior.pt"
    refined_states = folder / "refined" / "refining.pt", folder / "refined" / "best.pt"
    feature_states = folder / "features-training.pt", features / "features.json"
    result = [
        dataclasses.replace(train, resume=("train", "--resume", trained, *threads)),
        stage(["train-prior", trained], plan.prior, *prior_states),
        stage(["refine", trained, "-o", refined], plan.refinement, *refined_states),
        Stage(
            tuple(export), ("verify", str(artifact)), (artifact / "manifest.json",), expected_seconds(plan, "export")
        ),
    ]
    if plan.features is not None:
        result.append(stage(["train-features", *data, "-o", str(features)], plan.features, *feature_states))
    return tuple(result)


def expected_seconds(plan: "Plan", command: str) -> float:
    """The seconds that a plan expects for a command, given by its name."""
    return sum(plan.seconds[part] for part in STAGES[command][1])
