"""The command line: output formats, exit codes, one-line errors, pipes and documented JSON."""

import gzip
import importlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import aegen
import numpy as np
import pytest
from aegen.cli import REMEDIES, SECTIONS
from PIL import Image

COMMANDS = [name for names in SECTIONS.values() for name in names]


@pytest.fixture
def digits(mnist):
    return str(mnist / "t10k-images-idx3-ubyte.gz")


def test_sample_writes_a_grid_of_what_python_gives(cli, tmp_path):
    done = cli("sample", "-n", "64", "--seed", "0", "-o", "grid.png")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "grid.png: 64 images, seed 0\n"
    grid = np.asarray(Image.open(tmp_path / "grid.png"))
    assert grid.shape == (2 * (8 * 30 + 2),) * 2
    images = aegen.load().sample(64, seed=0, dtype="uint8").astype(int)
    shown = grid[::2, ::2].astype(int)
    assert np.abs(shown[2:30, 2:30] - images[0]).max() <= 1
    assert np.abs(shown[-30:-2, -30:-2] - images[63]).max() <= 1


def test_a_random_seed_is_printed_and_repeats_the_images(cli, tmp_path):
    printed = cli("sample", "-n", "4", "-o", "a.npy").stderr
    seed = printed.rsplit(maxsplit=1)[1]
    cli("sample", "-n", "4", "--seed", seed, "-o", "b.npy")
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_each_label_fills_a_row(cli, tmp_path):
    assert cli("sample", "-n", "3", "--label", "0-9", "--seed", "1", "--scale", "1", "-o", "rows.png").returncode == 0
    grid = np.asarray(Image.open(tmp_path / "rows.png"))
    assert len(grid) == 10 * 30 + 2
    sevens = aegen.load().sample(3, label=7, seed=1, dtype="uint8").astype(int)
    for column, image in enumerate(sevens):
        left = column * 30 - 90
        assert np.abs(grid[212:240, left : left + 28].astype(int) - image).max() <= 1
    assert cli("sample", "-n", "3", "--label", "7,1", "--seed", "1", "-o", "rows.npy").returncode == 0
    rows = np.load(tmp_path / "rows.npy")
    assert np.allclose(rows[:3], aegen.load().sample(3, label=7, seed=1), atol=1e-5)
    assert np.allclose(rows[3:], aegen.load().sample(3, label=1, seed=1), atol=1e-5)


def test_sample_writes_every_output_format(cli, tmp_path):
    for output in ("out.npy", "out.npz", "out.gif", "out"):
        assert cli("sample", "-n", "5", "--seed", "1", "--dtype", "uint8", "-o", output).returncode == 0
    expected = np.load(tmp_path / "out.npy")
    assert expected.shape == (5, 28, 28)
    assert expected.dtype == np.uint8
    assert np.array_equal(np.load(tmp_path / "out.npz")["images"], expected)
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == [f"{i}.png" for i in range(5)]
    assert np.array_equal(np.asarray(Image.open(files[3])), expected[3])
    assert Image.open(tmp_path / "out.gif").n_frames == 5


def test_reconstruct_shows_originals_above_reconstructions(cli, digits, tmp_path):
    assert cli("reconstruct", f"{digits}[0:20]", "--scale", "1", "-o", "pairs.png").returncode == 0
    grid = np.asarray(Image.open(tmp_path / "pairs.png"))
    grid = grid[:, -(10 * 30 + 2) :]  # cut the row titles off
    cli("reconstruct", f"{digits}[0:20]", "-o", "alone.npy")
    alone = np.load(tmp_path / "alone.npy")
    assert alone.shape == (20, 28, 28)
    assert np.abs(grid[32:60, 2:30] - alone[0] * 255).max() <= 1
    first = np.frombuffer(gzip.decompress(Path(digits).read_bytes())[16 : 16 + 784], np.uint8).reshape(28, 28)
    assert np.array_equal(grid[2:30, 2:30], first)
    assert ((alone[0] - first / 255) ** 2).mean() < 0.02


def test_interpolate_writes_a_row_for_each_path_or_an_animation(cli, digits, tmp_path):
    options = ("--steps", "7", "--scale", "2", "-o", "paths.png")
    assert cli("interpolate", f"{digits}[0:3]", f"{digits}[3:6]", *options).returncode == 0
    assert Image.open(tmp_path / "paths.png").size == (2 * (7 * 30 + 2), 2 * (3 * 30 + 2))
    assert cli("interpolate", f"{digits}[0]", f"{digits}[1]", "--steps", "5", "-o", "morph.gif").returncode == 0
    assert Image.open(tmp_path / "morph.gif").n_frames == 8
    assert cli("interpolate", f"{digits}[0:3]", f"{digits}[3:6]", "-o", "paths.npy").returncode == 0
    assert np.load(tmp_path / "paths.npy").shape == (3, 10, 28, 28)


