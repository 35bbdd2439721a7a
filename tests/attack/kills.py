"""Kill training, refinement and export at every gap between two changes of their folders; print counts as JSON.

    python tests/attack/kills.py --kills 300 --repeat 10 --seed 0

The parent imports everything once and forks a child for each run. Each network is exported to ONNX once, because that
takes longest. An audit hook in the child names every moment just before a file or folder changes, and the middle of
every write. A first run of each command lists these gaps. Then a child is killed in each of them and continued as a
user would do, with --resume if there is something to resume. It must leave the same bytes as an uninterrupted run. Some
are killed a second time on the way; others get a SIGTERM, SIGINT or SIGKILL at a random moment. Exits with 1 if
anything was lost or differs.
"""

import argparse
import collections
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from kill_children import SIGNALS, Children, import_early
from kill_gaps import TEMPORARY
from kill_jobs import PREPARED, Job, make_jobs

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # before torch is imported
    os.environ.setdefault(variable, "1")  # a forked child has no threads but its own

SECOND_KILL = 0.2  # fraction of the killed runs that are killed again when they continue
SECOND_KILL_GAPS = 15  # the second kill is in one of so many first gaps
Files = dict[str, str]


class Harness:
    """Kills jobs, continues them, and counts what happens."""

    def __init__(self, scratch: Path, seed: int) -> None:
        self.scratch, self.random, self.children = scratch, random.Random(seed), Children(scratch)
        self.gap_kills: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        self.counts: collections.Counter[str] = collections.Counter()
        self.signals: collections.Counter[str] = collections.Counter()
        self.lost: list[str] = []
        self.differing: list[str] = []
        self.expected: dict[str, Files] = {}
        self.gaps: dict[str, list[str]] = {}
        self.seconds: dict[str, float] = {}

    @property
    def kills(self) -> int:
        """Number of kills so far."""
        return sum(sum(counter.values()) for counter in self.gap_kills.values()) + self.counts["signals"]

    def must_run(self, folder: Path, command: list[str], *, record: bool = False) -> None:
        """Run a command, and end the program if it fails."""
        exit_code = self.children.run(folder, command, record=record)
        if exit_code != 0:
            raise SystemExit(f"{' '.join(command)} fails: exit {exit_code}\n{self.children.output()}")

    def record(self, job: Job) -> None:
        """Run a job without a kill: record what it leaves, and its gaps."""
        folder = self.fresh_folder(job)
        began = time.monotonic()
        self.must_run(folder, job.command, record=True)
        self.seconds[job.name] = time.monotonic() - began
        self.expected[job.name] = contents(folder / job.target)
        self.gaps[job.name] = self.children.gap_names()

    def kill_in_gap(self, job: Job, gap: int) -> None:
        """Kill a run in the gap of this number, and check that nothing is lost."""
        folder, name = self.fresh_folder(job), self.gaps[job.name][gap]
        exit_code = self.children.run(folder, job.command, kill_at=gap)
        self.gap_kills[job.name][name] += 1
        if exit_code != -signal.SIGKILL:
            self.lost.append(f"{job.name}, {name}: not killed but exit {exit_code}")
        self.continue_job(job, folder, name)

    def signal_at_random(self, job: Job) -> None:
        """Send a signal at a random moment, and check that nothing is lost."""
        folder, number = self.fresh_folder(job), self.random.choice(SIGNALS)
        moment = self.random.uniform(0, 1.1 * self.seconds[job.name])
        exit_code = self.children.run(folder, job.command, send=(number, moment))
        self.counts["signals"] += 1
        self.signals[f"{job.name} {number.name}"] += 1
        where = f"{number.name} after {moment:.3f} s"
        if exit_code not in (0, -number, 128 + number):  # -number: before the program handles signals
            self.lost.append(f"{job.name}, {where}: exit {exit_code}: {self.children.last_line()}")
        self.continue_job(job, folder, where)

    def continue_job(self, job: Job, folder: Path, where: str) -> None:
        """Run what a user would run after a kill, and compare the result with that of an uninterrupted run."""
        self.check_artifact(job, folder, where)
        if self.random.random() < SECOND_KILL:
            gap = self.random.randrange(SECOND_KILL_GAPS)
            if self.children.run(folder, job.next_command(folder), kill_at=gap) == -signal.SIGKILL:
                self.counts["killed again"] += 1
                self.check_artifact(job, folder, where)
        command = job.next_command(folder)
        self.counts["resumed" if "--resume" in command else "begun anew"] += 1
        exit_code = self.children.run(folder, command)
        if exit_code != 0:
            line = self.children.last_line()
            self.lost.append(f"{job.name}, {where}: {' '.join(command)}: exit {exit_code}: {line}")
            return
        result, expected = contents(folder / job.target), self.expected[job.name]
        other = sorted(file for file in result.keys() | expected.keys() if result.get(file) != expected.get(file))
        parent = (folder / job.target).parent
        temporary = sorted(entry.name for entry in parent.iterdir() if TEMPORARY.search(entry.name))
        if other or temporary:
            self.differing.append(f"{job.name}, {where}: {', '.join([*other, *temporary])}")

    def check_artifact(self, job: Job, folder: Path, where: str) -> None:
        """Check that after a kill the old artifact or the new one is there, and verifies."""
        if not job.artifact:
            return
        result = contents(folder / job.target)
        if result not in (contents(job.before / job.target), self.expected[job.name]):
            self.lost.append(f"{job.name}, {where}: {job.target} is neither the old artifact nor the new one")
        elif result and self.children.run(folder, ["verify", job.target]) != 0:
            self.lost.append(f"{job.name}, {where}: {job.target} does not verify: {self.children.last_line()}")

    def fresh_folder(self, job: Job) -> Path:
        """The folder under test, as it is before the job."""
        folder = self.scratch / "test"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(job.before, folder)
        return folder

    def report(self) -> dict[str, object]:
        """All counts."""
        return {
            "kills": self.kills,
            "kills_by_gap": {name: dict(counter) for name, counter in self.gap_kills.items()},
            "signals": dict(sorted(self.signals.items())),
            **{name.replace(" ", "_"): self.counts[name] for name in ("resumed", "begun anew", "killed again")},
            "lost": self.lost,
            "differing": self.differing,
        }


