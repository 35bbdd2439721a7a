"""For a mistyped command or option, or one named as in another program, the error suggests the right name."""

import importlib
import re

import click
import pytest
from aegen.cli import SECTIONS
from aegen.cli.suggestions import COMMANDS, NAMES, SENTENCES

ALL = [name for names in SECTIONS.values() for name in names]


def command(name):
    return importlib.import_module(f"aegen.cli.{name.replace('-', '_')}").command


def options(name):
    return [flag for each in command(name).params if isinstance(each, click.Option) for flag in each.opts]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("smaple", "sample"), ("Sample", "sample"), ("generate", "sample"), ("eval", "evaluate"), ("trian", "train"),
        ("train_prior", "train-prior"), ("benchmark", "bench"), ("list", "models"), ("doctr", "doctor"),
    ],
)  # fmt: skip
def test_a_mistyped_command_gets_the_right_one(cli, typed, meant):
    done = cli(typed)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"Error: No such command '{typed}'. Did you mean '{meant}'?"


@pytest.mark.parametrize("typed", ["paint", "xyzzy"])
def test_a_command_that_resembles_none_gets_no_suggestion(cli, typed):
    assert cli(typed).stderr.splitlines()[-1] == f"Error: No such command '{typed}'."


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ("sample --grid x.png", "-o grid.png writes a grid."),
        ("sample --gird x.png", "-o grid.png writes a grid."),
        ("sample --out x.png", "Did you mean '--output'?"),
        ("sample --file x.png", "Did you mean '--output'?"),
        ("sample --output_dir x", "Did you mean '--output'?"),
        ("sample --count 4", "Did you mean '-n'?"),
        ("sample --cuont=4", "Did you mean '-n'?"),
        ("sample --num 4", "Did you mean '-n'?"),
        ("sample --number 4", "Did you mean '-n'?"),
        ("sample --n 4", "Did you mean '-n'?"),
        ("sample --num_samples 4", "Did you mean '-n'?"),
        ("sample --name mnist-vae", "Did you mean '--model'?"),
        ("sample --checkpoint x", "Did you mean '--model'?"),
        ("sample --size 3", "Did you mean '--scale'?"),
        ("sample --nrow 8", "Did you mean '--columns'?"),
        ("sample --sed 1", "Did you mean '--seed'?"),
        ("sample --temp 1", "Did you mean '--temperature'?"),
        ("sample --format png", "The suffix of -o chooses the format: .png, .jpg, .webp, .gif, .npy or .npz."),
        ("sample --device cuda", "Models run on the CPU; --threads sets how many cores are used."),
        ("sample -t 2", "Did you mean '--threads' or '--temperature'?"),
        ("sample --hlep", "Did you mean '--help'?"),
        ("encode --input x.png", "Give IMAGES without the name of an option."),
        ("encode --file x.png", "Give IMAGES without the name of an option."),
        ("encode --size 28", "Did you mean '--resize'?"),
        ("decode --latents x.npy", "Give LATENTS without the name of an option."),
        ("denoise --sigma 0.5", "Did you mean '--noise'?"),
        ("export --checkpoint run", "Give RUN without the name of an option."),
        ("export --license CC0", "Did you mean '--licence'?"),
        ("compare --model mnist", "Give MODEL without the name of an option."),
        ("compare --json", "--format json prints JSON."),
        ("train --lr 0.1", "Did you mean '--learning-rate'?"),
        ("train --input x", "Did you mean '--data'?"),
        ("train --latent-size 3", "Did you mean '--latent-dim'?"),
        ("--vers", "Did you mean '--version'?"),
        ("-V", "Did you mean '--version'?"),
    ],
)
def test_a_mistyped_or_borrowed_option_gets_the_right_one(cli, arguments, answer):
    done = cli(*arguments.split())
    typed = next(word.partition("=")[0] for word in arguments.split() if word.startswith("-"))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"Error: No such option '{typed}'. {answer}"


@pytest.mark.parametrize("arguments", ["sample --foo", "models --model x", "sample -y", "--foo"])
def test_an_option_that_resembles_none_gets_no_suggestion(cli, arguments):
    last = cli(*arguments.split()).stderr.splitlines()[-1]
    assert last == f"Error: No such option '{arguments.split()[-1 if arguments != 'models --model x' else 1]}'."


def test_every_suggestion_names_a_command_or_parameter_that_exists():
    flags = {flag for name in ALL for flag in options(name)}
    metavars = " ".join(each.metavar or "" for name in ALL for each in command(name).params)
    assert set(COMMANDS) <= {*ALL}
    assert [name for name in NAMES if name not in flags and name not in metavars] == []
    assert {option for option, _ in SENTENCES.values()} <= flags


@pytest.mark.parametrize("name", ALL)
def test_every_output_option_has_the_same_names_and_begins_its_help_alike(name):
    outputs = [each for each in command(name).params if "-o" in each.opts or "--output" in each.opts]
    for each in outputs:
        assert each.opts == ["-o", "--output"]
        assert each.metavar == "OUTPUT"
        assert each.help.startswith("Where to write: ")
    writes = {"sample", "reconstruct", "denoise", "interpolate", "encode", "decode", "train", "refine", "export"}
    writes |= {"create", "traverse", "manifold", "index", "similar", "report", "info"}
    assert bool(outputs) == (name in writes | {"train-features"})


@pytest.mark.parametrize("name", ALL)
def test_help_shows_no_number_of_more_than_twelve_digits(cli, name):
    assert re.findall(r"\d{13,}", cli(name, "--help").stdout) == []


def test_evaluate_refuses_a_seed_that_a_classifier_cannot_use_before_it_reads_data(cli):
    done = cli("evaluate", "--train-classifier", "--seed", 2**63, "--data", "no-such-data", "--model", "no-such-model")
    assert done.returncode == 2
    assert "seed: found 9223372036854775808, expected a whole number" in done.stderr