def test_method_chooses_the_kind_of_path(cli, digits, tmp_path):
    two = (f"{digits}[0]", f"{digits}[1]", "--model", "mnist-vae", "--steps", "5")
    for name, options in {"default": (), "slerp": ("--method", "slerp"), "linear": ("--method", "linear")}.items():
        assert cli("interpolate", *two, *options, "-o", f"{name}.npy").returncode == 0
    default, slerp, linear = (np.load(tmp_path / f"{name}.npy") for name in ("default", "slerp", "linear"))
    assert np.array_equal(default, slerp)
    assert np.allclose(slerp[:, [0, -1]], linear[:, [0, -1]], atol=1e-5)
    assert np.abs(slerp[:, 2] - linear[:, 2]).max() > 0.01


def test_denoise_removes_noise_with_the_denoising_model(cli, digits, tmp_path):
    done = cli("denoise", f"{digits}[0:20]", "--noise", "0.5", "--scale", "1", "-o", "triples.png")
    assert done.returncode == 0, done.stderr
    grid = np.asarray(Image.open(tmp_path / "triples.png")).astype(int)[:, -(10 * 30 + 2) :]
    original, noisy, cleaned = (grid[top : top + 28] for top in (2, 32, 62))
    assert ((original - cleaned) ** 2).mean() < 0.3 * ((original - noisy) ** 2).mean()
    assert cli("denoise", f"{digits}[0:20]", "--noise", "0.5", "-o", "cleaned.npy").returncode == 0
    alone = np.load(tmp_path / "cleaned.npy")
    assert np.abs(grid[62:90, 2:30] - alone[0] * 255).max() <= 1


def test_encode_then_decode_equals_reconstruct(cli, digits, tmp_path):
    assert cli("encode", f"{digits}[0:9]", "-o", "latents.npz").returncode == 0
    assert cli("decode", "latents.npz[2:5]", "-o", "some.npy").returncode == 0
    cli("reconstruct", f"{digits}[2:5]", "-o", "expected.npy")
    assert np.allclose(np.load(tmp_path / "some.npy"), np.load(tmp_path / "expected.npy"), atol=1e-5)
    assert cli("decode", "latents.npz", "--columns", "3", "-o", "all.png").returncode == 0


def test_pipes_transport_arrays_and_images(cli_process, tmp_path):
    samples = cli_process("sample", "-n", "3", "--seed", "2", "-o", "-", text=False)
    assert np.load(io.BytesIO(samples.stdout)).shape == (3, 28, 28)
    latents = cli_process("encode", "-", "-o", "-", input=samples.stdout, text=False)
    assert np.load(io.BytesIO(latents.stdout)).shape == (3, aegen.load().latent_dim)
    again = cli_process("decode", "-", "-o", "-", input=latents.stdout, text=False)
    assert np.load(io.BytesIO(again.stdout)).shape == (3, 28, 28)
    png = io.BytesIO()
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(png, "PNG")
    assert cli_process("reconstruct", "-", "-o", "pair.png", input=png.getvalue(), text=False).returncode == 0


def test_dev_stdout_is_a_valid_output():
    command = f"{sys.executable} -m aegen sample -n 3 --seed 0 -o /dev/stdout | wc -c"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    assert int(done.stdout) > 3 * 28 * 28


def test_a_closed_pipe_prints_no_error_message():
    command = f"{sys.executable} -m aegen sample -n 20000 -o - | head -c 100 | wc -c"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "100"
    assert done.stderr == ""


def test_images_of_another_size_are_refused_or_resized(cli, tmp_path):
    Image.fromarray(np.zeros((50, 40, 3), np.uint8)).save(tmp_path / "photo.png")
    refused = cli("encode", "photo.png", "-o", "latents.npy")
    assert refused.returncode == 1
    assert "expected grey images of 28x28 pixels. Use --resize to scale images." in refused.stderr
    assert cli("encode", "photo.png", "--resize", "-o", "latents.npy").returncode == 0


def test_info_models_and_verify_print_text_and_json(cli):
    for arguments, words in [
        (("info",), ("mnist", "CC BY-SA 3.0", "aegen train --data mnist", "aegen refine")),
        (("models",), ("mnist-ae", "(default)")),
        (("verify",), ("golden pairs replayed", "encoder.onnx: largest difference from torch")),
    ]:
        text, as_json = cli(*arguments), cli(*arguments, "--json")
        assert (text.returncode, as_json.returncode) == (0, 0)
        for word in words:
            assert word in text.stdout
        json.loads(as_json.stdout)
    assert set(json.loads(cli("info", "--json").stdout)) == {"path", "bytes", "manifest"}


