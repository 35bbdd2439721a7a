"""Use one model from threads and forked processes at once for a given time, and print a report as JSON.

    python tests/attack/soak.py --seconds 600 --seed 0

Threads sample, encode and decode with one shared model, and load and drop models of their own. Meanwhile the main
thread forks child processes that do the same, by os.fork and by multiprocessing. Another thread starts new Python
processes, each of which forks while one of its threads uses aegen for the first time. Samples, latents and images are
compared with those of a model that uses a single thread, and every child process has a time limit. Exits with 1 if a
child process hangs, a result is wrong, or anything raises an error.
"""

import argparse
import collections
import itertools
import json
import multiprocessing
import os
import platform
import random
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

TINY = Path(__file__).parents[1] / "tiny" / "grey"
THREADS = 3  # number of threads that use the model while the main thread forks
MAX_SECONDS = 30.0  # time limit of a child process in seconds, far more than it needs even on a busy machine
SAMPLES = 700  # number of samples in a call: enough to be divided among the threads of a model
FRESH_INTERVAL = 4.0  # seconds between two starts of a new Python process
WARM_UP = 0.2  # fraction of the run after which memory is first measured, to compute its growth
OK, WRONG, RAISED = 0, 3, 4  # exit codes of a child process: right results, a wrong result, an error


class Calls:
    """Makes random calls of a model, and compares their results with those of a model that uses one thread."""

    def __init__(self, path):
        import aegen

        self.path = str(path)
        model = aegen.load(self.path, threads=1)
        self.seeds = range(4)
        self.priors = model.priors
        self.samples = {
            (prior, seed): model.sample(SAMPLES, prior=prior, seed=seed)
            for prior, seed in itertools.product(self.priors, self.seeds)
        }
        self.latents = {seed: model.encode(self.samples[self.priors[0], seed]) for seed in self.seeds}
        self.images = {seed: model.decode(self.latents[seed]) for seed in self.seeds}

    def check_one(self, model, choose):
        """Make one random call of a model, and return whether its result is right. choose: a random.Random."""
        import numpy as np

        kind, seed, prior = choose.choice(["sample", "iterate", "encode", "decode"]), choose.choice(self.seeds), None
        if kind in ("sample", "iterate"):
            prior = choose.choice(self.priors)
            expected = self.samples[prior, seed]
        if kind == "sample":
            result = model.sample(SAMPLES, prior=prior, seed=seed, batch_size=choose.choice([None, 100]))
        elif kind == "iterate":
            result = np.concatenate(list(model.iter_sample(SAMPLES, prior=prior, seed=seed, batch_size=100)))
        elif kind == "encode":
            result, expected = model.encode(self.samples[self.priors[0], seed]), self.latents[seed]
        else:
            result, expected = model.decode(self.latents[seed]), self.images[seed]
        return np.allclose(result, expected, atol=1e-4, rtol=1e-4)


