"""Command lines with values that no user should give, run in this process or in one of their own."""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import bases
import image_mutators
import mutators
import numpy as np
from PIL import Image

SLICES = (
    "[0:2]", "[:]", "[3]", "[-1]", "[-:]", "[::2]", "[a]", "[", "[]", "[1:2:3]", "[--1]",
    "[0:99999999999999999999999]", "[٣]", "[1", "[0][0]", "[ 1 ]", "[5:2]", "[" + "9" * 5000 + "]",
    "[" + "1" * 300 + ":]",
)  # fmt: skip
NUMBERS = (
    "0", "1", "2", "3", "-1", "", "abc", "1e3", "nan", "inf", "-inf", "0x10", "1_0", "٣", "9", " 1", "1.5", "-0",
    "+1", "1,000", str(2**40 + 1), str(2**63), str(2**64), "9" * 400, "1" * 5000, "1e400", "1e-400", "\udcff", "名",
)  # fmt: skip
TEXTS = (
    "",
    " ",
    "-",
    "--",
    "-x",
    "x" * 300,
    "x" * 20_000,
    "名",
    "\udcff\udcfe",
    "a\nb",
    "%s",
    "../..",
    "/",
    "[0:2]",
    "\x1b[31m",
    "$(x)",
    "~nobody",
)
LABELS = (
    "3", "4", "3-4", "3,4", "left", "left,right", "0-999999999", "0-9", "-1", "4-3", ",", "-", "3-", "３", "3,3,3",
    "3-4,left", "1.5", "9" * 400, "3," * 2000 + "3", *TEXTS,
)  # fmt: skip
OUTPUTS = (
    "o.png", "o.npy", "o.npz", "o.gif", "-", "folder", "o.jpg", "o.webp", "o.xyz", ".png", "nowhere/o.png",
    "x" * 300 + ".png", "o.PNG", "名.png", "/dev/null", "/dev/full", "taken", "in.npy", ".", "\udcff.npy",
    "a\nb.png", *TEXTS,
)  # fmt: skip
INPUTS = (
    "in.npy",
    "in.npz",
    "in.png",
    "in.idx",
    "in.gz",
    "many",
    "bad.npy",
    "bad.png",
    "nowhere",
    "-",
    "latents.npy",
    "empty",
    *TEXTS,
)
PRIORS = ("standard", "diagonal", "gaussian", "gmm", "kde", "flow", "KDE", *TEXTS)
VARIABLES = {"AEGEN_THREADS": NUMBERS, "AEGEN_MODEL": TEXTS, "COLUMNS": ("0", "-1", "1", "x", "99999")}
OPTIONS = {
    "-o": OUTPUTS, "--columns": NUMBERS, "--scale": NUMBERS, "--threads": NUMBERS, "--seed": NUMBERS,
    "--prior": PRIORS, "--label": LABELS, "--temperature": NUMBERS,
    "--dtype": ("float32", "uint8", "float64", *TEXTS), "--noise": NUMBERS, "--steps": NUMBERS, "-n": NUMBERS,
    "--along": ("linear", "slerp", "norm-corrected", *TEXTS), "--resize": (), "--json": (), "--unknown": TEXTS,
    "-h": (), "--version": (),
}  # fmt: skip
COMMANDS = {  # how many inputs, and options
    "sample": (0, "-n --columns --scale --threads --seed --prior --label --temperature --dtype"),
    "reconstruct": (1, "--columns --scale --threads --resize --dtype"),
    "denoise": (1, "--noise --seed --columns --scale --threads --resize --dtype"),
    "interpolate": (2, "--steps --along --scale --threads --resize --dtype"),
    "encode": (1, "--threads --resize"),
    "decode": (1, "--columns --scale --threads --dtype"),
    "info": (0, "--json"),
    "models": (0, "--json"),
    "verify": (0, "--json"),
}
WRITING = ("sample", "reconstruct", "denoise", "interpolate", "encode", "decode")
LIMIT = 60  # seconds for a process; the parent's limit for a trial comes first
TOO_MANY = range(100, 2**40 + 1)  # a count in here would be valid, and long work


def generated(trial, bench):
    """A command line, what standard input gives, and variables of the environment."""
    random = trial.random
    name = random.choice(("grey", "colour", "flow", "flow"))
    _inputs(trial, bench, bench.artifacts[name])
    command = random.choice(list(COMMANDS)) if random.random() < 0.97 else random.choice(TEXTS)
    count, options = COMMANDS.get(command, (1, "--unknown"))
    good = {0: [], 1: ["latents.npy" if command == "decode" else "in.npy"], 2: ["in.npy", "in.npy"]}[count]
    given = [one if random.random() < 0.4 else _input(random) for one in good]
    for option in random.sample(options.split(), random.randrange(min(4, len(options.split()) + 1))):
        given += [option, *_value(trial, option)]
    if command == "sample" and "-n" not in given:
        given += ["-n", "3"]
    if command in WRITING and random.random() < 0.95:
        given += ["-o", random.choice(OUTPUTS[:5] if random.random() < 0.6 else OUTPUTS)]
    if random.random() < 0.05:
        option = random.choice(list(OPTIONS))
        given += [option, *_value(trial, option)]
    model = str(bench.paths[name]) if random.random() < 0.9 else random.choice((*TEXTS, "nowhere", "x/../" * 100))
    given += ["--model", model] if command != "models" else []
    variables = {}
    if random.random() < 0.1:
        variable = random.choice(list(VARIABLES))
        variables[variable] = random.choice(VARIABLES[variable])
    trial.texts += [text for text in given if len(text) > 200]
    content = random.choice(
        (b"", *((trial.folder / one).read_bytes() for one in ("in.npy", "in.png", "in.gz", "bad.npy", "latents.npy")))
    )
    return [command, *given], content, variables


