"""A seeded fuzzer of everything that reads input: untrusted input must give a valid result or one clear error.

    python tests/attack/fuzz.py --trials 100000 --seed 0
    python tests/attack/fuzz.py --trials 2000 --reader graphs
    python tests/attack/fuzz.py --only 1234            # one trial again, with its traceback

A trial mutates a valid input and gives it to aegen. A "reader" is one kind of trial, such as `graphs` or `image`;
readers.py defines them. A trial passes if aegen returns a valid result or raises an AegenError with a short message,
within ten seconds and 600 MB of additional memory (200 MB for a refused input), and if nothing else is written to
standard output or standard error. If a trial mutates a file of an artifact, it also writes the file's new hash into the
manifest, so that most trials pass the hash check. Trials run in worker processes. If a worker dies or hangs, the fuzzer
records the reader and the trial number, and starts a new worker. The same seed and trial number always give the same
input.

Prints JSON: the number of trials, their outcomes, the stages that they reached (such as "graph checked"), and the
findings (rules that a trial broke), with equal findings counted together. Exits with 1 if there is any finding, or if
there is a reader that mutates artifacts of whose trials fewer than half passed the hash check.
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

MAX_SECONDS = 10.0  # time limit of a trial in seconds
READERS = Path(__file__).with_name("readers.py")
MAX_START_SECONDS = 120.0  # time limit in seconds for a worker process to begin its first trial
MAX_EXTRA_BYTES = 6 << 30  # bytes of address space that a worker may allocate after its start


def load(file):
    """Import the module that defines the readers. file: readers.py, or another file in tests of the fuzzer."""
    folder, name = str(file.parent), file.stem
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(name)


def schedule(counts):
    """Make a list of reader names in a fixed random order; trial i runs the reader at index i modulo its length.

    counts: for each reader, by name, how often the name is in the list.
    """
    names = [name for name, count in counts.items() for _ in range(count)]
    random.Random(0).shuffle(names)
    return names


class Worker:
    """A child process that runs the trials first, first + step, first + 2 step, ..., and reports through a pipe."""

    def __init__(self, options, first, step):
        self.options, self.first, self.step = options, first, step
        self.start(first)

    def start(self, first):
        """Start the process, or restart it after a trial that killed it. first: the number of its first trial."""
        self.pipe, writing = os.pipe()
        command = [sys.executable, __file__, "--report", str(writing), "--first", str(first), "--step", str(self.step)]
        for name in ("trials", "seed", "reader", "readers", "folder"):
            value = getattr(self.options, name)
            command += [f"--{name}", str(value)] if value is not None else []
        self.process = subprocess.Popen(command, pass_fds=(writing,), start_new_session=True)
        os.close(writing)
        self.buffer, self.current, self.since = b"", None, time.monotonic()

    def lines(self):
        """Return what the process has reported since the last call, or None if the process has ended.

        It reports a trial's number when the trial starts, and a dict with the trial's result when it ends.
        """
        content = os.read(self.pipe, 1 << 20)
        if not content:
            return None
        *whole, self.buffer = (self.buffer + content).split(b"\n")
        return [json.loads(line) for line in whole]

    def stuck(self):
        """Return whether the current trial, or the start of the process, has exceeded its time limit."""
        return time.monotonic() - self.since > (MAX_START_SECONDS if self.current is None else self.options.limit)

    def kill(self):
        """Kill the process and all processes that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def run(options, module):
    """Run all trials in worker processes, and return the report that `main` prints. module: defines the readers."""
    start, tally = time.monotonic(), Tally()
    plan = schedule(module.TRIALS_PER_THOUSAND)
    watched = selectors.DefaultSelector()
    workers = [Worker(options, first, options.workers) for first in range(options.workers)]
    for worker in workers:
        watched.register(worker.pipe, selectors.EVENT_READ, worker)
    failed_starts = 0
    while workers:
        for key, _ in watched.select(timeout=0.5):
            failed_starts += _listen(key.data, watched, workers, tally, plan)
        if failed_starts > 3:
            raise SystemExit("Workers cannot start; see their messages on standard error.")
        for worker in workers:
            if worker.stuck():
                worker.kill()
    return report(options, tally, module, time.monotonic() - start)


