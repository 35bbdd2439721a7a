"""Messages name the next command, correct mistyped names, and name the command that fits a given file."""

import importlib
import shlex
from pathlib import Path

import aegen
import click
import numpy as np
import pytest
from aegen.cli import SECTIONS
from aegen.cli.plot import FIGURES
from aegen.evaluation.inversion import are_inverted, inverted
from aegen.recipes.advice import FEW_STEPS, few_steps
from aegen.recipes.settled import settled
from aegen.recipes.training import Recipe
from aegen.runtime import extras, installers
from PIL import Image

TINY = Path(__file__).parent / "tiny"
MODULES = [name.replace("-", "_") for names in SECTIONS.values() for name in names if name != "plot"]
MODULES += [f"plot_{figure}" for figure in FIGURES]
FAST = {  # options that make a next step fast enough for a test
    "train": "--epochs 1 --widths 8 --latent-dim 3",
    "train-prior": "--steps 4 --width 8 --blocks 1",
}


def next_steps(done) -> list[str]:
    """The commands below "Next:" in what a command printed, without `aegen`."""
    lines = done.stderr.splitlines()
    return [line.removeprefix("  aegen ") for line in lines[lines.index("Next:") + 1 :] if line.startswith("  aegen ")]


@pytest.fixture
def samples(tmp_path):
    """Files of twelve samples of the tiny grey model: an array, one image, one inverted image, latents, a folder."""
    model = aegen.load(TINY / "grey")
    images = model.sample(12, seed=0, dtype="uint8")
    np.save(tmp_path / "images.npy", images)
    np.savez(tmp_path / "latents.npz", latents=model.encode(images))
    np.save(tmp_path / "latents.npy", model.encode(images))
    Image.fromarray(images[0]).save(tmp_path / "one.png")
    Image.fromarray(255 - images[0]).save(tmp_path / "dark.png")
    (tmp_path / "pics").mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "pics" / f"{i}.png")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "best.pt").write_bytes(b"")
    return tmp_path


def test_the_next_steps_of_commands_that_use_a_model_work_as_they_are_printed(cli, samples):
    model = ["--model", str(TINY / "grey")]
    for first in (["encode", "images.npy", "-o", "some.npy", *model], ["index", "pics", "-o", "index", *model]):
        done = cli(*first)
        assert done.returncode == 0
        for step in next_steps(done):
            if not step.startswith("plot "):  # `aegen plot` needs an extra
                after = cli(*shlex.split(step))
                assert after.returncode == 0, (step, after.stderr)
    assert next_steps(cli("info", "--data", "pics", "--size", "8"))[0].startswith("create --data pics --size 8x8 -o ")


def test_next_steps_go_to_standard_error_and_quiet_leaves_them_out(cli, samples):
    arguments = ["encode", "images.npy", "--model", str(TINY / "grey"), "-o"]
    assert "Next:" in cli(*arguments, "a.npy").stderr
    assert cli(*arguments, "a.npy").stdout == ""
    assert cli(*arguments, "a.npy", "--quiet").stderr == ""


def test_the_next_steps_from_images_to_a_measured_model_work_as_they_are_printed(cli, tmp_path, bars):
    np.savez(tmp_path / "bars.npz", images=bars(120, (6, 5)))
    done = cli("train", "--data", "bars.npz", "-o", "run", *FAST["train"].split())
    assert "Note: 1 training steps: expect blur." in done.stderr
    names = []
    while done.returncode == 0 and "Next:" in done.stderr:
        step = next(step for step in next_steps(done) if step.split()[0] != "refine")
        names.append(step.split()[0])
        done = cli(*shlex.split(step), *FAST.get(names[-1], "").split())
    assert (done.returncode, names) == (0, ["train-prior", "export", "sample"]), done.stderr


def test_a_next_step_never_writes_over_something(cli, samples):
    (samples / "images.png").write_bytes(b"")
    done = cli("encode", "images.npy", "--model", TINY / "grey", "-o", "a.npy")
    assert next_steps(done)[0].endswith("-o images-2.png")


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ("train images.npy -o r", "Did you mean '--data images.npy'?"),
        ("train missing.npz", "Did you mean '--data missing.npz'?"),
        ("evaluate mnist mnist", "Did you mean '--data mnist'?"),
        ("sample grid.png", "Did you mean '-o grid.png'?"),
        ("export run my-artifact", "Did you mean '-o my-artifact'?"),
        ("sample mnist-vae -o x.png", "Did you mean '--model mnist-vae'?"),
        ("sample 16 -o x.png", "Did you mean '-n 16'?"),
        ("sample -n 1,000 -o x.npy", "'1,000' is no whole number. Did you mean 1000?"),
        ("train --epochs 1,000,000", "'1,000,000' is no whole number. Did you mean 1000000?"),
        ("sample -n ten -o x.npy", "'ten' is no whole number."),
        ("plot one.png", "Choose one of latent, training, priors, quality."),
        ("./pics", "A command comes first, such as `aegen info --data ./pics`."),
    ],
)
def test_an_argument_in_the_wrong_place_gets_the_option_that_was_meant(cli, samples, arguments, answer):
    done = cli(*arguments.split())
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(answer)


