"""Random aegen command lines with valid, unusual and invalid values, run in this process or in a new one."""

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
DIMENSIONS = ("0,1", "2", "1,0,2", "0,0", "0,9", "0,,1", "-1,0", "٣,0", "1e0,0", "9" * 400, *TEXTS)
PRIORS = ("standard", "diagonal", "gaussian", "gmm", "kde", "flow", "KDE", *TEXTS)
VARIABLES = {"AEGEN_THREADS": NUMBERS, "AEGEN_MODEL": TEXTS, "COLUMNS": ("0", "-1", "1", "x", "99999")}
OPTIONS = {
    "-o": OUTPUTS, "--columns": NUMBERS, "--scale": NUMBERS, "--threads": NUMBERS, "--seed": NUMBERS,
    "--start": NUMBERS, "--prior": PRIORS, "--label": LABELS, "--temperature": NUMBERS,
    "--dtype": ("float32", "uint8", "float64", *TEXTS), "--noise": NUMBERS, "--steps": NUMBERS, "-n": NUMBERS,
    "--dims": DIMENSIONS, "--range": NUMBERS, "--captions": (),
    "--method": ("linear", "slerp", "norm-corrected", *TEXTS), "--resize": (), "--json": (), "--unknown": TEXTS,
    "-h": (), "--version": (),
}  # fmt: skip
COMMANDS = {  # command -> its number of input files, and its options
    "sample": (0, "-n --start --columns --scale --threads --seed --prior --label --temperature --dtype"),
    "reconstruct": (1, "--columns --scale --threads --resize --dtype"),
    "denoise": (1, "--noise --seed --columns --scale --threads --resize --dtype"),
    "interpolate": (2, "--steps --method --scale --threads --resize --dtype --label -n --seed"),
    "traverse": (1, "-n --dims --steps --range --seed --scale --captions --threads --resize --dtype --json"),
    "manifold": (0, "--dims --steps --scale --threads --dtype"),
    "encode": (1, "--threads --resize"),
    "decode": (1, "--columns --scale --threads --dtype"),
    "info": (0, "--json"),
    "models": (0, "--json"),
    "verify": (0, "--json"),
}
WRITING = ("sample", "reconstruct", "denoise", "interpolate", "traverse", "manifold", "encode", "decode")
MAX_SECONDS = 60  # time limit of a command's process in seconds
LONG_COUNTS = range(100, 2**40 + 1)  # values of -n and --steps that are valid but would take too long


def generated(trial, fixtures):
    """Make a random command line, and write the input files that it may name into the trial's folder.

    Returns the arguments, the bytes of standard input, and the environment variables to set.
    """
    random = trial.random
    name = random.choice(("grey", "colour", "flow", "flow"))
    _write_inputs(trial, fixtures, fixtures.artifacts[name])
    command = random.choice(list(COMMANDS)) if random.random() < 0.97 else random.choice(TEXTS)
    count, options = COMMANDS.get(command, (1, "--unknown"))
    valid = {0: [], 1: ["latents.npy" if command == "decode" else "in.npy"], 2: ["in.npy", "in.npy"]}[count]
    words = [file if random.random() < 0.4 else _input(random) for file in valid]
    for option in random.sample(options.split(), random.randrange(min(4, len(options.split()) + 1))):
        words += [option, *_value(trial, option)]
    if command == "sample" and "-n" not in words:
        words += ["-n", "3"]
    if command in WRITING and random.random() < 0.95:
        words += ["-o", random.choice(OUTPUTS[:5] if random.random() < 0.6 else OUTPUTS)]
    if random.random() < 0.05:
        option = random.choice(list(OPTIONS))
        words += [option, *_value(trial, option)]
    model = str(fixtures.paths[name]) if random.random() < 0.9 else random.choice((*TEXTS, "nowhere", "x/../" * 100))
    words += ["--model", model] if command != "models" else []
    variables = {}
    if random.random() < 0.1:
        variable = random.choice(list(VARIABLES))
        variables[variable] = random.choice(VARIABLES[variable])
    trial.texts += [text for text in words if len(text) > 200]
    content = random.choice(
        (b"", *((trial.folder / file).read_bytes() for file in ("in.npy", "in.png", "in.gz", "bad.npy", "latents.npy")))
    )
    return [command, *words], content, variables


