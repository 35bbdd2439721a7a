"""Every training command has an option for each hyperparameter of its recipe (a dataclass of hyperparameters)."""

import dataclasses
import re
from dataclasses import dataclass
from typing import ClassVar

import click
import pytest
from aegen.cli.recipe_options import recipe_options
from aegen.cli.refine import command as refine
from aegen.cli.train import command as train
from aegen.cli.train_features import command as train_features
from aegen.cli.train_prior import command as train_prior
from aegen.recipes.feature_extractor import FeatureExtractorRecipe
from aegen.recipes.hyperparameters import Hyperparameters, hyperparameter, hyperparameters
from aegen.recipes.learned_priors import LEARNED_PRIORS, FlowRecipe
from aegen.recipes.refinement import RefinementRecipe
from aegen.recipes.training import Recipe
from aegen.runtime.errors import InputError
from click.testing import CliRunner

COMMANDS = [
    (train, Recipe),
    *((train_prior, recipe) for recipe in LEARNED_PRIORS.values()),
    (refine, RefinementRecipe),
    (train_features, FeatureExtractorRecipe),
]
RECIPES = [recipe for _, recipe in COMMANDS]


@pytest.mark.parametrize(("command", "recipe"), COMMANDS)
def test_every_hyperparameter_is_an_option(command, recipe):
    flags = [flag for parameter in command.params for flag in parameter.opts]
    assert [f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(recipe)] == [
        flag for flag in flags if flag[2:].replace("-", "_") in recipe.__dataclass_fields__
    ]


def test_help_shows_defaults_and_ranges():
    text = re.sub(r"\s+", " ", CliRunner().invoke(train_prior, ["--help"]).output)
    assert "Decay of the weights' moving average, per step. [default: 0.999; from 0 to below 1]" in text


def test_an_option_of_several_recipes_says_what_it_means_in_each():
    @dataclass(frozen=True)
    class OtherRecipe(Hyperparameters):
        stage: ClassVar[str] = "other"

        steps: int = hyperparameter(50, "Steps.", at_least=1)
        warmup: float = hyperparameter(
            0.05, "Fraction of all steps in which the learning rate rises.", at_least=0, below=1
        )

    @click.command
    @recipe_options(FlowRecipe, OtherRecipe)
    def command(**options):
        pass

    text = re.sub(r"\s+", " ", CliRunner().invoke(command, ["--help"]).output)
    assert "flow: Training steps at most. [default: 12000; from 1] other: Steps. [default: 50; from 1]" in text
    assert "--warmup FLOAT Fraction of all steps" in text
    assert "--blocks INTEGER flow: Residual blocks" in text


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_hyperparameter_has_a_meaning_and_a_default_within_its_limits(recipe):
    for each in hyperparameters(recipe):
        assert each.meaning.endswith(".")
        assert each.allows(each.default)
    recipe()


@pytest.mark.parametrize(
    ("recipe", "values", "message"),
    [
        (FlowRecipe, {"width": 0}, "flow: width: found 0, expected a whole number from 1 to 1,000,000"),
        (FlowRecipe, {"learning_rate": 0}, "flow: learning_rate: found 0, expected a number above 0 to 1"),
        (RefinementRecipe, {"match_second_moments": 2}, "match_second_moments: found 2, expected true or false"),
        (FeatureExtractorRecipe, {"dropout": 1}, "dropout: found 1, expected a number from 0 to below 1"),
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_an_error_that_names_the_range(recipe, values, message):
    with pytest.raises(InputError, match=f"{re.escape(message)}$"):
        recipe(**values)


def test_a_value_out_of_range_on_the_command_line_is_a_usage_error():
    result = CliRunner().invoke(train_features, ["--data", "mnist", "-o", "x", "--dropout", "1"])
    assert (result.exit_code, "dropout: found 1.0" in result.output) == (2, True)