def _listen(worker, watched, workers, tally, plan):
    """Add a worker's new reports to the tally. If its process died, restart it with its next trial.

    Returns True if the process died before its first trial, otherwise False.
    """
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
    """Runs trials in this process, one after another."""

    def __init__(self, module, seed, folder=None, trace=False):
        self.module, self.seed, self.trace = module, seed, trace
        self.scratch = oracle.scratch(folder)
        root = Path(self.scratch.name)
        self.folder = root / "trial"
        self.folder.mkdir()
        self.fixtures = module.Fixtures(root)
        self.plan = schedule(module.TRIALS_PER_THOUSAND)
        self.streams, self.memory = oracle.Streams(), oracle.Memory()
        warnings.simplefilter("always")  # show every warning, not only the first of each kind
        for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", kind)
        for reader in module.WARM:  # warm-up: loads modules and allocates memory that must not count for a trial
            self._run(oracle.Trial("warm", 0, reader, self.folder))
        self.baseline = self.memory.read()[0]

    def trial(self, number):
        """Run the trial with this number. Returns the Trial object, and its result as values for JSON."""
        trial = oracle.Trial(self.seed, number, self.plan[number % len(self.plan)], self.folder, self.trace)
        trial.measure, start = self.memory, time.perf_counter()
        self._run(trial)
        seconds = time.perf_counter() - start
        after, peak = self.memory.read()
        peak = peak if self.memory.measured else after
        trial.check_memory(peak, self.baseline)
        return trial, {
            "number": number,
            "reader": trial.reader,
            "outcome": trial.outcome,
            "stage": oracle.STAGES[trial.stage],
            "seconds": round(seconds, 4),
            "peak": round(0.0 if trial.before is None else peak - trial.before, 1),  # MB of peak memory added
            "growth": round(after - self.baseline, 1),
            "findings": trial.findings,
        }

    def _run(self, trial):
        trial.read_output = self.streams.read
        self.fixtures.trial = trial
        try:
            self.module.READERS[trial.reader](trial, self.fixtures)
        except Exception:
            error = traceback.format_exc()
            trial.add_finding("fault of the harness", error.splitlines()[-1], error[-500:])
        oracle.settle()
        self.fixtures.trial = None
        trial.check_output(*self.streams.read())
        self.streams.attach()
        shutil.rmtree(self.folder)
        self.folder.mkdir()


def work(options):
    """Run all trials of a worker; its process calls this function.

    Report each trial's number before the trial starts, and its result when it ends.
    """
    import resource

    runner = Runner(load(options.readers), options.seed, options.folder)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + MAX_EXTRA_BYTES, used + MAX_EXTRA_BYTES))
    with os.fdopen(options.report, "w", buffering=1) as report_file:
        for number in range(options.first, options.trials, options.step):
            if options.reader and runner.plan[number % len(runner.plan)] not in options.reader.split(","):
                continue
            report_file.write(f"{number}\n")
            report_file.write(json.dumps(runner.trial(number)[1]) + "\n")
    sys.stdout.flush()
    os._exit(0)


def again(options):
    """Run only the trial `options.only`, print its tracebacks and its result, and return the exit code."""
    runner = Runner(load(options.readers), options.seed, trace=True)
    trial, result = runner.trial(options.only)
    runner.streams.detach()
    findings = trial.findings
    tracebacks = [text for kind, text, _ in findings if kind == "traceback"]
    result["findings"] = [finding for finding in findings if finding[0] != "traceback"]
    sys.stdout.write("\n".join([*tracebacks, json.dumps(result, indent=1)]) + "\n")
    return int(bool(result["findings"]))


def main():
    """Run the trials that the command line asks for. Exit with 0 if all pass, otherwise with 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100_000, help="Number of trials.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", help="Only trials of these readers, separated by commas.")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--only", type=int, metavar="TRIAL", help="Run one trial in this process and show its tracebacks."
    )
    parser.add_argument("--limit", type=float, default=MAX_SECONDS, help="Seconds per trial.")
    parser.add_argument(
        "--readers", type=Path, default=READERS, help="A file with other readers, to test this harness."
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
    unknown = set((options.reader or "").split(",")) - {"", *module.TRIALS_PER_THOUSAND}
    if unknown:
        parser.error(f"readers are {', '.join(module.TRIALS_PER_THOUSAND)}")
    with oracle.scratch() as options.folder:  # made here, because a killed worker could not remove it
        result = run(options, module)
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    sys.exit(0 if result["passed"] else 1)


if __name__ == "__main__":
    main()