def _input(random):
    """Choose a random name for an input file, sometimes with a slice of its images such as `[0:2]`."""
    return random.choice(INPUTS) + random.choice(("", "", *SLICES))


def _value(trial, option):
    """Choose a random value for an option. Returns it in a list, which is empty if the option is a flag."""
    values = OPTIONS[option]
    if not values:
        return []
    value = trial.random.choice(values)
    if option in ("-n", "--steps") and value.strip().isdigit() and int(value[:4000]) in LONG_COUNTS:
        value = "2"
    return [value]


def _write_inputs(trial, fixtures, artifact):
    """Write valid and invalid input files into the trial's folder. The valid ones fit the artifact."""
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
        "in.gz": bases.gzipped(bases.idx(images)),
    }
    files |= {"empty": b"", "bad.npy": mutators.changed(trial.random, files["in.npy"]), "taken": b"x"}
    Image.fromarray(images[0]).save(trial.folder / "in.png")
    files["bad.png"] = image_mutators.mutated(trial.random, (trial.folder / "in.png").read_bytes(), fixtures.bomb[0])
    for name, content in files.items():
        (trial.folder / name).write_bytes(content)
    (trial.folder / "many").mkdir()
    for number in range(2):
        Image.fromarray(images[number]).save(trial.folder / "many" / f"{number}.png")


def in_process(trial, words, content=b"", variables=None):
    """Run an aegen command in this process, in the trial's folder, and check its exit code and output.

    words: its arguments. content: the bytes of standard input. variables: environment variables to set.
    """
    from aegen.cli import main

    trial.check_output(*trial.read_output())
    previous = Path.cwd()
    os.chdir(trial.folder)
    try:
        with standard_input(content), environment(variables):
            code = trial.call(lambda: _exit_code(main, words))
    finally:
        os.chdir(previous)
    out, err = trial.read_output()
    if code is not None:
        _check(trial, words, code, out, err)


def _exit_code(main, words):
    try:
        main(words)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)


def as_process(trial, words, content=b"", variables=None):
    """Run an aegen command in a new process, in the trial's folder. Arguments and checks are those of `in_process`."""
    command = [sys.executable, "-m", "aegen", *words]
    with environment(variables):
        done = subprocess.run(command, cwd=trial.folder, input=content, capture_output=True, timeout=MAX_SECONDS)
    _check(trial, words, done.returncode, done.stdout, done.stderr)


def _check(trial, words, code, out, err):
    binary = "-" in words
    trial.check_command(code, out, err, binary=binary)
    partial = [file.name for file in trial.folder.rglob("*.partial")]
    if partial:
        trial.add_finding("left behind", f"exit {code}: {len(partial)} partial files")
    if code == 0 and "-o" in words:
        _check_output_file(trial, trial.folder / words[words.index("-o") + 1])


def _check_output_file(trial, file):
    """Check that the file that a command wrote can be read, and that an array in it has a valid dtype and values."""
    if not os.path.isfile(file):  # isfile returns False if the name is too long
        return
    if file.suffix == ".npy":
        array = np.load(file, allow_pickle=False)
        if array.dtype not in (np.uint8, np.float32) or not np.isfinite(array).all():
            trial.add_finding("invalid result", f"{array.dtype} {array.shape} in an output")
    elif file.suffix in (".png", ".gif"):
        with Image.open(file) as image:
            image.load()


@contextlib.contextmanager
def standard_input(content):
    """Let standard input provide these bytes in a `with` block: from a pipe if they fit into one, else from a file."""
    previous, stream = os.dup(0), sys.stdin
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
        os.dup2(previous, 0)
        os.close(previous)


@contextlib.contextmanager
def environment(variables):
    """Set environment variables in a `with` block. AEGEN_MODEL is set to "" unless `variables` contains it."""
    previous = dict(os.environ)
    os.environ.update({"AEGEN_MODEL": "", **(variables or {})})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(previous)
