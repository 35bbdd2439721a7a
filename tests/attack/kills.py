"""Kill training, refinement and export between any two changes of their files, continue them, and print counts as JSON.

    python tests/attack/kills.py --kills 300 --repeat 10 --seed 0

The parent imports everything once and forks a child for each run. Each network is exported to ONNX only once, because
that takes longest. Kill points are the moments just before a file or folder changes, and the middle of every write; an
audit hook in the child finds them. A first run of each command lists its kill points. Then a child is killed at each
point, and the command is continued as a user would do, with --resume if a saved state exists. The files that it writes
must have the same bytes as those of an uninterrupted run. Some runs are killed a second time when they are continued;
others get a SIGTERM, SIGINT or SIGKILL at a random moment. Exits with 1 if a file was lost or has other bytes.
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
from kill_jobs import PREPARED, Job, make_jobs
from kill_points import TEMPORARY

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # torch reads these when it is imported
    os.environ.setdefault(variable, "1")  # one thread, because a forked child lacks its parent's other threads

SECOND_KILL = 0.2  # fraction of killed runs that are killed again when they are continued
SECOND_KILL_POINTS = 15  # a second kill is at a random kill point whose number is below this
Files = dict[str, str]


class Harness:
    """Kills jobs (see kill_jobs.py), continues them, counts the kills, and lists results that were lost or differ."""

    def __init__(self, scratch: Path, seed: int) -> None:
        self.scratch, self.random, self.children = scratch, random.Random(seed), Children(scratch)
        self.kills_by_point: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        self.counts: collections.Counter[str] = collections.Counter()
        self.signals: collections.Counter[str] = collections.Counter()
        self.lost: list[str] = []
        self.differing: list[str] = []
        self.expected: dict[str, Files] = {}
        self.points: dict[str, list[str]] = {}
        self.seconds: dict[str, float] = {}

    @property
    def kills(self) -> int:
        """Return the number of kills so far, signals at random moments included."""
        return sum(sum(counter.values()) for counter in self.kills_by_point.values()) + self.counts["signals"]

    def must_run(self, folder: Path, command: list[str], *, record: bool = False) -> None:
        """Run an aegen command in a folder, and end this program if the command fails."""
        exit_code = self.children.run(folder, command, record=record)
        if exit_code != 0:
            raise SystemExit(f"{' '.join(command)} fails: exit {exit_code}\n{self.children.output()}")

    def record(self, job: Job) -> None:
        """Run a job without a kill, and record the hashes of its files, its kill points and its duration."""
        folder = self.fresh_folder(job)
        began = time.monotonic()
        self.must_run(folder, job.command, record=True)
        self.seconds[job.name] = time.monotonic() - began
        self.expected[job.name] = contents(folder / job.target)
        self.points[job.name] = self.children.point_names()

    def kill_at_point(self, job: Job, point: int) -> None:
        """Run a job and kill it at the kill point with this number, continue it, and check its result."""
        folder, name = self.fresh_folder(job), self.points[job.name][point]
        exit_code = self.children.run(folder, job.command, kill_at=point)
        self.kills_by_point[job.name][name] += 1
        if exit_code != -signal.SIGKILL:
            self.lost.append(f"{job.name}, {name}: not killed but exit {exit_code}")
        self.continue_job(job, folder, name)

    def signal_at_random(self, job: Job) -> None:
        """Run a job and send it a random signal at a random moment, continue it, and check its result."""
        folder, number = self.fresh_folder(job), self.random.choice(SIGNALS)
        moment = self.random.uniform(0, 1.1 * self.seconds[job.name])
        exit_code = self.children.run(folder, job.command, send=(number, moment))
        self.counts["signals"] += 1
        self.signals[f"{job.name} {number.name}"] += 1
        where = f"{number.name} after {moment:.3f} s"
        # 0: the run ended before the signal. 128 + number: aegen handled the signal. -number: the signal killed it.
        if exit_code not in (0, -number, 128 + number):
            self.lost.append(f"{job.name}, {where}: exit {exit_code}: {self.children.last_line()}")
        self.continue_job(job, folder, where)

    def continue_job(self, job: Job, folder: Path, where: str) -> None:
        """Continue a killed job as a user would, and compare its files with those of an uninterrupted run.

        where: the kill point or the moment of the kill, as text for the report.
        """
        self.check_artifact(job, folder, where)
        if self.random.random() < SECOND_KILL:
            point = self.random.randrange(SECOND_KILL_POINTS)
            if self.children.run(folder, job.next_command(folder), kill_at=point) == -signal.SIGKILL:
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
        """Check that a kill left the old artifact or the new one complete, and that `aegen verify` accepts it.

        where: as in `continue_job`. A job that writes no artifact is not checked.
        """
        if not job.artifact:
            return
        result = contents(folder / job.target)
        if result not in (contents(job.before / job.target), self.expected[job.name]):
            self.lost.append(f"{job.name}, {where}: {job.target} is neither the old artifact nor the new one")
        elif result and self.children.run(folder, ["verify", job.target]) != 0:
            self.lost.append(f"{job.name}, {where}: {job.target} does not verify: {self.children.last_line()}")

    def fresh_folder(self, job: Job) -> Path:
        """Make a new folder in which a job can run: a copy of the folder `job.before`."""
        folder = self.scratch / "test"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(job.before, folder)
        return folder

    def report(self) -> dict[str, object]:
        """Return all counts, and descriptions of every result that was lost or differs."""
        return {
            "kills": self.kills,
            "kills_by_point": {name: dict(counter) for name, counter in self.kills_by_point.items()},
            "signals": dict(sorted(self.signals.items())),
            **{name.replace(" ", "_"): self.counts[name] for name in ("resumed", "begun anew", "killed again")},
            "lost": self.lost,
            "differing": self.differing,
        }


def contents(folder: Path) -> Files:
    """Return the SHA-256 of every file in a folder and its subfolders, hidden files too, by relative path.

    The result is empty if the folder does not exist.
    """
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def attack(
    jobs: list[Job], harness: Harness, *, kills: int, repeat: int, points: int | None, log: Callable[[str], None]
) -> None:
    """Kill each job `repeat` times at each chosen kill point, then send signals to random jobs at random moments.

    kills: minimum total number of kills; signals are sent until it is reached. points: number of kill points to choose
    at random in each job, or None for all.
    """
    for job in jobs:
        harness.record(job)
        numbers = list(range(len(harness.points[job.name])))
        if points is not None:
            numbers = sorted(harness.random.sample(numbers, min(points, len(numbers))))
        log(f"{job.name}: {len(harness.points[job.name])} points, {harness.seconds[job.name]:.2f} s")
        for number in numbers * repeat:
            harness.kill_at_point(job, number)
    while harness.kills < kills:
        harness.signal_at_random(harness.random.choice(jobs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=0, help="minimum number of kills; signals are sent until then")
    parser.add_argument("--repeat", type=int, default=1, help="number of kills at each kill point")
    parser.add_argument("--points", type=int, help="number of random kill points of each command  [default: all]")
    parser.add_argument("--only", metavar="COMMAND,...", help=", ".join(PREPARED))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    wanted = list(PREPARED) if options.only is None else options.only.split(",")
    import_early(exports=any(name.startswith("export") or name in ("train-features", "create") for name in wanted))
    with tempfile.TemporaryDirectory() as scratch:
        harness = Harness(Path(scratch).resolve(), options.seed)
        jobs = make_jobs(harness.scratch, wanted, harness.must_run)
        attack(
            jobs,
            harness,
            kills=options.kills,
            repeat=options.repeat,
            points=options.points,
            log=lambda line: print(line, file=sys.stderr, flush=True),
        )
        print(json.dumps(harness.report(), indent=2))
    sys.exit(1 if harness.lost or harness.differing else 0)


if __name__ == "__main__":
    main()
