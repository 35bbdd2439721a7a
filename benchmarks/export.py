"""Compare `aegen export` of this checkout and of another one: its time, and the quality of the mixtures that it fits.

Prints JSON:

* seconds, cpu_seconds: median time of `aegen export`, and median processor time; a ratio is this checkout's
  time divided by the other one's
* stages: median seconds of each step that the command reports; "start" is the time before the first one
* mixture: the Gaussian mixtures that both fit to the same latents of training images: the numbers of their components,
  and the mean log density of the latents of all validation images, in nats

Each checkout trains a run with the same options and exports this run, because it may be unable to read the runs of the
other. The checkouts take turns. Options after `--` go to `aegen train`.

    python benchmarks/export.py ../other-checkout --data mnist
    python benchmarks/export.py ../other-checkout --data mnist -- --kind vae --network conv --epochs 1
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
TRAINING = ("--epochs", "1")  # options of `aegen train`, unless the command line gives others

FIT = """
import json, sys
import numpy as np
from aegen.export.statistics import fit, log_likelihoods
latents = np.load(sys.argv[1])
arrays = fit(latents["training"], latents["held_out"], latents.get("labels"))
nats = log_likelihoods(arrays, latents["held_out"])["gmm"]
print(json.dumps({"nats": nats, "components": len(arrays["gmm_weights"])}))
"""


def main() -> None:
    """Train both runs, export them in turn, fit both mixtures, and print the results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, metavar="CHECKOUT", help="the root of the other checkout")
    parser.add_argument("--data", default="mnist", help="name or path of the training data")
    parser.add_argument("--rounds", type=int, default=3, help="how often each build exports its run")
    parser.add_argument("training", nargs="*", default=TRAINING, metavar="OPTION", help="options of `aegen train`")
    options = parser.parse_args()
    data = str(Path(options.data).resolve()) if Path(options.data).exists() else options.data
    with tempfile.TemporaryDirectory() as temporary:
        folders = {name: Path(temporary, name) for name in BUILDS}
        for name, checkout in zip(BUILDS, (Path(aegen.__file__).parent, options.other.resolve()), strict=True):
            folders[name].mkdir()
            (folders[name] / "aegen").symlink_to(checkout)  # makes `import aegen` import this checkout
            python(folders[name], "-m", "aegen", "train", "--data", data, *options.training, "-o", "run")
        times: dict[str, list[dict[str, float]]] = {name: [] for name in BUILDS}
        for _ in range(options.rounds):
            for name in BUILDS:
                times[name].append(timed_export(folders[name], data))
        latents = folders["this"] / "latents.npz"
        save_latents(latents, folders["this"] / "artifact", data)
        mixtures = {name: json.loads(python(folders[name], "-c", FIT, str(latents))) for name in BUILDS}
    print(json.dumps(summary(times, mixtures), indent=1))


def python(folder: Path, *arguments: str) -> str:
    """Run Python in a folder that holds a build as `aegen`. Returns its standard output."""
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, check=True, cwd=folder, env=environment(folder), stdout=subprocess.PIPE
    ).stdout.decode()


def timed_export(folder: Path, data: str) -> dict[str, float]:
    """Export the run of a build. Returns the seconds of each stage, and the totals "seconds" and "cpu_seconds"."""
    command = [sys.executable, "-m", "aegen", "export", "run", "--data", data, "-o", "artifact", "--overwrite"]
    before, marks = os.times(), [("start", time.perf_counter())]
    with subprocess.Popen(command, cwd=folder, env=environment(folder), stderr=subprocess.PIPE, text=True) as process:
        lines = []
        for line in process.stderr or ():
            lines.append(line)
            if line.endswith(" ...\n"):
                marks.append((line.removesuffix(" ...\n"), time.perf_counter()))
    if process.returncode:
        sys.exit("".join(lines))
    after, marks = os.times(), [*marks, ("end", time.perf_counter())]
    cpu_seconds = after.children_user - before.children_user + after.children_system - before.children_system
    stages = {name: end - start for (name, start), (_, end) in itertools.pairwise(marks)}
    return {**stages, "seconds": marks[-1][1] - marks[0][1], "cpu_seconds": cpu_seconds}


def environment(folder: Path) -> dict[str, str]:
    """Environment variables with which Python imports the build that is in a folder."""
    return {**os.environ, "PYTHONPATH": str(folder), "ORT_DISABLE_TELEMETRY": "1"}


def save_latents(file: Path, artifact: Path, data: str) -> None:
    """Write the latents of training and validation images, and the labels of the training images, to an npz file."""
    dataset, model = load(data), aegen.load(artifact)
    labels = {} if dataset.train.labels is None else {"labels": dataset.train.labels}
    training, held_out = model.encode(dataset.train.images), model.encode(dataset.validation.images)
    np.savez(file, training=training, held_out=held_out, **labels)


def summary(times: dict[str, list[dict[str, float]]], mixtures: dict[str, dict[str, float]]) -> dict[str, Any]:
    """The results to print. times: for each build, the times of its rounds. mixtures: what FIT printed for each."""
    medians = {
        build: {stage: round(statistics.median(one[stage] for one in rounds), 2) for stage in rounds[0]}
        for build, rounds in times.items()
    }
    totals = {kind: {build: medians[build].pop(kind) for build in BUILDS} for kind in ("seconds", "cpu_seconds")}
    for values in totals.values():
        values["ratio"] = round(values["this"] / values["other"], 3)
    gain = mixtures["this"]["nats"] - mixtures["other"]["nats"]
    return {**totals, "stages": medians, "mixture": {**mixtures, "nats_gained": round(gain, 4)}}


if __name__ == "__main__":
    main()