def contents(folder: Path) -> Files:
    """SHA-256 of every file below a folder, also of hidden ones; empty if there is no such folder."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def attack(
    jobs: list[Job], harness: Harness, *, kills: int, repeat: int, gaps: int | None, log: Callable[[str], None]
) -> None:
    """Kill every gap of every job, or `gaps` random ones, `repeat` times; then send signals up to `kills` kills."""
    for job in jobs:
        harness.record(job)
        numbers = list(range(len(harness.gaps[job.name])))
        if gaps is not None:
            numbers = sorted(harness.random.sample(numbers, min(gaps, len(numbers))))
        log(f"{job.name}: {len(harness.gaps[job.name])} gaps, {harness.seconds[job.name]:.2f} s")
        for number in numbers * repeat:
            harness.kill_in_gap(job, number)
    while harness.kills < kills:
        harness.signal_at_random(harness.random.choice(jobs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=0, help="at least so many; the rest are signals at random moments")
    parser.add_argument("--repeat", type=int, default=1, help="how often each gap is killed")
    parser.add_argument("--gaps", type=int, help="number of random gaps of each command  [default: all]")
    parser.add_argument("--only", metavar="COMMAND,...", help=", ".join(PREPARED))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    wanted = list(PREPARED) if options.only is None else options.only.split(",")
    import_early(exports=any(name.startswith("export") for name in wanted))
    with tempfile.TemporaryDirectory() as scratch:
        harness = Harness(Path(scratch).resolve(), options.seed)
        jobs = make_jobs(harness.scratch, wanted, harness.must_run)
        attack(
            jobs,
            harness,
            kills=options.kills,
            repeat=options.repeat,
            gaps=options.gaps,
            log=lambda line: print(line, file=sys.stderr, flush=True),
        )
        print(json.dumps(harness.report(), indent=2))
    sys.exit(1 if harness.lost or harness.differing else 0)


if __name__ == "__main__":
    main()
