"""Runs aegen's commands in forked child processes, which it can kill or send a signal."""

import hashlib
import importlib
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

from kill_points import KillPoints

TIME_LIMIT = 120.0  # in seconds; a run that takes longer must be hanging, and is killed
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
LAST_POINT = "after the last change"


class Children:
    """Runs commands in child processes, one at a time.

    scratch: a folder in which the children store what they print, the names of their kill points, and exported ONNX
    files. A kill point (see kill_points.py) is a moment just before a file or folder changes, or in the middle of a
    write.
    """

    def __init__(self, scratch: Path) -> None:
        self.log, self.points_file, self.graphs = scratch / "log", scratch / "points.json", scratch / "graphs"
        self.graphs.mkdir()

    def run(
        self,
        folder: Path,
        command: list[str],
        *,
        record: bool = False,
        kill_at: int | None = None,
        send: tuple[signal.Signals, float] | None = None,
    ) -> int:
        """Run a command in a folder. Returns its exit code, or minus the number of the signal that ended it.

        If the command exceeds TIME_LIMIT, it is killed, and the result is -SIGALRM. record: whether to write the names
        of the kill points that the command passes to `points_file`. kill_at: the number of the kill point at which the
        command is killed, or None. send: a signal, and the number of seconds after which it is sent, or None.
        """
        child = os.fork()
        if child == 0:
            self._run_in_child(folder, command, record, kill_at)
        deadline = time.monotonic() + TIME_LIMIT
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

    def output(self) -> str:
        """Return everything that the last run printed."""
        return self.log.read_text(errors="replace")

    def last_line(self) -> str:
        """Return the last line that the last run printed."""
        return (self.output().strip().splitlines() or ["nothing"])[-1]

    def point_names(self) -> list[str]:
        """Return the names of all kill points of the last run that had `record` set; repeated names are numbered."""
        names: list[str] = []
        counts: dict[str, int] = {}
        for name in json.loads(self.points_file.read_text()):
            counts[name] = counts.get(name, 0) + 1
            names.append(f"{name} ({counts[name]})" if counts[name] > 1 else name)
        return [*names, LAST_POINT]

    def _run_in_child(self, folder: Path, command: list[str], record: bool, kill_at: int | None) -> None:
        """Run a command in this process, a forked child, and then end the process. This method never returns."""
        exit_code = 99
        try:
            for number in SIGNALS[:2]:
                signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
            os.chdir(folder)
            output = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            points = KillPoints(folder, kill_at)
            if record or kill_at is not None:
                sys.addaudithook(points.hook)
            exit_code = run_command(command, self.graphs)
            points.paused = True
            if exit_code == 0:
                points.end_write()
                points.pass_point(LAST_POINT)
            if record:
                self.points_file.write_text(json.dumps(points.names[:-1]))
        except KeyboardInterrupt:  # a SIGINT arrived just before or after the command ran
            exit_code = 128 + signal.SIGINT
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(exit_code)


def run_command(command: list[str], graphs_folder: Path) -> int:
    """Run an aegen command in this process, and return its exit code.

    Training is set to save its state every few steps, so that even a short run can be resumed. graphs_folder: a folder
    that keeps exported ONNX files from one run to the next.
    """
    from aegen import cli
    from aegen.train import flow_prior, moment_matching

    flow_prior.INTERVAL, moment_matching.INTERVAL = 20, 4
    if command[0] in ("export", "train-features", "create"):
        cache_graphs(graphs_folder)
    try:
        cli.main(command)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def cache_graphs(folder: Path) -> None:
    """Store every ONNX file that this process exports in a folder, and read it from there when it is needed again."""
    from aegen.export import feature_extractor, pipeline

    make = pipeline.onnx_bytes

    def cached(graph):
        state = {name: value.numpy().tobytes() for name, value in graph.module.state_dict().items()}
        shapes = [(name, value.shape) for name, value in graph.inputs.items()]
        key = repr((graph.file, graph.module, state, shapes, graph.outputs))
        file = folder / hashlib.sha256(key.encode()).hexdigest()
        if not file.exists():
            file.write_bytes(make(graph))
        return file.read_bytes()

    pipeline.onnx_bytes = feature_extractor.onnx_bytes = cached


def import_early(*, exports: bool) -> None:
    """Import the modules that the commands need, in the parent process, so that forked children need not import them.

    exports: whether to import also the modules that export graphs.
    """
    modules = ["torch", "torch._dynamo", "aegen.train.autoencoder", "aegen.train.refinement"]
    commands = ("train", "train_prior", "refine", "train_features", "export", "verify", "create", "create_work")
    modules += [f"aegen.cli.{name}" for name in commands]
    for module in (*modules, *(("onnxscript", "aegen.export.artifact") if exports else ())):
        importlib.import_module(module)
