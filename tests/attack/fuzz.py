"""A seeded fuzzer of everything that reads: proves that untrusted input gives a valid result or one clear error.

    python tests/attack/fuzz.py --trials 100000 --seed 0
    python tests/attack/fuzz.py --trials 2000 --reader graphs
    python tests/attack/fuzz.py --only 1234            # one trial again, with its traceback

A trial makes an input by mutation (readers.py says of what), gives it to aegen, and passes if aegen returns a valid
result or raises an AegenError with a short message, in ten seconds and 600 MB (200 MB where it refuses), and nothing
else is written to the standard streams. Files of an artifact get their hashes in the manifest made anew, so that trials
come past the hash stage. Trials run in worker processes: one that dies or hangs is recorded by reader and number, and
replaced. The same seed and number always make the same input.

Prints JSON: what was run, how trials ended, how far they came, and what was found, alike findings together. Exits with
1 if anything was found, or if fewer than half of the trials of a reader of artifacts passed the hash stage.
"""

import argparse
import contextlib
import importlib
import json
import os
import random
import selectors
import shutil
import signal
import subprocess
import sys
import time
import traceback
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import oracle
from tally import Tally, report

LIMIT = 10.0  # seconds for a trial
READERS = Path(__file__).with_name("readers.py")
START_LIMIT = 120.0  # seconds for a worker to get ready
ROOM = 6 << 30  # bytes of address space that a worker may take beyond what it has when it is ready


def load(file):
    """A module of readers: aegen's, or, to test this harness, those of another file."""
    folder, name = str(file.parent), file.stem
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(name)


def schedule(shares):
    """Which reader each trial is for; it begins anew when all have had their share."""
    names = [name for name, share in shares.items() for _ in range(share)]
    random.Random(0).shuffle(names)
    return names