@pytest.mark.parametrize("name", ["info", "models", "verify"])
def test_help_documents_the_keys_of_the_json(cli, name):
    printed = json.loads(cli(name, "--json").stdout)
    keys = printed[0].keys() if isinstance(printed, list) else printed.keys()
    documented = " ".join(importlib.import_module(f"aegen.cli.{name}").command.help.split())
    listed = documented[documented.index("{") + 1 : documented.index("}")]
    assert [key.strip('" ') for key in listed.split(",")] == list(keys)


def test_a_model_is_chosen_by_option_then_environment_then_default(cli, tiny, tmp_path):
    def name(*arguments, **env):
        return json.loads(cli("info", "--json", *arguments, env=env).stdout)["manifest"]["name"]

    assert name() == "mnist"
    assert name(AEGEN_MODEL=str(tiny)) == tiny.name
    assert name("mnist-ae", AEGEN_MODEL=str(tiny)) == "mnist-ae"
    assert name("--model", "mnist-ae", AEGEN_MODEL=str(tiny)) == "mnist-ae"
    both = cli("info", "mnist-ae", "--model", str(tiny))
    assert both.returncode == 2
    assert "Give the model once" in both.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_what_it_does_and_two_examples(cli, name):
    done = cli(name, "--help")
    assert done.returncode == 0
    examples = [line for line in done.stdout.splitlines() if line.strip().startswith(f"aegen {name}")]
    assert len(examples) == 2
    assert max(map(len, done.stdout.splitlines())) <= 100


@pytest.mark.parametrize(
    "arguments",
    [
        ("paint",),
        ("sample",),
        ("sample", "-n", "0", "-o", "x.png"),
        ("sample", "-n", "many", "-o", "x.png"),
        ("sample", "-n", str(10**25), "-o", "x.png"),
        ("sample", "--threads", "1000", "-o", "x.png"),
        ("sample", "--seed", "-1", "-o", "x.png"),
        ("sample", "--temperature", "-1", "-o", "x.png"),
        ("sample", "--label", "9-0", "-o", "x.png"),
        ("sample", "--dtype", "int8", "-o", "x.npy"),
        ("interpolate", "a.png", "-o", "x.png"),
        ("interpolate", "a.png", "b.png", "--steps", "1", "-o", "x.png"),
        ("train", "--data", "mnist"),
        ("train", "--data", "mnist", "-o", "run", "--widths", "a,b"),
        ("train", "--data", "mnist", "-o", "run", "--learning-rate", "-1"),
        ("train", "--data", "mnist", "-o", "run", "--loss", "bce", "--activation", "tanh"),
        ("export", "run"),
        ("sample", "-o", "x.tiff"),
        ("encode", "a.npy", "-o", "x.png"),
        ("decode", "a.npy", "-o", "x.jpeg2"),
        ("sample", "-n", "x" * 10_000, "-o", "x.png"),
        ("x" * 10_000,),
        ("sample", f"--{'x' * 10_000}", "-o", "x.png"),
        ("sample", "--prior", "a", "b " * 5000, "-o", "x.png"),
    ],
    ids=lambda arguments: " ".join(arguments)[:60],
)
def test_wrong_usage_exits_with_2_and_writes_nothing(cli, tmp_path, arguments):
    done = cli(*arguments)
    assert done.returncode == 2
    assert "Usage:" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert done.stderr.count("Error: ") == 1
    assert len(done.stderr) < 800
    assert list(tmp_path.iterdir()) == []


