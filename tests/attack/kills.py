"""Training, refinement and export, killed at every gap between two changes of their folders; prints counts as JSON.

    python tests/attack/kills.py --kills 300 --repeat 10 --seed 0

A parent imports everything once and forks a child for each run; a network is put into ONNX once, for that takes longer
than all else. An audit hook in the child names every moment just
before a file or folder changes, and the middle of every write. A first run of each command lists those gaps; then a
child is killed in each of them, goes on as a user would, with --resume where there is something to resume, and must
leave the same bytes as a run that nobody touched. Some are killed once more on the way. Others get a SIGTERM, SIGINT or
SIGKILL at a random moment. Exits with 1 if anything was lost or differs.
"""

import argparse
import collections
import dataclasses
import hashlib
import importlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # a forked child has no threads but its own

LIMIT = 120.0  # seconds for one run, many times what it takes
PARTIAL = re.compile(r"\.[0-9a-f]{8}\.(partial|replaced)")
WRITING = os.O_WRONLY | os.O_RDWR
AGAIN = 0.2  # fraction of the killed runs that are killed once more while they go on
SOON = 15  # in one of so many gaps, from their start on
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
Files = dict[str, str]


@dataclasses.dataclass(frozen=True)
class Job:
    """A command whose kills are survived. Paths in it are relative to the folder under test.

    command: what is run first. resumable: files of which one is there when the command goes on with --resume, and
    resume: that command. target: the folder to compare. artifact: whether that holds an artifact, which must be whole
    after every kill. before: the folder under test as it is when the command begins.
    """

    name: str
    command: list[str]
    target: str
    before: Path
    resumable: tuple[str, ...] = ()
    resume: tuple[str, ...] = ()
    artifact: bool = False

    def next_command(self, folder: Path) -> list[str]:
        """What a user would run in a folder where the command was killed."""
        return list(self.resume) if any((folder / file).exists() for file in self.resumable) else self.command


