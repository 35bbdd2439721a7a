"""Compare the installed build of aegen with an older one: speed, start-up time, memory, and quality of samples.

Prints tables on standard error, and one JSON document on standard output: all values, and under "bars" the goals of
build_bars.py, each with its value and whether it passed. The wheel of the older build is installed in a temporary
folder. Each build runs in processes of its own, one at a time. The builds take turns, round after round, and every
value is a median over the rounds. Quality needs --data and aegen's extra `train`. The names of bars that were not
measured are under "left_out". Needs Linux.

    git worktree add ../older COMMIT
    pip wheel --no-deps --wheel-dir ../wheels ../older
    python benchmarks/against_build.py --build ../wheels/aegen-0.1.0-py3-none-any.whl --data mnist
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from build_bars import BARS, BULK, Results
from measured_process import run_measured

THIS, OLDER = BUILDS = ("this", "older")
BATCHES, THREADS = (1, 64, 1024, BULK), (1, 2)
SAMPLES, SEEDS = 10_000, (0, 1, 2)  # number of samples that are scored, and their seeds
DISK_MODEL, DISK_ROUNDS = "mnist-fast", 3
IMPORTS = "import numpy, onnxruntime, PIL.Image"
FIRST_SAMPLE = f"""
import sys, time
{IMPORTS}
import aegen
wall, cpu = time.perf_counter(), time.process_time()
image = aegen.load(sys.argv[1]).sample(1, seed=0, dtype="uint8")
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
import hashlib, json
print(json.dumps({{"wall": wall, "cpu": cpu, "sha256": hashlib.sha256(image.tobytes()).hexdigest()}}))
"""
ITERATION = """
import sys
import aegen
for images in aegen.load(sys.argv[1]).iter_sample(int(sys.argv[2]), seed=0, dtype="uint8"):
    pass
"""
Round = dict[str, dict[str, Any]]  # name of a measurement -> "wall" and "cpu" seconds, "sha256" of pixels

# This process must import neither numpy nor aegen, because their memory would count for the child processes: the peak
# memory that Linux reports for a child is at least the memory of its parent when the child was started.


class Build:
    """A build of aegen: the installed one, or one in a folder that comes first on Python's path."""

    def __init__(self, folder: Path | None = None) -> None:
        path = {} if folder is None else {"PYTHONPATH": str(folder)}
        self.environment = {**os.environ, **path, "AEGEN_MODEL": "", "ORT_DISABLE_TELEMETRY": "1"}
        self.script = str(Path(sys.executable).with_name("aegen") if folder is None else folder / "bin" / "aegen")
        worker = [sys.executable, "-P", str(Path(__file__).with_name("build_worker.py"))]  # -P: not from this folder
        self._worker = subprocess.Popen(worker, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, function: str, **arguments: Any) -> Any:
        """Call a function of build_worker.py in the worker process of this build, and return its result."""
        self._worker.stdin.write(json.dumps({"function": function, **arguments}).encode() + b"\n")
        self._worker.stdin.flush()
        answer = self._worker.stdout.readline()
        if not answer:
            sys.exit(f"{function} failed in the worker process of {self.script}")
        return json.loads(answer)

    def close(self) -> None:
        """End the worker process."""
        self._worker.communicate()