class Soak:
    """One run of the soak test. counts: the numbers of calls, child processes and faults, by name."""

    def __init__(self, path, seed):
        import aegen

        self.calls = Calls(path)
        self.shared = aegen.load(self.calls.path, threads=2)
        self.seed, self.counts = seed, collections.Counter()
        self.errors, self.stop = [], threading.Event()

    def run(self, seconds, *, fresh):
        """Run the test for `seconds`, and return how much the memory of this process grew after the warm-up, in MB.

        fresh: whether to also start new Python processes, which fork while they use aegen for the first time.
        """
        threads = [threading.Thread(target=self._use, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        if fresh:
            threads.append(threading.Thread(target=self._fresh_processes))
            threads[-1].start()
        start, warm = time.monotonic(), None
        choose = random.Random(f"{self.seed} main")
        while (passed := time.monotonic() - start) < seconds:
            if warm is None and passed > WARM_UP * seconds:
                warm = resident()
            (self._fork if choose.random() < 0.7 else self._fork_by_multiprocessing)(choose.randrange(2**32))
        growth = resident() - (resident() if warm is None else warm)
        self.stop.set()
        for thread in threads:
            thread.join(2 * MAX_SECONDS)
            self.counts["hung threads"] += thread.is_alive()
        return round(growth, 1)

    def _use(self, number):
        """Call the model repeatedly in a thread until the run stops. number: the thread's index, part of its seed."""
        import aegen

        choose = random.Random(f"{self.seed} {number}")
        private = None
        while not self.stop.is_set():
            try:
                if choose.random() < 0.2:
                    private = None if private else aegen.load(self.calls.path, threads=2)
                self.counts["wrong"] += not self.calls.check_one(private or self.shared, choose)
                self.counts["calls"] += 1
            except Exception:
                self.errors.append(traceback.format_exc())

    def _in_child(self, seed):
        import aegen

        choose = random.Random(seed)
        try:
            model = aegen.load(self.calls.path, threads=2) if choose.random() < 0.3 else self.shared
            return OK if all(self.calls.check_one(model, choose) for _ in range(choose.randint(1, 3))) else WRONG
        except Exception:
            traceback.print_exc()
            return RAISED

    def _fork(self, seed):
        child = os.fork()
        if child == 0:
            os._exit(self._in_child(seed))
        self._ended("fork", child)

    def _fork_by_multiprocessing(self, seed):
        child = multiprocessing.get_context("fork").Process(target=lambda: sys.exit(self._in_child(seed)))
        child.start()
        child.join(MAX_SECONDS)
        hung = child.is_alive()
        if hung:
            child.kill()
            child.join()
        self._count("multiprocessing", hung, child.exitcode)

    def _ended(self, how, child):
        deadline, found = time.monotonic() + MAX_SECONDS, (0, 0)
        while found[0] == 0 and time.monotonic() < deadline:
            found = os.waitpid(child, os.WNOHANG)
            time.sleep(0.001)
        if found[0] == 0:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        self._count(how, found[0] == 0, os.waitstatus_to_exitcode(found[1]))

    def _count(self, how, hung, code):
        self.counts[how] += 1
        self.counts["hangs"] += hung
        self.counts["wrong"] += code == WRONG
        self.counts["failed children"] += not hung and code not in (OK, WRONG)

    def _fresh_processes(self):
        choose = random.Random(f"{self.seed} fresh")
        while not self.stop.wait(FRESH_INTERVAL):
            self._fresh_process(choose.randrange(2**32))

    def _fresh_process(self, seed):
        """Run `first_use` in a new Python process, and add the counts that it returns to those of this run."""
        # From Python 3.12 on, a fork of a process with threads gives a DeprecationWarning.
        python = [sys.executable, "-W", "ignore:This process:DeprecationWarning"]
        command = [*python, __file__, "--first-use", "--seed", str(seed), "--model", self.calls.path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20 * MAX_SECONDS)
        self.counts["first uses"] += 1
        if done.returncode or done.stderr:
            self.errors.append(done.stderr)
            return
        for name, count in json.loads(done.stdout).items():
            self.counts[name] += count


def first_use(path, seed):
    """Fork child processes while a thread uses aegen for the first time, and wait for them to end.

    Returns the numbers of child processes and of faults, by name.
    """
    import aegen  # this import is light; heavy modules are imported by the first use in the thread below

    choose, counts = random.Random(seed), collections.Counter()
    thread = threading.Thread(target=lambda: aegen.load(path, threads=2).sample(3, seed=0))
    thread.start()
    children = []
    while thread.is_alive():
        child = os.fork()
        if child == 0:
            os._exit(OK if aegen.load(path, threads=2).sample(3, seed=0).shape[0] == 3 else WRONG)
        children.append(child)
        time.sleep(choose.uniform(0, 0.06))
    deadline = time.monotonic() + MAX_SECONDS
    for child in children:
        found = os.waitpid(child, os.WNOHANG)
        while found[0] == 0 and time.monotonic() < deadline:
            time.sleep(0.005)
            found = os.waitpid(child, os.WNOHANG)
        if found[0] == 0:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        counts["hangs"] += found[0] == 0
        counts["failed children"] += found[0] != 0 and os.waitstatus_to_exitcode(found[1]) != OK
        counts["first-use children"] += 1
    return counts


def resident():
    """Return the resident memory of this process in MB, or 0 where /proc does not exist."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20 if statm.exists() else 0.0


def main():
    """Run the soak test, print its report, and exit with 1 if there was a fault or an error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default=str(TINY), help="A shipped name or a folder.  [default: a tiny one]")
    parser.add_argument(
        "--first-use", action="store_true", help="Only fork while a thread uses aegen for the first time."
    )
    options = parser.parse_args()
    if options.first_use:
        sys.stdout.write(json.dumps(first_use(options.model, options.seed)))
        return
    soak = Soak(options.model, options.seed)
    growth = soak.run(options.seconds, fresh=True)
    names = ("calls", "fork", "multiprocessing", "first uses", "first-use children")
    faults = ("hangs", "hung threads", "wrong", "failed children")
    report = {
        "python": platform.python_version(),
        "seed": options.seed,
        "seconds": options.seconds,
        **{name: soak.counts[name] for name in (*names, *faults)},
        "errors": len(soak.errors),
        "first error": soak.errors[0] if soak.errors else None,
        "memory growth in MB": growth,
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    sys.stdout.flush()
    os._exit(int(any(soak.counts[name] for name in faults) or bool(soak.errors)))


if __name__ == "__main__":
    main()