def test_a_failed_job_exits_with_1_and_one_line_that_says_why(cli, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").write_text("x")
    np.save(tmp_path / "latents.npy", np.zeros((2, 5), np.float32))
    np.save(tmp_path / "fits.npy", np.zeros((2, 32), np.float32))
    np.save(tmp_path / "nan.npy", np.full((1, 3), np.nan, np.float32))
    np.save(tmp_path / "two.npy", np.zeros((2, 28, 28), np.uint8))
    np.save(tmp_path / "one.npy", np.zeros((1, 28, 28), np.uint8))
    grey = str(Path(__file__).parent / "tiny" / "grey")
    before = sorted(tmp_path.rglob("*"))
    for arguments, words in {
        ("sample", "-o", "no/such/x.png"): "no such folder",
        ("sample", "-o", "taken"): "something there already",
        ("sample", "-o", "taken/"): "something there already",
        ("sample", "--label", "11", "-o", "x.png"): "expected one of 0, 1, 2",
        (
            "sample",
            "--label",
            "1",
            "--prior",
            "standard",
            "-o",
            "x.png",
        ): "expected no label, or one of diagonal, gaussian",
        ("sample", "--label", "1", "--model", grey, "-o", "x.png"): "expected a model of labelled images",
        (
            "sample",
            "--prior",
            "vamp",
            "-o",
            "x.png",
        ): "prior: found 'vamp', expected one of standard, diagonal, gaussian, gmm, kde",
        ("sample", "--model", "nope", "-o", "x.png"): "found no such name or folder, expected mnist, mnist-ae",
        ("sample", "--model", ".", "-o", "x.png"): "found images, expected a model",
        ("encode", "gone.npy", "-o", "x.npy"): "gone.npy: found no such file",
        ("encode", "text.png", "-o", "x.npy"): "text.png: found no format that can be read",
        ("decode", "fits.npy[5:5]", "-o", "x.npy"): "found no latents, expected at least one",
        ("encode", "taken[2:2]", "-o", "x.npy"): "found no images",
        ("encode", "one.npy[]", "-o", "x.npy"): "one.npy[]",
        ("encode", "one.npy[5:9]", "-o", "x.npy"): "no images",
        ("decode", "latents.npy", "-o", "x.png"): "latents.npy: found shape (2, 5), expected latents (n, 32)",
        ("decode", "nan.npy", "--model", grey, "-o", "x.png"): "values that are not finite",
        ("train", "--data", "nothing", "-o", "run"): "no such name or path",
        ("export", "run", "-o", "artifact"): "no such file or folder",
    }.items():
        done = cli(*arguments)
        assert done.returncode == 1, arguments
        assert words in done.stderr, arguments
        assert done.stderr.count("\n") == 1, done.stderr
        assert done.stdout == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_more_images_than_memory_holds_is_a_one_line_error(cli):
    done = cli("sample", "-n", str(10**12), "-o", "x.npz")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def test_ctrl_c_ends_with_130_and_leaves_no_partial_file(start, tmp_path):
    process = start("sample", "-n", "100000000", "-o", "many.npy")
    deadline = time.monotonic() + 60
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "Interrupted.\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("output", ["many.npy", "many"])
def test_a_job_that_a_signal_ends_leaves_no_partial_file(start, tmp_path, number, output):
    process = start("sample", "-n", "1000000", "-o", output)
    deadline = time.monotonic() + 60
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert list(tmp_path.iterdir()) == []


def test_a_signal_raised_in_a_callback_still_ends_the_job():
    code = """
import os, signal, weakref
from aegen.cli.messages import with_progress
from aegen.cli.stopping import install_signal_handlers

class Thing:
    pass

install_signal_handlers()
thing = Thing()
watcher = weakref.ref(thing, lambda dead: os.kill(os.getpid(), signal.SIGTERM))
chunks = with_progress(iter([[1], [2], [3]]), 3)
next(chunks)
del thing
print("swallowed", flush=True)
next(chunks)
print("not ended")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, "swallowed\n")


@pytest.mark.parametrize("closed", ["2>&-", ">&-"])
def test_a_job_runs_with_a_closed_stream(tmp_path, closed):
    command = f"{sys.executable} -m aegen sample --model mnist-ae -n 300000 --dtype uint8 -o many.npy {closed}"
    assert subprocess.run(command, shell=True, cwd=tmp_path, timeout=120).returncode == 0
    assert np.load(tmp_path / "many.npy", mmap_mode="r").shape == (300_000, 28, 28)


@pytest.mark.parametrize(
    ("arguments", "exit_code"), [("info --json", 0), ("info nope", 1), ("paint", 2), ("encode --help", 0)]
)
def test_the_installed_command_behaves_as_the_module(cli_process, tmp_path, arguments, exit_code):
    program = Path(sys.executable).with_name("aegen")
    done = subprocess.run([program, *arguments.split()], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    as_module = cli_process(*arguments.split())
    assert done.returncode == as_module.returncode == exit_code
    assert (done.stdout, done.stderr) == (as_module.stdout, as_module.stderr)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
@pytest.mark.parametrize("program", [["aegen"], ["python", "-m", "aegen"]], ids=" ".join)
def test_output_that_cannot_be_written_is_a_failed_job(program):
    command = [Path(sys.executable).with_name(program[0]), *program[1:], "info"]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, env=buffered)
    expected = "Error: standard output: found no space left on the device. Free some space, or write somewhere else.\n"
    assert (done.returncode, done.stderr) == (1, expected)


@pytest.mark.parametrize("group", [(), ("plot",)], ids=["aegen", "aegen plot"])
def test_a_group_without_a_command_shows_its_help(cli, group):
    done = cli(*group)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == cli(*group, "--help").stdout


def test_version_prints_the_version_of_the_package(cli):
    assert cli("--version").stdout.split()[-1] == aegen.__version__


def test_every_advice_that_the_command_line_rewords_is_given_by_the_library():
    folder = Path(aegen.__file__).parent
    folders = ("runtime", "files", "images", "search", "data", "train", "export")
    library = "".join(file.read_text() for name in folders for file in (folder / name).rglob("*.py"))
    assert [advice for advice in REMEDIES if advice not in library] == []
