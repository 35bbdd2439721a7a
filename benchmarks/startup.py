"""Measure how long aegen's commands take, compared with importing the libraries and opening the onnxruntime sessions.

Prints JSON: median times in milliseconds, and ratios of these medians. Run it with the Python of an environment in
which aegen is installed.

    python benchmarks/startup.py
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from aegen.runtime.artifact import DECODER, find, read_manifest

IMPORTS = "import numpy, onnxruntime, PIL.Image"
SESSIONS = """
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
for graph in sys.argv[1:]:
    onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
"""


def main() -> None:
    """Run every command once per round, for several rounds, and print the median times and their ratios."""
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
            "imports and sessions": [sys.executable, "-c", f"import sys\n{IMPORTS}\n{SESSIONS}", *graphs],
            "aegen sample -n 64": [aegen, "sample", "-n", "64", "-o", str(Path(folder) / "grid.png")],
        }
        environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds + 1):  # the first round fills the disk cache and is not counted
            for name, command in commands.items():
                start = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True, env=environment)
                times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(seconds[1:]) for name, seconds in times.items()}
    ratios = {
        "help to click": medians["aegen --help"] / medians["import click"],
        "sample to imports and sessions": medians["aegen sample -n 64"] / medians["imports and sessions"],
    }
    milliseconds = {name: round(value * 1e3, 1) for name, value in medians.items()}
    print(json.dumps({"milliseconds": milliseconds, "ratios": {k: round(v, 2) for k, v in ratios.items()}}, indent=1))


if __name__ == "__main__":
    main()
