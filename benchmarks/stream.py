"""Measure how much slower many samples become when they are written to a file, and how much memory that takes.

The samples are drawn as uint8 in three ways, each in a process of its own:

* nothing: `iter_sample`, whose batches are dropped; timed from the call to the last batch
* command: `aegen sample -o FILE.npy`; timed from the start of the process to its end, when the file is on the disk
* memory map: `iter_sample`, whose batches are copied to a memory map of a `.npy` file and released; timed from the call
  until the file is on the disk

The three take turns for several rounds. Prints JSON: the median samples per second of each, their medians as ratios to
`nothing` in the same round, the CPU seconds of the whole process, and the peak memory (resident set) in MB.

    python benchmarks/stream.py --n 1000000
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from measured_process import run_measured

PREPARED = """
import sys, time
import aegen
import numpy as np

name, n, file = sys.argv[1], int(sys.argv[2]), sys.argv[3]
model = aegen.load(name)
start = time.perf_counter()
"""
NOTHING = """
for batch in model.iter_sample(n, seed=0, dtype="uint8"):
    pass
"""
MEMORY_MAP = """
import mmap

images = np.lib.format.open_memmap(file, "w+", np.uint8, (n, *model.image_shape))
done = written = 0
for batch in model.iter_sample(n, seed=0, dtype="uint8"):
    images[done : done + len(batch)] = batch
    done += len(batch)
    if images[written:done].nbytes > 1 << 24:
        images._mmap.madvise(mmap.MADV_DONTNEED)
        written = done
images.flush()
"""
REPORTED = "print(time.perf_counter() - start)"


def main() -> None:
    """Run the three ways in turn, and print their rates, ratios and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mnist-fast")
    parser.add_argument("--n", type=int, default=1_000_000, help="how many samples")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the files are written for a while")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        file = Path(folder) / "samples.npy"
        arguments = [options.model, str(options.n), str(file)]
        sample = ["sample", "-n", str(options.n), "-o", str(file), "--seed", "0", "--dtype", "uint8"]
        commands = {
            "nothing": [sys.executable, "-c", PREPARED + NOTHING + REPORTED, *arguments],
            "command": [sys.executable, "-m", "aegen", *sample, "--quiet", "--model", options.model],
            "memory map": [sys.executable, "-c", PREPARED + MEMORY_MAP + REPORTED, *arguments],
        }
        rounds: list[dict[str, dict[str, float]]] = []
        for _ in range(options.rounds):
            rounds.append({})
            for name, command in commands.items():
                rounds[-1][name] = measure(command)
                file.unlink(missing_ok=True)
    results = {name: summary(rounds, name, options.n) for name in commands}
    print(json.dumps({"model": options.model, "samples": options.n, "results": results}, indent=1))


def measure(command: list[str]) -> dict[str, float]:
    """Run a command. Returns its seconds, its CPU seconds and its peak memory in MB.

    The seconds are those that the command prints or, if it prints nothing, those from its start to its end.
    """
    measured = run_measured(command)
    seconds = float(measured.output or measured.wall)
    return {"seconds": seconds, "cpu_seconds": measured.cpu, "peak_mb": measured.peak_mb}


def summary(rounds: list[dict[str, dict[str, float]]], name: str, n: int) -> dict[str, float]:
    """The medians over all rounds of the measurements of one way to draw n samples."""
    results = [measured[name] for measured in rounds]
    ratios = [measured["nothing"]["seconds"] / measured[name]["seconds"] for measured in rounds]
    return {
        "samples_per_second": round(n / statistics.median(one["seconds"] for one in results)),
        "ratio_to_nothing": round(statistics.median(ratios), 3),
        "cpu_seconds": round(statistics.median(one["cpu_seconds"] for one in results), 1),
        "peak_mb": round(max(one["peak_mb"] for one in results), 1),
    }


if __name__ == "__main__":
    main()