class Gaps:
    """Counts the moments before a folder's files change; in one of them, it kills its own process."""

    def __init__(self, folder: Path, kill_at: int | None) -> None:
        self.folder, self.kill_at = os.path.realpath(folder), kill_at
        self.names: list[str] = []
        self.written = ""  # the file that was opened for writing last
        self.busy = False

    def hook(self, event: str, arguments: tuple) -> None:
        """The audit hook."""
        if self.busy:
            return
        self.busy = True
        try:
            change = self._change(event, arguments)
            if change:
                self.end_of_write()
                self.passed(f"before {change}")
                self.written = str(arguments[0]) if event == "open" else ""
        finally:
            self.busy = False

    def end_of_write(self) -> None:
        """The middle of the write that has just ended: at a kill, half of the file is there."""
        written = Path(self.written)
        if self.written and written.is_file() and written.stat().st_size:
            if len(self.names) == self.kill_at:
                os.truncate(written, written.stat().st_size // 2)
            self.passed(f"inside the write of {self._shown(self.written)}")

    def passed(self, name: str) -> None:
        """A gap of this name; where it is the one to be killed in, the end."""
        if len(self.names) == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.names.append(name)

    def _change(self, event: str, arguments: tuple) -> str:
        if event == "open":
            path, mode, flags = arguments
            writes = (isinstance(mode, str) and set(mode) & set("wxa+")) or (flags or 0) & WRITING
            return f"open {self._shown(path)}" if writes and self._inside(path) else ""
        if event in ("os.remove", "os.rmdir", "os.mkdir"):
            path = self._absolute(arguments[0], arguments[-1])
            return f"{event[3:]} {self._shown(path)}" if self._inside(path) else ""
        if event == "os.rename":
            return f"rename {' -> '.join(map(self._shown, arguments[:2]))}" if self._inside(arguments[1]) else ""
        return "exchange" if event == "ctypes.dlsym" and arguments[1] in ("renameat2", "renamex_np") else ""

    def _inside(self, path: object) -> bool:
        return isinstance(path, str | os.PathLike) and os.path.realpath(path).startswith(self.folder + os.sep)

    def _absolute(self, path: object, folder: object) -> object:
        """A path that is relative to an open folder, as a tree is removed."""
        if isinstance(folder, int) and folder >= 0 and isinstance(path, str | os.PathLike):
            return Path(f"/proc/self/fd/{folder}").readlink() / path
        return path

    def _shown(self, path: object) -> str:
        return PARTIAL.sub(r".*.\1", os.path.relpath(os.path.realpath(path), self.folder))


class Harness:
    """Runs commands in children, kills them, and keeps count."""

    def __init__(self, scratch: Path, seed: int) -> None:
        (scratch / "graphs").mkdir()
        self.scratch, self.choose = scratch, random.Random(seed)
        self.log, self.gaps_file = scratch / "log", scratch / "gaps.json"
        self.gap_kills: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        self.counts: collections.Counter[str] = collections.Counter()
        self.signals: collections.Counter[str] = collections.Counter()
        self.lost: list[str] = []
        self.differing: list[str] = []
        self.whole: dict[str, Files] = {}
        self.gaps: dict[str, list[str]] = {}
        self.seconds: dict[str, float] = {}

    @property
    def kills(self) -> int:
        """How many so far."""
        return sum(sum(counter.values()) for counter in self.gap_kills.values()) + self.counts["signals"]

    def learn(self, job: Job) -> None:
        """Run a job untouched: what it leaves, and its gaps by name."""
        folder = self.fresh(job)
        began = time.monotonic()
        code = self.run(folder, job.command, record=True)
        if code != 0:
            raise SystemExit(f"{job.name} does not run: exit {code}\n{self.log.read_text()}")
        self.seconds[job.name] = time.monotonic() - began
        self.whole[job.name] = contents(folder / job.target)
        seen: collections.Counter[str] = collections.Counter()
        names = []
        for name in json.loads(self.gaps_file.read_text()):
            seen[name] += 1
            names.append(f"{name} ({seen[name]})" if seen[name] > 1 else name)
        self.gaps[job.name] = [*names, "after the last change"]

    def kill_in_gap(self, job: Job, gap: int) -> None:
        """Kill a run in its gap of this number, and see to it that nothing is lost."""
        folder, name = self.fresh(job), self.gaps[job.name][gap]
        code = self.run(folder, job.command, kill_at=gap)
        self.gap_kills[job.name][name] += 1
        if code != -signal.SIGKILL:
            self.lost.append(f"{job.name}, {name}: not killed but exit {code}")
        self.go_on(job, folder, name)

    def signal_at_random(self, job: Job) -> None:
        """Send a signal at a random moment, and see to it that nothing is lost."""
        folder, number = self.fresh(job), self.choose.choice(SIGNALS)
        moment = self.choose.uniform(0, 1.1 * self.seconds[job.name])
        code = self.run(folder, job.command, send=(number, moment))
        self.counts["signals"] += 1
        self.signals[f"{job.name} {number.name}"] += 1
        if code not in (0, -number, 128 + number):  # -number: before the program begins to listen
            self.lost.append(f"{job.name}, {number.name} after {moment:.3f} s: exit {code}: {self.last_line()}")
        self.go_on(job, folder, f"{number.name} after {moment:.3f} s")

    def go_on(self, job: Job, folder: Path, where: str) -> None:
        """Run what a user would after a kill; compare what is there at the end with what an untouched run leaves."""
        self.check_artifact(job, folder, where)
        if self.choose.random() < AGAIN:
            code = self.run(folder, job.next_command(folder), kill_at=self.choose.randrange(SOON))
            if code == -signal.SIGKILL:
                self.counts["killed again"] += 1
                self.check_artifact(job, folder, where)
        command = job.next_command(folder)
        self.counts["resumed" if "--resume" in command else "begun anew"] += 1
        code = self.run(folder, command)
        if code != 0:
            self.lost.append(f"{job.name}, {where}: {' '.join(command)}: exit {code}: {self.last_line()}")
            return
        found, whole = contents(folder / job.target), self.whole[job.name]
        other = sorted(file for file in found.keys() | whole.keys() if found.get(file) != whole.get(file))
        left = sorted(one.name for one in (folder / job.target).parent.iterdir() if PARTIAL.search(one.name))
        if other or left:
            self.differing.append(f"{job.name}, {where}: {', '.join([*other, *left])}")

    def check_artifact(self, job: Job, folder: Path, where: str) -> None:
        """After a kill, the artifact from before or the new one is there, and verifies."""
        if not job.artifact:
            return
        found = contents(folder / job.target)
        sound = [contents(job.before / job.target), self.whole[job.name]]
        if found not in sound:
            self.lost.append(f"{job.name}, {where}: {job.target} is neither the old artifact nor the new one")
        elif found and self.run(folder, ["verify", job.target]) != 0:
            self.lost.append(f"{job.name}, {where}: {job.target} does not verify: {self.last_line()}")

    def fresh(self, job: Job) -> Path:
        """The folder under test as it is before the job."""
        folder = self.scratch / "test"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(job.before, folder)
        return folder

    def run(
        self,
        folder: Path,
        command: list[str],
        *,
        record: bool = False,
        kill_at: int | None = None,
        send: tuple[signal.Signals, float] | None = None,
    ) -> int:
        """The exit code of a command in a child; of a signal that ended it, the negative number."""
        child = os.fork()
        if child == 0:
            self._be_the_command(folder, command, record, kill_at)
        deadline = time.monotonic() + LIMIT
        if send is not None:
            time.sleep(send[1])
            os.kill(child, send[0])
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return -signal.SIGALRM
            time.sleep(0.002)

    def _be_the_command(self, folder: Path, command: list[str], record: bool, kill_at: int | None) -> None:
        code = 99
        try:
            for number in SIGNALS[:2]:
                signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
            os.chdir(folder)
            output = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            gaps = Gaps(folder, kill_at)
            if record or kill_at is not None:
                sys.addaudithook(gaps.hook)
            code = run_command(command, self.scratch / "graphs")
            gaps.busy = True
            if code == 0:
                gaps.end_of_write()
                gaps.passed("after the last change")
            if record:
                self.gaps_file.write_text(json.dumps(gaps.names[:-1]))
        except KeyboardInterrupt:  # before or after the command
            code = 128 + signal.SIGINT
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def last_line(self) -> str:
        """What the last run said in the end."""
        return (self.log.read_text(errors="replace").strip().splitlines() or ["nothing"])[-1]

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


def run_command(command: list[str], graphs_made: Path) -> int:
    """Exit code of an aegen command in this process, with training cut into parts small enough for a harness.

    graphs_made: the folder in which ONNX files are kept from one run to the next.
    """
    from aegen import cli
    from aegen.train import flow_matching, moment_matching

    flow_matching.EVERY, moment_matching.EVERY = 20, 4
    if command[0] == "export":
        make_graphs_once(graphs_made)
    try:
        cli.main(command)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def make_graphs_once(graphs_made: Path) -> None:
    """Let exports of this process take the ONNX file of a network that was put into one before."""
    from aegen.export import graphs

    make = graphs.graph

    def made_once(network, inputs, *outputs):
        state = {name: value.numpy().tobytes() for name, value in network.state_dict().items()}
        key = repr((network, state, [(name, value.shape) for name, value in inputs.items()], outputs))
        file = graphs_made / hashlib.sha256(key.encode()).hexdigest()
        if not file.exists():
            file.write_bytes(make(network, inputs, *outputs))
        return file.read_bytes()

    graphs.graph = made_once


def contents(folder: Path) -> Files:
    """SHA-256 of every file below a folder, hidden ones too; empty where there is no such folder."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def make_data(folder: Path) -> None:
    """Images 8x8 of two classes, in a file."""
    import numpy as np

    choose = np.random.default_rng(0)
    images = choose.integers(0, 60, (90, 8, 8), np.uint8)
    labels = np.arange(90) % 2
    for image, label in zip(images, labels, strict=True):
        line = image[choose.integers(8)] if label else image[:, choose.integers(8)]
        line[...] = choose.integers(180, 256)
    folder.mkdir(parents=True)
    np.savez(folder / "data.npz", images=images, labels=labels)


TRAIN = (
    "train --data data.npz -o run --recipe vae --widths 8 --latent-dim 2 --epochs 2 --learning-rate 0.02 --threads 1"
)
PRIOR = "train-prior run --width 8 --blocks 1 --steps 60 --batch-size 16 --threads 1"
REFINE = (
    "refine run -o refined --steps 8 --batch-size 8 --flow-steps 2 --classifiers 1 --classifier-epochs 1 --threads 1"
)
NEEDED = {"train": 0, "train-prior": 1, "refine": 2, "export": 2, "export --overwrite": 3}  # commands run before
EXPORT = "export run -o made --components 1 --flow-steps 1 --licence CC0"


def make_jobs(harness: Harness, wanted: list[str]) -> list[Job]:
    """The jobs of these names, each with the folder that it begins with; earlier commands make those of later ones."""
    stages = [harness.scratch / "before" / str(number) for number in range(4)]
    make_data(stages[0])
    needed = max(NEEDED[name] for name in wanted)
    for before, after, command in list(zip(stages, stages[1:], (TRAIN, PRIOR, EXPORT), strict=False))[:needed]:
        shutil.copytree(before, after)
        if harness.run(after, command.split()) != 0:
            raise SystemExit(f"{command} does not run: {harness.log.read_text()}")
    prior_files = ("run/prior-training.pt", "run/prior.pt")
    overwrite = "export run -o made --components 2 --flow-steps 1 --licence CC0 --overwrite"
    jobs = [
        Job("train", TRAIN.split(), "run", stages[0], ("run/last.pt",), ("train", "--resume", "run", "--threads", "1")),
        Job(
            "train-prior", PRIOR.split(), "run", stages[1], prior_files, (*PRIOR.split()[:2], "--resume", "--threads=1")
        ),
        Job(
            "refine",
            REFINE.split(),
            "refined",
            stages[2],
            ("refined/refining.pt", "refined/best.pt"),
            (*REFINE.split()[:4], "--resume", "--threads=1"),
        ),
        Job("export", EXPORT.split(), "made", stages[2], ("made/manifest.json",), ("verify", "made"), artifact=True),
        Job("export --overwrite", overwrite.split(), "made", stages[3], artifact=True),
    ]
    return [job for job in jobs if job.name in wanted]


def warm_up(*, exports: bool) -> None:
    """Import in the parent what commands import, so that children need not."""
    modules = ["torch", "torch._dynamo", "aegen.train.loop", "aegen.train.refinement"]
    modules += [f"aegen.cli.{name}" for name in ("train", "train_prior", "refine", "export", "verify")]
    for module in (*modules, *(("onnxscript", "aegen.export.bundle") if exports else ())):
        importlib.import_module(module)


def attack(
    jobs: list[Job], harness: Harness, *, kills: int, repeat: int, gaps: int | None, say: Callable[[str], None]
) -> None:
    """Kill every gap of every job `repeat` times, or `gaps` of them once; then send signals until there are enough."""
    for job in jobs:
        harness.learn(job)
        numbers = list(range(len(harness.gaps[job.name])))
        if gaps is not None:
            numbers = sorted(harness.choose.sample(numbers, min(gaps, len(numbers))))
        say(f"{job.name}: {len(harness.gaps[job.name])} gaps, {harness.seconds[job.name]:.2f} s")
        for number in numbers * repeat:
            harness.kill_in_gap(job, number)
    while harness.kills < kills:
        harness.signal_at_random(harness.choose.choice(jobs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=0, help="at least so many; the rest are signals at random moments")
    parser.add_argument("--repeat", type=int, default=1, help="how often each gap is killed")
    parser.add_argument("--gaps", type=int, help="so many gaps of each command, chosen at random  [default: all]")
    parser.add_argument("--only", metavar="COMMAND,...", help=", ".join(NEEDED))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    wanted = list(NEEDED) if options.only is None else options.only.split(",")
    warm_up(exports=any(name.startswith("export") for name in wanted))
    with tempfile.TemporaryDirectory() as scratch:
        harness = Harness(Path(scratch).resolve(), options.seed)
        jobs = make_jobs(harness, wanted)
        attack(
            jobs,
            harness,
            kills=options.kills,
            repeat=options.repeat,
            gaps=options.gaps,
            say=lambda line: print(line, file=sys.stderr, flush=True),
        )
        print(json.dumps(harness.report(), indent=2))
    sys.exit(1 if harness.lost or harness.differing else 0)


if __name__ == "__main__":
    main()
