"""Measure how long aegen's commands take, compared with importing the libraries and opening the onnxruntime sessions.

Prints JSON: for each command the medians of the time from its start to its exit, of the processor time, both in
milliseconds, and of the peak memory in MB; and ratios of these medians. Run it with the Python of an environment in
which aegen is installed.

    python benchmarks/startup.py
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from aegen.runtime.artifact import DECODER, find, read_manifest
from measured_process import Measured, run_measured

IMPORTS = "import numpy, onnxruntime, PIL.Image"
SESSIONS = """
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
for graph in sys.argv[1:]:
    onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
"""
FIRST_SAMPLE = """
import time, numpy, onnxruntime, PIL.Image, aegen
aegen.load, aegen.show
start, used = time.perf_counter(), time.process_time()
aegen.load(sys.argv[1]).sample(64, seed=0)
print(time.perf_counter() - start, time.process_time() - used)
"""
MEASURES = ("milliseconds", "cpu_milliseconds", "peak_memory_mb")


def main() -> None:
    """Run every command once per round, for several rounds, and print the medians and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    rounds = parser.parse_args().rounds
    aegen = str(Path(sys.executable).with_name("aegen"))
    model = find()
    manifest = read_manifest(model)
    graphs = [str(model / graph) for graph in (DECODER, manifest.learned_priors[manifest.default_prior].graph)]
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "python": [sys.executable, "-c", "pass"],
            "import aegen": [sys.executable, "-c", "import aegen"],
            "import click": [sys.executable, "-c", "import click"],
            "aegen --help": [aegen, "--help"],
            "imports": [sys.executable, "-c", IMPORTS],
            "imports and sessions": [sys.executable, "-c", f"import sys\n{IMPORTS}\n{SESSIONS}", *graphs],
            "aegen sample -n 64": [aegen, "sample", "-n", "64", "-o", str(Path(folder) / "grid.png")],
        }
        results: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
        firsts: list[list[float]] = []
        for _ in range(rounds + 1):  # the first round fills the disk cache and is not counted
            for name, command in commands.items():
                results[name].append(measures(run_measured(command)))
            first = run_measured([sys.executable, "-c", f"import sys\n{FIRST_SAMPLE}", str(model)])
            firsts.append([float(text) * 1e3 for text in first.output.split()])
    medians = {name: medians_of(rows[1:]) for name, rows in results.items()}
    print(json.dumps(report(medians, medians_of(firsts[1:])), indent=1))


def medians_of(rows: Sequence[Sequence[float]]) -> list[float]:
    """The median of each column."""
    return [statistics.median(column) for column in zip(*rows, strict=True)]


def measures(measured: Measured) -> tuple[float, float, float]:
    """The values of a process that MEASURES names, in this order: times in milliseconds, memory in MB."""
    return measured.wall * 1e3, measured.cpu * 1e3, measured.peak_mb


def report(medians: dict[str, list[float]], first: list[float]) -> dict[str, object]:
    """The medians and their ratios, as values for JSON. medians: the MEASURES of each command, by the command's name.

    first: milliseconds by the clock and of the processor for the first sample of a process that has imported all
    modules.
    """
    sample, help_page = medians["aegen sample -n 64"], medians["aegen --help"]
    ratios = {
        "help to click": ratios_of(help_page, medians["import click"]),
        "sample to imports": ratios_of(sample, medians["imports"]),
        "sample to imports and sessions": ratios_of(sample, medians["imports and sessions"]),
    }
    commands = {
        name: {measure: round(value, 1) for measure, value in zip(MEASURES, values, strict=True)}
        for name, values in medians.items()
    }
    loaded = {measure: round(value, 1) for measure, value in zip(MEASURES[:2], first, strict=True)}
    return {"commands": commands, "load and first sample of 64 images": loaded, "ratios": ratios}


def ratios_of(one: list[float], other: list[float]) -> dict[str, float]:
    """The ratio of two commands' medians, for each of the MEASURES."""
    return {measure: round(a / b, 2) for measure, a, b in zip(MEASURES, one, other, strict=True)}


if __name__ == "__main__":
    main()