def _input(random):
    return random.choice(INPUTS) + random.choice(("", "", *SLICES))


def _value(trial, option):
    values = OPTIONS[option]
    if not values:
        return []
    found = trial.random.choice(values)
    if option in ("-n", "--steps") and found.strip().isdigit() and int(found[:4000]) in TOO_MANY:
        found = "2"
    return [found]


def _inputs(trial, bench, artifact):
    """Files to name in a folder of the trial's own: sound ones, and some that are not."""
    channels, height, width = artifact.manifest["image"]["shape"]
    shape = (4, height, width) if channels == 1 else (4, height, width, 3)
    images = trial.numbers.integers(0, 256, shape, np.uint8)
    arrays = {
        "in.npy": images,
        "latents.npy": trial.numbers.standard_normal((4, artifact.manifest["latent_dim"]), np.float32),
    }
    files = {name: bases.save_npy(array) for name, array in arrays.items()}
    files |= {
        "in.npz": bases.save_npz({"images": images}),
        "in.idx": bases.idx(images),
        "in.gz": bases.squeezed(bases.idx(images)),
    }
    files |= {"empty": b"", "bad.npy": mutators.changed(trial.random, files["in.npy"]), "taken": b"x"}
    Image.fromarray(images[0]).save(trial.folder / "in.png")
    files["bad.png"] = image_mutators.mutated(trial.random, (trial.folder / "in.png").read_bytes(), bench.bomb[0])
    for name, content in files.items():
        (trial.folder / name).write_bytes(content)
    (trial.folder / "many").mkdir()
    for number in range(2):
        Image.fromarray(images[number]).save(trial.folder / "many" / f"{number}.png")


def in_process(trial, given, content=b"", variables=None):
    """Run a command in this process, in the trial's folder, and feature extractor it."""
    from aegen.cli import main

    trial.streams(*trial.take())
    kept = Path.cwd()
    os.chdir(trial.folder)
    try:
        with standard_input(content), environment(variables):
            code = trial.call(lambda: _exit_code(main, given))
    finally:
        os.chdir(kept)
    out, err = trial.take()
    if code is not None:
        _judge(trial, given, code, out, err)


def _exit_code(main, given):
    try:
        main(given)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)


def as_process(trial, given, content=b"", variables=None):
    """Run a command as a process, and feature extractor it."""
    command = [sys.executable, "-m", "aegen", *given]
    with environment(variables):
        done = subprocess.run(command, cwd=trial.folder, input=content, capture_output=True, timeout=LIMIT)
    _judge(trial, given, done.returncode, done.stdout, done.stderr)


def _judge(trial, given, code, out, err):
    binary = "-" in given
    trial.command(code, out, err, binary=binary)
    left = [file.name for file in trial.folder.rglob("*.partial")]
    if left:
        trial.found("left behind", f"exit {code}: {len(left)} partial files")
    if code == 0 and "-o" in given:
        _judge_output(trial, trial.folder / given[given.index("-o") + 1])


def _judge_output(trial, file):
    """What a command wrote can be read again, and holds images or latents."""
    if not os.path.isfile(file):  # a name too long, too
        return
    if file.suffix == ".npy":
        array = np.load(file, allow_pickle=False)
        if array.dtype not in (np.uint8, np.float32) or not np.isfinite(array).all():
            trial.found("invalid result", f"{array.dtype} {array.shape} in an output")
    elif file.suffix in (".png", ".gif"):
        with Image.open(file) as image:
            image.load()


@contextlib.contextmanager
def standard_input(content):
    """Standard input gives these bytes: by a pipe where they fit in one, else from a file."""
    kept, stream = os.dup(0), sys.stdin
    if len(content) < 60_000:
        reading, writing = os.pipe()
        os.write(writing, content)
        os.close(writing)
    else:
        with tempfile.TemporaryFile() as file:
            file.write(content)
            file.seek(0)
            reading = os.dup(file.fileno())
    os.dup2(reading, 0)
    os.close(reading)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    try:
        yield
    finally:
        sys.stdin = stream
        os.dup2(kept, 0)
        os.close(kept)


@contextlib.contextmanager
def environment(variables):
    """Variables of the environment for a while; AEGEN_MODEL is empty unless it is among them."""
    kept = dict(os.environ)
    os.environ.update({"AEGEN_MODEL": "", **(variables or {})})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
