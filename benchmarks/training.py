"""Measure how fast autoencoders and flow priors are trained, here and in another checkout of aegen.

Both builds train on the same images, in turn. Prints JSON:

* autoencoder: training images per second, the median over all epochs except the first of each round
* flow: training steps per second, the median over all intervals between two reports except the first of each round

Validation is part of the time. "wall" is measured by the clock, "cpu" by the processor time of the process. "ratio" is
this build's speed divided by the other build's; above 1, this build is faster.

    python benchmarks/training.py ../other-checkout --data mnist
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aegen
import numpy as np
from aegen.data.datasets import load

BUILDS = ("this", "other")
REPORT_STEPS = 500  # training steps between two reports of `aegen train-prior`
Speeds = list[dict[str, float]]  # for each interval: "wall" (clock) and "cpu" (processor) seconds


def main() -> None:
    """Train with both builds in turn, and print the results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, metavar="CHECKOUT", help="the root of the other checkout")
    parser.add_argument("--data", default="mnist", help="name or path of the training data")
    parser.add_argument("--recipe", default="conv", help="the recipe of the autoencoder")
    parser.add_argument("--images", type=int, default=6_000, help="how many of the images both train on")
    parser.add_argument("--rounds", type=int, default=3, help="how often each build trains")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of the autoencoder in a round")
    parser.add_argument("--steps", type=int, default=3 * REPORT_STEPS, help="steps of the flow in a round")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        images = save_images(Path(temporary, "images.npz"), options.data, options.images)
        train = ("train", "--data", "../images.npz", "--recipe", options.recipe, "--epochs", str(options.epochs))
        intervals: dict[str, dict[str, Speeds]] = {name: {"autoencoder": [], "flow": []} for name in BUILDS}
        for round_number in range(options.rounds):
            for name, checkout in zip(BUILDS, (Path(aegen.__file__).parent, options.other.resolve()), strict=True):
                folder = Path(temporary, name)
                folder.mkdir(exist_ok=True)
                if not (folder / "aegen").exists():
                    (folder / "aegen").symlink_to(checkout)  # makes `import aegen` import this checkout
                run = f"run{round_number}"
                intervals[name]["autoencoder"] += timed(folder, "epoch ", *train, "-o", run)
                intervals[name]["flow"] += timed(folder, "step ", "train-prior", run, "--steps", str(options.steps))
    work = {"autoencoder": images, "flow": REPORT_STEPS}
    results = {stage: summary({name: intervals[name][stage] for name in BUILDS}, work[stage]) for stage in work}
    print(json.dumps(results, indent=1))


def save_images(file: Path, data: str, count: int) -> int:
    """Write the first `count` images of a data set and their labels to an npz file.

    Returns how many of these images remain for training after validation images are split off.
    """
    dataset = load(str(Path(data).resolve()) if Path(data).exists() else data)
    arrays = {"images": dataset.train.images[:count]}
    if dataset.train.labels is not None:
        arrays["labels"] = dataset.train.labels[:count]
    np.savez(file, **arrays)
    return load(str(file)).facts.training_images


def timed(folder: Path, prefix: str, *arguments: str) -> Speeds:
    """Run a command of the build in a folder. Returns the times between the reported lines that begin with `prefix`."""
    command = [sys.executable, "-m", "aegen", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(folder), "ORT_DISABLE_TELEMETRY": "1"}
    marks, lines = [], []
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stderr or ():
            lines.append(line)
            if line.startswith(prefix):
                marks.append((time.perf_counter(), cpu_seconds(process.pid)))
    if process.returncode:
        sys.exit("".join(lines))
    pairs = itertools.pairwise(marks)
    return [{"wall": end[0] - start[0], "cpu": end[1] - start[1]} for start, end in pairs]


def cpu_seconds(pid: int) -> float:
    """Processor time that a running process has used so far, in seconds. Needs Linux."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def summary(times: dict[str, Speeds], work: int) -> dict[str, Any]:
    """The speeds of both builds, and their ratio. work: number of images or steps in an interval."""
    result = {}
    for kind in ("wall", "cpu"):
        speed = {name: work / statistics.median(one[kind] for one in times[name]) for name in BUILDS}
        rounded = {name: round(value, 1) for name, value in speed.items()}
        result[kind] = {**rounded, "ratio": round(speed["this"] / speed["other"], 3)}
    return result


if __name__ == "__main__":
    main()