def main() -> None:
    """Measure everything, and print the tables and the JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True, metavar="WHEEL", help="the wheel of the older build")
    parser.add_argument("--data", metavar="NAME|FOLDER", help="the images that samples are compared with, for quality")
    parser.add_argument("--models", nargs="+", default=["mnist", "mnist-fast"])
    parser.add_argument("--batches", type=int, nargs="*", default=BATCHES, help="images in a call")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each speed")
    parser.add_argument("--starts", type=int, default=15, help="rounds of each start of a process")
    parser.add_argument("--to-disk", type=int, default=1_000_000, help="samples written to a file; 0 leaves this out")
    parser.add_argument("--seconds", type=float, default=0.2, help="time to measure a short call in a round")
    options = parser.parse_args()
    if not options.build.is_file():
        parser.error(f"--build: found no file {options.build}, expected a wheel")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder / "older")]
        subprocess.run([*install, str(options.build)], check=True)
        builds = {THIS: Build(), OLDER: Build(folder / "older")}
        results: Results = {"processor": processor()}
        results["builds"] = {name: build.ask("versions") for name, build in builds.items()}
        results["command"] = command(builds, options.starts, folder)
        results["first_sample"] = {model: first_sample(builds, model, options.starts) for model in options.models}
        results["speed"] = speeds(builds, options)
        if options.to_disk:
            results["to_disk"] = to_disk(builds[THIS], options.to_disk, folder)
        measured = [results["command"], *results["first_sample"].values(), *results["speed"]]
        results["changed_pixels"] = sum(row["changed_pixels"] for row in measured)
        if options.data:
            results.update(quality(builds, options, folder))
        for build in builds.values():
            build.close()
    results["worst_speedup"] = min(results["speed"], key=lambda row: row["speedup"], default=None)
    results["bars"] = [bar.check(results) for bar in BARS if bar.is_measured(results)]
    results["left_out"] = [bar.name for bar in BARS if not bar.is_measured(results)]
    print_tables(results)
    print(json.dumps(results, indent=1))


def processor() -> str:
    """The name of the processor, and the number of CPUs that this process may use."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return f"{name}, {len(os.sched_getaffinity(0))} CPUs"


def command(builds: dict[str, Build], rounds: int, folder: Path) -> dict[str, Any]:
    """Time `aegen sample -n 64 -o grid.png`, and its imports alone, from the start of the process to its exit."""
    grid = str(folder / "grid.png")
    commands = {name: [build.script, "sample", "-n", "64", "--seed", "0", "-o", grid] for name, build in builds.items()}
    environments = {name: build.environment for name, build in builds.items()}
    measured: list[Round] = []
    for number in range(rounds + 1):  # the first round fills the disk cache and is not counted
        measured.append({"imports": timed_process([sys.executable, "-c", IMPORTS], environments[THIS])})
        for name in in_turn(number):
            measured[-1][name] = timed_process(commands[name], environments[name])
            measured[-1][name]["sha256"] = builds[THIS].ask("image_hash", file=grid)
    return {
        **medians(measured[1:]),
        "to_imports": {name: ratio(measured[1:], "wall", name, "imports") for name in BUILDS},
        "cpu_to_imports": {name: ratio(measured[1:], "cpu", name, "imports") for name in BUILDS},
        "memory_ratio": ratio(measured[1:], "peak_mb", THIS, OLDER),
    }