class Worker:
    """A process that runs every `step`-th trial from `first`, and tells of each through a pipe."""

    def __init__(self, options, first, step):
        self.options, self.first, self.step = options, first, step
        self.start(first)

    def start(self, first):
        """Begin, or begin again after a trial that was the end of the process before."""
        self.pipe, writing = os.pipe()
        command = [sys.executable, __file__, "--report", str(writing), "--first", str(first), "--step", str(self.step)]
        for name in ("trials", "seed", "reader", "readers", "folder"):
            value = getattr(self.options, name)
            command += [f"--{name}", str(value)] if value is not None else []
        self.process = subprocess.Popen(command, pass_fds=(writing,), start_new_session=True)
        os.close(writing)
        self.buffer, self.current, self.since = b"", None, time.monotonic()

    def lines(self):
        """What it has told since the last time; None at the end."""
        content = os.read(self.pipe, 1 << 20)
        if not content:
            return None
        *whole, self.buffer = (self.buffer + content).split(b"\n")
        return [json.loads(line) for line in whole]

    def stuck(self):
        """Whether it is beyond its time."""
        return time.monotonic() - self.since > (START_LIMIT if self.current is None else self.options.limit)

    def kill(self):
        """End it, and all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def run(options, module):
    """All trials in worker processes; the report."""
    began, tally = time.monotonic(), Tally()
    plan = schedule(module.SHARES)
    watched = selectors.DefaultSelector()
    workers = [Worker(options, first, options.workers) for first in range(options.workers)]
    for worker in workers:
        watched.register(worker.pipe, selectors.EVENT_READ, worker)
    failed_starts = 0
    while workers:
        for key, _ in watched.select(timeout=0.5):
            failed_starts += _listen(key.data, watched, workers, tally, plan)
        if failed_starts > 3:
            raise SystemExit("Workers cannot get ready; see what they wrote.")
        for worker in workers:
            if worker.stuck():
                worker.kill()
    return report(options, tally, module, time.monotonic() - began)


def _listen(worker, watched, workers, tally, plan):
    """Take what a worker tells; replace it if a trial has ended it. Whether it ended before its first trial."""
    lines = worker.lines()
    for line in lines or ():
        worker.since = time.monotonic()
        if isinstance(line, int):
            worker.current = line
        else:
            tally.add(line)
    if lines is not None:
        return False
    watched.unregister(worker.pipe)
    os.close(worker.pipe)
    was_stuck, code = worker.stuck(), worker.process.wait()
    if code == 0:
        workers.remove(worker)
        return False
    failed = worker.current is None
    if not failed:
        reader = plan[worker.current % len(plan)]
        if was_stuck and code == -signal.SIGKILL:
            tally.ended("hang", reader, worker.current, f"more than {worker.options.limit:g} seconds")
        else:
            tally.ended(
                "crash", reader, worker.current, signal.Signals(-code).name if code < 0 else f"exit code {code}"
            )
        worker.start(worker.current + worker.step)
    else:
        worker.start(worker.first)
    watched.register(worker.pipe, selectors.EVENT_READ, worker)
    return failed


class Runner:
    """Runs trials one after the other in this process."""

    def __init__(self, module, seed, folder=None, trace=False):
        self.module, self.seed, self.trace = module, seed, trace
        self.scratch = oracle.scratch(folder)
        root = Path(self.scratch.name)
        self.folder = root / "trial"
        self.folder.mkdir()
        self.bench = module.Bench(root)
        self.plan = schedule(module.SHARES)
        self.streams, self.memory = oracle.Streams(), oracle.Memory()
        warnings.simplefilter("always")  # not the first of a kind alone
        for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", kind)
        for reader in module.WARM:  # modules are loaded and memory is taken before anything is measured
            self._run(oracle.Trial("warm", 0, reader, self.folder))
        self.baseline = self.memory.read()[0]

    def trial(self, number):
        """One trial, judged."""
        trial = oracle.Trial(self.seed, number, self.plan[number % len(self.plan)], self.folder, self.trace)
        trial.measure, began = self.memory, time.perf_counter()
        self._run(trial)
        seconds = time.perf_counter() - began
        after, peak = self.memory.read()
        peak = peak if self.memory.measured else after
        trial.memory(peak, self.baseline)
        return trial, {
            "number": number,
            "reader": trial.reader,
            "outcome": trial.outcome,
            "stage": oracle.STAGES[trial.stage],
            "seconds": round(seconds, 4),
            "peak": round(0.0 if trial.before is None else peak - trial.before, 1),  # what the trial added
            "growth": round(after - self.baseline, 1),
            "findings": trial.findings,
        }

    def _run(self, trial):
        trial.take = self.streams.taken
        self.bench.trial = trial
        try:
            self.module.READERS[trial.reader](trial, self.bench)
        except Exception:
            error = traceback.format_exc()
            trial.found("fault of the harness", error.splitlines()[-1], error[-500:])
        oracle.settle()
        self.bench.trial = None
        trial.streams(*self.streams.taken())
        self.streams.attach()
        shutil.rmtree(self.folder)
        self.folder.mkdir()


def work(options):
    """In a worker: run the trials that it is given, and tell of each before and after."""
    import resource

    runner = Runner(load(options.readers), options.seed, options.folder)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (taken + ROOM, taken + ROOM))
    with os.fdopen(options.report, "w", buffering=1) as report_file:
        for number in range(options.first, options.trials, options.step):
            if options.reader and runner.plan[number % len(runner.plan)] not in options.reader.split(","):
                continue
            report_file.write(f"{number}\n")
            report_file.write(json.dumps(runner.trial(number)[1]) + "\n")
    sys.stdout.flush()
    os._exit(0)


def again(options):
    """One trial with its tracebacks; the exit code."""
    runner = Runner(load(options.readers), options.seed, trace=True)
    trial, result = runner.trial(options.only)
    runner.streams.detach()
    findings = trial.findings
    tracebacks = [text for kind, text, _ in findings if kind == "traceback"]
    result["findings"] = [finding for finding in findings if finding[0] != "traceback"]
    sys.stdout.write("\n".join([*tracebacks, json.dumps(result, indent=1)]) + "\n")
    return int(bool(result["findings"]))


def main():
    """Run what the options ask for, and exit with 0 where nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100_000, help="Numbers of trials, from 0.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", help="Only these readers, of the same numbers; names with commas between them.")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--only", type=int, metavar="TRIAL", help="Run one trial in this process and show its tracebacks."
    )
    parser.add_argument("--limit", type=float, default=LIMIT, help="Seconds for a trial.")
    parser.add_argument(
        "--readers", type=Path, default=READERS, help="Attack those of another file: to test this harness."
    )
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    for name in ("report", "first", "step"):
        parser.add_argument(f"--{name}", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.report is not None:
        work(options)
    if options.only is not None:
        sys.exit(again(options))
    module = load(options.readers)
    unknown = set((options.reader or "").split(",")) - {"", *module.SHARES}
    if unknown:
        parser.error(f"readers are {', '.join(module.SHARES)}")
    with oracle.scratch() as options.folder:  # of all workers: one that is killed removes nothing
        found = run(options, module)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    sys.exit(0 if found["passed"] else 1)


if __name__ == "__main__":
    main()
