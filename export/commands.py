"""The shell commands that make an artifact again. Its manifest and model card list them."""

import shlex
from collections.abc import Iterator

from ..recipes.distillation import DistillationRecipe
from ..recipes.hyperparameters import Hyperparameters, hyperparameters
from ..recipes.learned_priors import DEFAULT_LEARNED_PRIOR, LEARNED_PRIORS
from ..recipes.refinement import RefinementRecipe
from ..train.checkpoint import BEST, Checkpoint
from ..train.priors import LearnedPrior

# The command of each stage that a prior can go through, by the stage's name
COMMANDS = {
    **{name: ("train-prior", "--prior", name) for name in LEARNED_PRIORS},
    DEFAULT_LEARNED_PRIOR: ("train-prior",),
    DistillationRecipe.stage: ("distill",),
    RefinementRecipe.stage: ("refine",),
}


def recorded_commands(
    checkpoint: Checkpoint, learned: LearnedPrior | None, data: str, name: str, options: dict[str, str]
) -> tuple[str, ...]:
    """The commands that make an artifact: `train`; `train-prior`, `distill` and `refine` as they were used; `export`.

    data: the name of the training data. name: the artifact's name, which also names the run's folder. options: values
    of the command-line options of `export`, by option.
    """

    def checkpoint_of(run: str) -> str:
        return run if checkpoint.file == BEST else f"{run}/{checkpoint.file}"

    run = f"runs/{name}"
    source = checkpoint_of(run)
    commands = [["aegen", "train", "--data", data, *checkpoint.reading.words]]
    commands[0] += [*_hyperparameters(checkpoint.recipe, checkpoint.threads), "-o", run]
    refinements = 0
    for stage in () if learned is None else learned.stages:
        name_of_command, *options_of_stage = COMMANDS[stage.recipe.stage]
        command = ["aegen", name_of_command, source, *options_of_stage]
        command += _hyperparameters(stage.recipe, stage.threads)
        if stage.recipe.stage == RefinementRecipe.stage:
            refinements += 1
            refined = f"{run}-refined" if refinements == 1 else f"{run}-refined-{refinements}"
            command += ["-o", refined]
            source = checkpoint_of(refined)
        commands.append(command)
    commands.append(["aegen", "export", source, *_flat(options), "-o", name])
    return tuple(map(shlex.join, commands))


def changed_options(recipe: Hyperparameters) -> list[str]:
    """Command-line options, each followed by its value, for all hyperparameters that differ from their defaults."""
    changed = [each for each in hyperparameters(type(recipe)) if getattr(recipe, each.name) != each.default]
    return list(_flat({f"--{each.name.replace('_', '-')}": _text(getattr(recipe, each.name)) for each in changed}))


def _hyperparameters(recipe: Hyperparameters, threads: int | None) -> list[str]:
    """Command-line options of a stage of training. threads: number of CPU threads, None if it is not known."""
    return [*changed_options(recipe), *([] if threads is None else ["--threads", str(threads)])]


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _flat(options: dict[str, str]) -> Iterator[str]:
    for option, value in options.items():
        yield from (option, value)