def timed_process(arguments: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """Run a command. Returns wall-clock seconds, processor seconds (user and system), and the peak memory in MB."""
    measured = run_measured(arguments, environment)
    return {"wall": measured.wall, "cpu": measured.cpu, "peak_mb": measured.peak_mb}


def first_sample(builds: dict[str, Build], model: str, rounds: int) -> dict[str, Any]:
    """Time `load` and the first sample in new processes that have imported numpy, onnxruntime, Pillow and aegen."""
    measured: list[Round] = []
    for number in range(rounds + 1):  # the first round is for warm-up and is not counted
        measured.append({})
        for name in in_turn(number):
            process = [sys.executable, "-P", "-c", FIRST_SAMPLE, model]
            done = subprocess.run(process, env=builds[name].environment, check=True, stdout=subprocess.PIPE)
            measured[-1][name] = json.loads(done.stdout)
    ratios = {f"{kind}_ratio": ratio(measured[1:], kind, THIS, OLDER) for kind in ("wall", "cpu")}
    return {**medians(measured[1:]), **ratios}


def to_disk(build: Build, n: int, folder: Path) -> dict[str, Any]:
    """Time a process that writes n samples of DISK_MODEL to a file, and a process that discards as many samples."""
    file = folder / "samples.npy"
    sample = [build.script, "sample", "--model", DISK_MODEL, "-n", str(n), "--seed", "0", "--dtype", "uint8", "-o"]
    commands = {"file": [*sample, str(file)], "nothing": [sys.executable, "-P", "-c", ITERATION, DISK_MODEL, str(n)]}
    measured = [
        {name: timed_process(command, build.environment) for name, command in commands.items()}
        for _ in range(DISK_ROUNDS)
    ]
    file.unlink()
    ratios = {f"{kind}_ratio": ratio(measured, kind, "nothing", "file") for kind in ("wall", "cpu")}
    return {"model": DISK_MODEL, "n": n, **medians(measured), **ratios}


def speeds(builds: dict[str, Build], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Time `sample` for every model, number of images and number of threads."""
    rows = []
    for model, n, threads in itertools.product(options.models, options.batches, THREADS):
        call = {"model": model, "n": n, "threads": threads, "seconds": options.seconds}
        measured = [
            {name: builds[name].ask("sampling_time", **call) for name in in_turn(number)}
            for number in range(options.rounds)
        ]
        times = medians(measured)
        rates = {name: n / times[name]["wall"] for name in BUILDS}
        ratios = {"speedup": ratio(measured, "wall", OLDER, THIS), "cpu_speedup": ratio(measured, "cpu", OLDER, THIS)}
        rows.append({"model": model, "n": n, "threads": threads, "samples_per_second": rates, **ratios, **times})
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


def quality(builds: dict[str, Build], options: argparse.Namespace, folder: Path) -> Results:
    """Score the samples and reconstructions of both builds with the metrics of this build."""
    test_images, samples, reconstructions = (str(folder / f"{name}.npz") for name in ("test", "samples", "again"))
    data = {"data": str(Path(options.data).resolve()) if Path(options.data).exists() else options.data, "n": SAMPLES}
    this = builds[THIS]
    results: Results = {"real_images": this.ask("reference_scores", **data, file=test_images)}
    results |= {"quality": {}, "reconstruction_mse": {}}
    for model in options.models:
        results["quality"][model] = [{"seed": seed} for seed in SEEDS]
        for name, row in itertools.product(BUILDS, results["quality"][model]):
            builds[name].ask("write_samples", model=model, n=SAMPLES, seed=row["seed"], file=samples)
            row[name] = this.ask("sample_scores", **data, file=samples)
        errors = results["reconstruction_mse"][model] = {}
        for name in BUILDS:
            builds[name].ask("write_reconstructions", model=model, images=test_images, file=reconstructions)
            errors[name] = this.ask("reconstruction_error", **data, file=reconstructions)
    return results


def in_turn(number: int) -> tuple[str, ...]:
    """The order of the builds in a round: each build is first in every second round."""
    return BUILDS if number % 2 else BUILDS[::-1]


def medians(rounds: list[Round]) -> dict[str, Any]:
    """Median of each value over the rounds, by name of the measurement, and in how many rounds pixels differed."""
    changed, result = 0, {}
    for name in rounds[0]:
        values = {key: [one[name][key] for one in rounds] for key in rounds[0][name]}
        hashes = values.pop("sha256", [])
        changed += sum(one != hashes[0] for one in hashes)
        result[name] = {key: statistics.median(numbers) for key, numbers in values.items()}
    return {**result, "changed_pixels": changed}


def ratio(rounds: list[Round], key: str, a: str, b: str) -> float:
    """Median over the rounds of the value of `a` divided by the value of `b`."""
    return statistics.median(one[a][key] / one[b][key] for one in rounds)


def print_tables(results: Results) -> None:
    """Print the speeds, and the goals of build_bars.py, as tables in Markdown on standard error."""
    lines = ["| model | images in a call | threads | samples/s | older | times as many | by processor time |"]
    lines += ["| --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for row in results["speed"]:
        rates = row["samples_per_second"]
        lines += [
            f"| {row['model']} | {row['n']:,} | {row['threads']} | {rates[THIS]:,.0f} | {rates[OLDER]:,.0f} "
            f"| {row['speedup']:.2f} | {row['cpu_speedup']:.2f} |"
        ]
    lines += ["", "| bar | value | limit | passed |", "| --- | ---: | ---: | --- |"]
    for bar in results["bars"]:
        lines += [f"| {bar['name']} | {bar['value']:.4g} | {bar['limit']} | {'yes' if bar['passed'] else 'no'} |"]
    lines += [f"| {name} | not measured | | |" for name in results["left_out"]]
    print("\n".join(lines), file=sys.stderr)


if __name__ == "__main__":
    main()