@pytest.mark.parametrize(
    ("arguments", "found", "expected", "command"),
    [
        ("decode one.png -o a.png", "images", "latents", "aegen encode one.png -o latents.npy"),
        ("decode images.npy -o a.png", "images", "latents", "aegen encode images.npy -o latents.npy"),
        ("decode pics -o a.png", "images", "latents", "aegen encode pics -o latents.npy"),
        ("decode run -o a.png", "a training run", "latents", "aegen export run -o my-model"),
        ("encode latents.npz -o a.npy", "latents", "images", "aegen decode latents.npz -o images.png"),
        ("reconstruct latents.npy[0:3] -o a.png", "latents", "images", "aegen decode latents.npy -o images.png"),
        ("train --data latents.npz -o r", "latents", "images", "aegen decode latents.npz -o images.png"),
        ("train --data run -o r", "a training run", "images", "aegen export run -o my-model"),
        ("train --data GREY -o r", "a model", "images", "aegen sample --model GREY -o grid.png"),
        ("encode GREY -o a.npy", "a model", "images", "aegen info GREY"),
        ("export GREY -o a", "a model", "a training run", "aegen info GREY"),
        ("export pics -o a", "images", "a training run", "aegen train --data pics -o runs/mine"),
        ("info pics", "images", "a model", "aegen info --data pics"),
        ("info run", "a training run", "a model", "aegen export run -o my-model"),
        ("verify images.npy", "images", "a model", "aegen create --data images.npy -o my-model"),
        ("sample --model run -o a.png", "a training run", "a model", "aegen export run -o my-model"),
        ("plot training pics --json", "images", "a training run", "aegen train --data pics -o runs/mine"),
        ("plot latent --latents one.png --json", "images", "latents", "aegen encode one.png -o latents.npy"),
    ],
)
def test_a_thing_of_another_kind_is_named_with_the_command_that_takes_it(
    cli, samples, arguments, found, expected, command
):
    grey = str(TINY / "grey")
    done = cli(*arguments.replace("GREY", grey).split())
    assert done.returncode == 1
    assert f": found {found}, expected {expected}. " in done.stderr
    assert f"`{command.replace('GREY', grey)}`" in done.stderr


def test_a_png_that_is_no_grid_of_aegen_is_still_explained(cli, samples):
    assert "a PNG file without facts of aegen" in cli("info", "one.png").stderr


@pytest.mark.parametrize("name", MODULES)
def test_help_says_of_each_option_what_happens_without_it(name):
    command = importlib.import_module(f"aegen.cli.{name}").command
    context = click.Context(command)
    silent = []
    for option in command.params:
        if isinstance(option, click.Option) and not option.is_flag:
            _, text = option.get_help_record(context) or ("", "default")
            silent += [] if "default" in text or "required" in text or option.required else [option.opts]
    assert silent == []


@pytest.mark.parametrize("name", ["grey", "colour"])
def test_a_model_tells_images_from_their_inverse(name):
    model = aegen.load(TINY / name)
    images = model.sample(16, seed=0)
    assert not are_inverted(model, images)
    assert are_inverted(model, inverted(images))
    assert np.array_equal(inverted(inverted((255 * images).astype(np.uint8))), (255 * images).astype(np.uint8))


@pytest.mark.parametrize("command", ["denoise", "reconstruct", "encode"])
def test_images_with_black_and_white_exchanged_get_a_note_and_an_option(cli, samples, command):
    model = ["--model", str(TINY / "grey")]
    upright, dark, turned = (
        cli(command, file, *options, *model, "-o", f"{i}.npy")
        for i, (file, *options) in enumerate([("one.png",), ("dark.png",), ("dark.png", "--invert")])
    )
    assert "--invert" in dark.stderr
    assert "--invert" not in upright.stderr + turned.stderr
    assert np.array_equal(np.load(samples / "0.npy"), np.load(samples / "2.npy"))


def test_all_commands_read_the_images_of_a_data_set_alike(cli, samples, bars):
    images = bars(40, (6, 5))
    np.savez(samples / "set.npz", x_train=images[:30], y_train=np.arange(30) % 3, x_test=images[30:], y_test=[0] * 10)
    model = ["--model", str(TINY / "grey")]
    for arguments in (
        ["reconstruct", "set.npz", "-o", "a.npy"],
        ["similar", "set.npz", "--index", "set.npz", "-k", "1"],
        ["interpolate", "set.npz[0:2]", "set.npz[2:4]", "-o", "b.npy"],
        ["traverse", "set.npz[0]", "-o", "c.npy"],
    ):
        done = cli(*arguments, *model)
        assert done.returncode == 0, done.stderr
        assert "set.npz: only the test images are read" in done.stderr


@pytest.mark.parametrize(("epochs", "noted"), [(1, True), (5, False)])
def test_too_few_steps_are_noted_with_a_remedy(epochs, noted):
    recipe = settled(Recipe(epochs=epochs), 128 * FEW_STEPS // 4, (1, 28, 28))
    text = few_steps(recipe, 128 * FEW_STEPS // 4)
    assert (text is not None) == noted
    assert text is None or text.startswith("500 training steps: expect blur. At least 2,000 are better")


def test_the_default_recipe_has_enough_steps():
    assert few_steps(settled(Recipe(), 8_000, (1, 28, 28)), 8_000) is None


@pytest.mark.parametrize(
    ("files", "installer", "command"),
    [
        ([], "pip", "pip install 'aegen[plot]'"),
        ([], "uv", "uv pip install 'aegen[plot]'"),
        (["uv-receipt.toml"], "uv", "uv tool install --force 'aegen[plot]'"),
        (["pipx_metadata.json"], "pip", "pipx install --force 'aegen[plot]'"),
        (["conda-meta/history"], "pip", "python -m pip install 'aegen[plot]'"),
    ],
)
def test_a_missing_extra_names_the_way_of_installing_that_was_used(tmp_path, monkeypatch, files, installer, command):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    monkeypatch.setattr(installers.sys, "prefix", str(tmp_path))
    monkeypatch.setattr(installers, "installer", lambda: installer)
    monkeypatch.setattr(extras, "installed_version", lambda project: None)
    with pytest.raises(aegen.AegenError) as caught:
        extras.require_extra("plot", "make figures")
    assert str(caught.value).endswith(f"Install them with: {command}")
